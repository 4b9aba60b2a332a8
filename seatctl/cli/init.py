"""`seatctl init`: create a profile with its ledger and, in sandbox mode, its own Stripe."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

app = typer.Typer()


@app.command("init")
def init(
    typer_ctx: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="[PROFILE]", help="Name of the profile.", show_default=False)
    ] = None,
    mode: Annotated[
        str | None, typer.Option("--mode", metavar="MODE", help="sandbox (the default), test or live.")
    ] = None,
    actor: Annotated[
        str | None, typer.Option("--actor", metavar="ACTOR", help="The actor: an e-mail address or ci:NAME.")
    ] = None,
    key_stdin: Annotated[
        bool, typer.Option("--key-stdin", help="Read the Stripe key from stdin and store it in the keyring.")
    ] = False,
    stripe_account: Annotated[
        str | None,
        typer.Option(
            "--stripe-account", metavar="ACCOUNT", help="The account, for a key that may not read it."
        ),
    ] = None,
) -> None:
    """Set up a profile: configuration, ledger and sandbox. Repeating it changes nothing.

    Without --mode it is a sandbox: no account, no network. A test or live profile needs a Stripe key from the
    environment, from stdin, or typed when asked for. The first actor of a ledger becomes its admin.

    Examples:
      seatctl init
      seatctl init --no-input --actor ann@example.com
      seatctl init company --mode live --actor ann@example.com --key-stdin < key
    """
    from seatctl.cli.init_steps import COLUMNS, InitOptions, set_up
    from seatctl.models.report import would_have

    ctx = context(typer_ctx)
    made = set_up(ctx, InitOptions(name, mode, actor, key_stdin, stripe_account))
    ctx.emit_one(made, COLUMNS, handle="profile")
    if ctx.options.dry_run:
        ctx.note(would_have(f"set up profile {made['profile']} ({made['mode']})"))
    elif made["mode"] == "sandbox" and made["created"]:
        ctx.note(
            "next: seatctl plans add pro --price 12.00 --currency usd --interval month --policy flexible"
        )
