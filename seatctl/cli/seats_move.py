"""`seatctl seats move`, `swap` and `reclaim`: seats that change hands in one transaction."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import EmailsArg, FromOpt, MapOpt, SkipBadOpt, SubscriptionArg, context

_MOST_DAYS = 36_500
"""A century: beyond it no date is reached."""

NewSubscriptionArg = Annotated[
    str, typer.Argument(metavar="NEWSUB", help="The subscription to move to.", show_default=False)
]
OldArg = Annotated[str, typer.Argument(metavar="OLD", help="Who gives the seat up.", show_default=False)]
NewArg = Annotated[str, typer.Argument(metavar="NEW", help="Who gets it.", show_default=False)]
UnclaimedOpt = Annotated[
    int | None,
    typer.Option(
        "--never-claimed",
        metavar="DAYS",
        min=0,
        max=_MOST_DAYS,
        help="Assigned so long ago and never claimed.",
    ),
]
InactiveOpt = Annotated[
    int | None,
    typer.Option(
        "--inactive", metavar="DAYS", min=0, max=_MOST_DAYS, help="Last active longer ago than that."
    ),
]
SuspendedOpt = Annotated[bool, typer.Option("--suspended", help="Seats of suspended users.")]
GraceOpt = Annotated[
    str | None,
    typer.Option("--grace", metavar="SPAN", help="Warn by mail, and revoke so much later, such as 7d."),
]
MostOpt = Annotated[str, typer.Option("--max-revoke", metavar="N|P%", help="Refuse to revoke more.")]


def move(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    new: NewSubscriptionArg,
    emails: EmailsArg = None,
    source: FromOpt = None,
    mapping: MapOpt = None,
    skip_bad: SkipBadOpt = False,
) -> None:
    """Move users from SUBSCRIPTION to another one, all or none.

    The new seat ends when the old one would have. A second time there is nothing to do.

    Examples:
      seatctl seats move design design-eu zoe@example.com bob@example.com
      seatctl seats move design design-eu --from people.csv --dry-run
    """
    from seatctl.input.columns import renames
    from seatctl.services.seats.move import move_seats
    from seatctl.services.users.people import People

    ctx = context(typer_ctx)
    people = People(tuple(emails or ()), source, renames(mapping or ()), skip_bad)
    ctx.emit(move_seats(ctx.ledger, ctx.call, subscription, new, people), handle="email")


def swap(typer_ctx: typer.Context, subscription: SubscriptionArg, old: OldArg, new: NewArg) -> None:
    """Give the seat of one user in SUBSCRIPTION to another, even where no seat is free.

    Examples:
      seatctl seats swap design zoe@example.com bob@example.com
    """
    from seatctl.services.seats.move import swap_seats

    ctx = context(typer_ctx)
    ctx.emit(swap_seats(ctx.ledger, ctx.call, subscription, old, new), handle="email")


def reclaim(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    never_claimed: UnclaimedOpt = None,
    inactive: InactiveOpt = None,
    suspended: SuspendedOpt = False,
    grace: GraceOpt = None,
    max_revoke: MostOpt = "10%",
) -> None:
    """Take idle seats of SUBSCRIPTION back; what is billed does not change.

    Users with `users edit --exempt` keep theirs, and so does who was never reported as active. With
    --grace the first run warns, and a later one revokes who is idle still.

    Examples:
      seatctl seats reclaim design --inactive 90 --grace 7d
      seatctl seats reclaim design --suspended --never-claimed 30 --dry-run
    """
    from seatctl.errors import UsageError
    from seatctl.rules.dates import span
    from seatctl.rules.revocations import limit
    from seatctl.services.seats.move import ReclaimOptions, reclaim_seats

    if never_claimed is None and inactive is None and not suspended:
        raise UsageError(
            "which seats are idle is not said",
            hint="give --never-claimed DAYS, --inactive DAYS or --suspended",
        )
    ctx = context(typer_ctx)
    how = ReclaimOptions(
        limit(max_revoke), never_claimed, inactive, suspended, None if grace is None else span(grace)
    )
    ctx.emit(reclaim_seats(ctx.ledger, ctx.call, subscription, how), handle="email")
