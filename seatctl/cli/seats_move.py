"""`seatctl seats move`, `swap` and `reclaim`."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import EmailsArg, FromOpt, MapOpt, SkipBadOpt, SubscriptionArg, context

_MAX_DAYS = 36_500
"""A century: with more days the date would be out of range."""

NewSubscriptionArg = Annotated[
    str, typer.Argument(metavar="NEWSUB", help="The subscription to move to.", show_default=False)
]
OldArg = Annotated[
    str, typer.Argument(metavar="OLD", help="The user who gives up the seat.", show_default=False)
]
NewArg = Annotated[str, typer.Argument(metavar="NEW", help="The user who gets the seat.", show_default=False)]
UnclaimedOpt = Annotated[
    int | None,
    typer.Option(
        "--never-claimed",
        metavar="DAYS",
        min=0,
        max=_MAX_DAYS,
        help="Seats that were assigned at least DAYS ago and never claimed.",
    ),
]
InactiveOpt = Annotated[
    int | None,
    typer.Option(
        "--inactive",
        metavar="DAYS",
        min=0,
        max=_MAX_DAYS,
        help="Seats of users who were last active at least DAYS ago.",
    ),
]
SuspendedOpt = Annotated[bool, typer.Option("--suspended", help="Seats of suspended users.")]
GraceOpt = Annotated[
    str | None,
    typer.Option("--grace", metavar="SPAN", help="Warn by mail, and revoke after this time, such as 7d."),
]
MaxRevokeOpt = Annotated[
    str, typer.Option("--max-revoke", metavar="N|P%", help="Refuse to revoke more seats.")
]


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

    The new seat ends when the old one would have.

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
    """Give the seat of one user in SUBSCRIPTION to another; no seat has to be free.

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
    max_revoke: MaxRevokeOpt = "10%",
) -> None:
    """Revoke idle seats of SUBSCRIPTION; what is billed does not change.

    Users with `users edit --exempt` keep their seats. --inactive skips users whose activity was never
    reported. With --grace the first run warns, and a later run revokes the seats that are still idle.

    Examples:
      seatctl seats reclaim design --inactive 90 --grace 7d
      seatctl seats reclaim design --suspended --never-claimed 30 --dry-run
    """
    import shlex

    from seatctl.errors import UsageError
    from seatctl.rules.dates import span
    from seatctl.rules.revocations import limit
    from seatctl.services.seats.move import ReclaimOptions, reclaim_seats

    if never_claimed is None and inactive is None and not suspended:
        raise UsageError(
            "say which seats count as idle: --never-claimed DAYS, --inactive DAYS or --suspended",
            hint=shlex.join(["seatctl", "seats", "reclaim", subscription, "--inactive", "90"]),
        )
    ctx = context(typer_ctx)
    options = ReclaimOptions(
        limit(max_revoke), never_claimed, inactive, suspended, None if grace is None else span(grace)
    )
    ctx.emit(reclaim_seats(ctx.ledger, ctx.call, subscription, options), handle="email")
