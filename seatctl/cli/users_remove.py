"""`seatctl users remove`: leaving, and being erased."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

People = Annotated[
    list[str], typer.Argument(metavar="EMAIL...", help="Users, by e-mail.", show_default=False)
]
NewOwnerOpt = Annotated[
    str | None, typer.Option("--new-owner", metavar="EMAIL", help="Who gets the subscriptions they own.")
]
EraseOpt = Annotated[
    bool, typer.Option("--erase", help="Blank what the ledger and its audit hold of them, for good.")
]


def remove(
    typer_ctx: typer.Context, emails: People, new_owner: NewOwnerOpt = None, erase: EraseOpt = False
) -> None:
    """Remove users: seats are given back, open requests canceled.

    What is billed stays the same. The record stays as history; adding the e-mail again brings it back.
    With --erase (of removed users too) names, e-mails and notes are blanked, in the audit as well, whose
    hashes stay. What was sent to Stripe, who acted, and older backups are not touched.

    Examples:
      seatctl users remove bob@example.com
      seatctl users remove ann@example.com --new-owner zoe@example.com
      seatctl users remove bob@example.com --erase
    """
    from functools import partial

    from seatctl.services.users.remove import remove_users

    ctx = context(typer_ctx)
    hand_over = None
    if new_owner is not None:
        from seatctl.services.subscriptions import settings

        hand_over = partial(settings.transfer, ctx.ledger, ctx.billing, ctx.call)
    if erase and ctx.asks:
        whom = emails[0] if len(emails) == 1 else f"{len(emails)} users"
        ctx.confirm(f"Erase {whom} for good?")
    ctx.emit(
        remove_users(ctx.ledger, ctx.call, emails, new_owner=new_owner, hand_over=hand_over, erase=erase)
    )
    if erase and not ctx.options.dry_run:
        ctx.ledger.engine.empty_journal()
