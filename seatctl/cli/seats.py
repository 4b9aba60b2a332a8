"""`seatctl seats`: list, assign, revoke, claim, move, swap and reclaim seats; `apply` has its own file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import (
    Commands,
    EmailsArg,
    FromOpt,
    MapOpt,
    OptionalSubscriptionArg,
    SkipBadOpt,
    SubscriptionArg,
    argument,
    option,
)
from seatctl.cli.seats_apply import apply
from seatctl.errors import UsageError
from seatctl.output.style import columns

if TYPE_CHECKING:
    from seatctl.ledger.transaction import Reader
    from seatctl.services.users.people import People


app = Commands()

LISTED = "subscription email name assigned_at until claimed_at revoked_at"
"""The keys of `seats list`. Imports read such a list, and know its columns from here."""

CreateUsersOpt = Annotated[
    bool, option("--create-users", "Add the people who are not users yet, then seat them.")
]
FillOpt = Annotated[
    bool, option("--fill", "Seat as many people as fit, in the given order (exit 6 if some do not).")
]
SearchOpt = Annotated[str | None, option("--search TEXT", "Only people whose name or e-mail contains TEXT.")]
UserOpt = Annotated[str | None, option("--user EMAIL", "Only the seats of this user.")]
AllOpt = Annotated[bool, option("--all", "Also seats that were revoked or have ended.")]
UnclaimedOpt = Annotated[bool, option("--unclaimed", "Only seats whose activation code was never used.")]
AsOfOpt = Annotated[str | None, option("--as-of DATE", "The seats at that date or time.")]
CodeOpt = Annotated[str, option("--code -", "Read the activation code from stdin.", show_default=False)]
UntilOpt = Annotated[str | None, option("--until DATE", "When the seats end: a date or a time.")]
ForOpt = Annotated[str | None, option("--for SPAN", "How long the seats last, such as 30d.")]
HandleArg = Annotated[str | None, argument("[SUBSCRIPTION|EMAIL]", "A subscription or a user.")]


_MAX_DAYS = 36_500
"""A century: with more days the date would be out of range."""

NewSubscriptionArg = Annotated[str, argument("NEWSUB", "The subscription to move to.")]
OldArg = Annotated[str, argument("OLD", "The user who gives up the seat.")]
NewArg = Annotated[str, argument("NEW", "The user who gets the seat.")]
NeverClaimedOpt = Annotated[
    int | None,
    option(
        "--never-claimed DAYS",
        "Seats that were assigned at least DAYS ago and never claimed.",
        min=0,
        max=_MAX_DAYS,
    ),
]
InactiveOpt = Annotated[
    int | None,
    option("--inactive DAYS", "Seats of users who were last active at least DAYS ago.", min=0, max=_MAX_DAYS),
]
SuspendedOpt = Annotated[bool, option("--suspended", "Seats of suspended users.")]
GraceOpt = Annotated[
    str | None, option("--grace SPAN", "Warn by mail, and revoke after this time, such as 7d.")
]
MaxRevokeOpt = Annotated[str, option("--max-revoke N|P%", "Refuse to revoke more seats.")]


@app.command("list")
def list_seats(
    ctx: Context,
    subscription: OptionalSubscriptionArg = None,
    search: SearchOpt = None,
    user: UserOpt = None,
    everything: AllOpt = False,
    unclaimed: UnclaimedOpt = False,
    as_of: AsOfOpt = None,
) -> None:
    """List the people who have a seat in SUBSCRIPTION, or in any subscription.

    --as-of lists the seats of an earlier time; a date means the end of that day. `seats assign --from` and
    `users import` read what -o csv prints.

    Examples:
      seatctl seats list design
      seatctl seats list --search zoe -o json
      seatctl seats list --user zoe@example.com --all
      seatctl seats list design --unclaimed
      seatctl seats list design --as-of 2026-12-31
    """
    from seatctl.ledger import seat_lists
    from seatctl.models.call import format_time

    with ctx.ledger.reading() as reader:
        seat_filter = seat_lists.SeatFilter(
            now=format_time(ctx.now),
            subscription_id=_subscription_id(reader, subscription),
            user_id=_user_id(reader, user),
            text=search,
            over=everything,
            unclaimed=unclaimed,
            as_of=_past_moment(ctx, as_of, everything=everything),
        )
        ctx.emit_list(
            seat_lists.listing(reader, seat_filter),
            columns(LISTED, machine="" if everything else "revoked_at"),
            handle="email",
            total=lambda: seat_lists.count(reader, seat_filter),
        )


@app.command()
def assign(
    ctx: Context,
    subscription: SubscriptionArg,
    emails: EmailsArg = None,
    source: FromOpt = None,
    mapping: MapOpt = None,
    skip_bad: SkipBadOpt = False,
    create_users: CreateUsersOpt = False,
    fill: FillOpt = False,
    until: UntilOpt = None,
    span: ForOpt = None,
) -> None:
    """Assign seats of SUBSCRIPTION to users.

    Everything is checked before anything is written: with a bad row (exit 3) or too few seats (exit 4)
    nobody is seated. Users who have a seat already keep it; --until and --for change its end.

    Examples:
      seatctl seats assign design zoe@example.com bob@example.com
      seatctl seats assign design zoe@example.com --until 2027-01-31
      seatctl seats assign design --from people.csv --create-users
      seatctl seats assign design --from - --map email='Work Email' --fill
    """
    from dataclasses import replace

    from seatctl.services.seats.assign import assign_seats

    people = _people(emails, source, mapping, skip_bad=skip_bad)
    people = replace(people, until=_end(ctx, until, span))
    report = assign_seats(ctx.ledger, ctx.call, subscription, people, create_users=create_users, fill=fill)
    ctx.emit(report, handle="email")


@app.command()
def revoke(
    ctx: Context,
    subscription: SubscriptionArg,
    emails: EmailsArg = None,
    source: FromOpt = None,
    mapping: MapOpt = None,
    skip_bad: SkipBadOpt = False,
) -> None:
    """Revoke seats of SUBSCRIPTION; what is billed does not change.

    A free seat goes to the first user on the waitlist.

    Examples:
      seatctl seats revoke design zoe@example.com
      seatctl seats revoke design --from leavers.csv
    """
    from seatctl.services.seats.assign import revoke_seats

    people = _people(emails, source, mapping, skip_bad=skip_bad)
    ctx.emit(revoke_seats(ctx.ledger, ctx.call, subscription, people), handle="email")


@app.command()
def claim(ctx: Context, code: CodeOpt = "-") -> None:
    """Claim a seat with the activation code that was sent to its user.

    The code is read from stdin, or asked for at a terminal. It is never an argument.

    Examples:
      seatctl seats claim --code -
      pbpaste | seatctl seats claim --code -
    """
    from seatctl.input.lines import stdin_line
    from seatctl.services.seats.claim import claim_seat

    if code != "-":
        raise UsageError(
            "do not give the code as an argument: it would stay in the shell's history",
            hint="seatctl seats claim --code -",
        )
    at_terminal = ctx.interactive
    typed = ctx.ask("Activation code", flag="--code -", hidden=True) if at_terminal else stdin_line(200)
    ctx.emit(claim_seat(ctx.ledger, ctx.call, typed), handle="email")


@app.command()
def history(ctx: Context, handle: HandleArg = None) -> None:
    """Show when and by whom seats were assigned and revoked.

    Examples:
      seatctl seats history design
      seatctl seats history zoe@example.com -o json
    """
    from seatctl.ledger import seat_lists
    from seatctl.models.call import format_time

    is_user = handle is not None and "@" in handle
    with ctx.ledger.reading() as reader:
        seat_filter = seat_lists.SeatFilter(
            now=format_time(ctx.now),
            subscription_id=None if is_user else _subscription_id(reader, handle),
            user_id=_user_id(reader, handle) if is_user else None,
            over=True,
        )
        ctx.emit_list(
            seat_lists.history(reader, seat_filter),
            columns(
                "subscription email assigned_at assigned_by assigned_run until revoked_at revoked_by"
                " revoked_run",
                machine="assigned_run until revoked_run",
                titles={"assigned_by": "By", "assigned_run": "Run", "revoked_by": "By", "revoked_run": "Run"},
            ),
            handle="email",
            total=lambda: seat_lists.count(reader, seat_filter),
        )


@app.command()
def move(
    ctx: Context,
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
    from seatctl.services.seats.assign import move_seats

    people = _people(emails, source, mapping, skip_bad=skip_bad)
    ctx.emit(move_seats(ctx.ledger, ctx.call, subscription, new, people), handle="email")


@app.command()
def swap(ctx: Context, subscription: SubscriptionArg, old: OldArg, new: NewArg) -> None:
    """Give the seat of one user in SUBSCRIPTION to another; no seat has to be free.

    Examples:
      seatctl seats swap design zoe@example.com bob@example.com
    """
    from seatctl.services.seats.assign import swap_seats

    ctx.emit(swap_seats(ctx.ledger, ctx.call, subscription, old, new), handle="email")


@app.command()
def reclaim(
    ctx: Context,
    subscription: SubscriptionArg,
    never_claimed: NeverClaimedOpt = None,
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

    from seatctl.rules.assignment import read_revocation_limit
    from seatctl.rules.dates import span
    from seatctl.services.seats.assign import ReclaimOptions, reclaim_seats

    if never_claimed is None and inactive is None and not suspended:
        raise UsageError(
            "say which seats count as idle: --never-claimed DAYS, --inactive DAYS or --suspended",
            hint=shlex.join(["seatctl", "seats", "reclaim", subscription, "--inactive", "90"]),
        )
    options = ReclaimOptions(
        read_revocation_limit(max_revoke),
        never_claimed,
        inactive,
        suspended,
        None if grace is None else span(grace),
    )
    ctx.emit(reclaim_seats(ctx.ledger, ctx.call, subscription, options), handle="email")


app.command()(apply)


def _subscription_id(reader: Reader, handle: str | None) -> int | None:
    if handle is None:
        return None
    from seatctl.ledger import subscription_handles

    return subscription_handles.find(reader, handle).id


def _user_id(reader: Reader, email: str | None) -> int | None:
    if email is None:
        return None
    from seatctl.ledger import users

    return users.require(reader, email).id


def _past_moment(ctx: Context, text: str | None, *, everything: bool) -> str | None:
    """Return --as-of in the written form; today means now. Raises UsageError for the future."""
    if text is None:
        return None
    from seatctl.models.call import format_time
    from seatctl.rules.dates import moment_after

    if everything:
        raise UsageError(
            "--all and --as-of cannot be used together", hint="for every seat: seatctl seats history"
        )
    moment = moment_after(text, ctx.now)
    if moment.date() > ctx.now.date():
        raise UsageError("--as-of is in the future", hint=f"--as-of {ctx.now:%Y-%m-%d}")
    return format_time(min(moment, ctx.now))


def _end(ctx: Context, until: str | None, span: str | None) -> str | None:
    """Return when the seats end, in the written form; None if neither option was given."""
    if until is None and span is None:
        return None
    from seatctl.models.call import format_time
    from seatctl.rules import dates

    if until is not None and span is not None:
        raise UsageError("--until and --for cannot be used together", hint="give one of them")
    if span is not None:
        return format_time(ctx.now + dates.span(span))
    return format_time(dates.moment_after(until or "", ctx.now))


def _people(
    emails: list[str] | None, source: str | None, mapping: list[str] | None, *, skip_bad: bool
) -> People:
    from seatctl.services.users.people import People

    columns: dict[str, str] = {}
    if mapping:
        from seatctl.input.columns import renames

        columns = renames(mapping)
    return People(tuple(emails or ()), source, columns, skip_bad)
