"""`seatctl sync`: bring the ledger and Stripe to agree."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

app = typer.Typer()


@app.command()
def sync(
    typer_ctx: typer.Context,
    full: Annotated[
        bool, typer.Option("--full", help="Read everything again, not only what has changed.")
    ] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Sync repeatedly until interrupted.")] = False,
    every: Annotated[
        int, typer.Option("--every", metavar="SECONDS", min=1, help="The time between two syncs of --watch.")
    ] = 600,
    events: Annotated[
        str | None,
        typer.Option("--events", metavar="FILE|-", help="Apply what `stripe listen --print-json` prints."),
    ] = None,
) -> None:
    """Finish or undo what was interrupted, then read from Stripe what has changed there.

    A purchase that was killed, or whose answer was lost, is finished if Stripe has it or if it is less than
    23 hours old; otherwise it is undone. Nothing is charged twice. The first sync reads everything; an
    interrupted sync continues where it stopped. Objects that cannot be read are skipped and listed.

    Examples:
      seatctl sync
      seatctl sync --dry-run
      seatctl sync --full
      seatctl sync --watch --every 600
      stripe listen --print-json | seatctl sync --events -
    """
    from seatctl.cli import sync_modes
    from seatctl.errors import UsageError

    ctx = context(typer_ctx)
    if sum((watch, events is not None, full)) > 1:
        raise UsageError("--full, --watch and --events exclude each other")
    if ctx.options.dry_run and (watch or events is not None):
        raise UsageError("--dry-run works with neither --watch nor --events", hint="seatctl sync --dry-run")
    if events is not None:
        sync_modes.follow_events(ctx, events)
    elif watch:
        sync_modes.watch(ctx, every)
    else:
        sync_modes.once(ctx, full=full)
