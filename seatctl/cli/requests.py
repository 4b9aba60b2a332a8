"""`seatctl requests`: asking for seats, and deciding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import (
    LAST_NUMBER,
    EmailArg,
    OptionalSubscriptionArg,
    SubscriptionOpt,
    context,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from seatctl.models.report import Record
    from seatctl.models.request import SeatRequest
    from seatctl.output.style import Column

app = typer.Typer()

NumberArg = Annotated[
    int,
    typer.Argument(metavar="NUMBER", help="A request's number.", show_default=False, max=LAST_NUMBER),
]
NumbersArg = Annotated[
    list[str], typer.Argument(metavar="NUMBER...", help="Requests' numbers.", show_default=False)
]
SomeNumbersArg = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NUMBER]...", help="Requests' numbers.", show_default=False),
]
AllOpt = Annotated[bool, typer.Option("--all", help="Every request that awaits a decision of yours.")]
NumbersFromOpt = Annotated[
    str | None,
    typer.Option("--from", metavar="FILE|-", help="Read the numbers: one a line, or what list prints."),
]
CreateUsersOpt = Annotated[
    bool, typer.Option("--create-users", help="Add the user where there is none of this e-mail.")
]
NoteOpt = Annotated[str | None, typer.Option("--note", metavar="TEXT", help="Why the seat is needed.")]
PriorityOpt = Annotated[
    int,
    typer.Option("--priority", metavar="N", help="Higher goes first on the waitlist.", min=-1000, max=1000),
]
ExpiresOpt = Annotated[
    str | None, typer.Option("--expires", metavar="14d|DATE", help="Until when the request stands.")
]
FeatureOpt = Annotated[
    list[str] | None,
    typer.Option("--feature", metavar="NAME", help="Without a subscription: what its seat must grant."),
]
ReasonOpt = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="What the user is told.")]
StatusOpt = Annotated[
    str | None,
    typer.Option(
        "--status", metavar="STATUS", help="pending, waitlisted, approved, denied, canceled or expired."
    ),
]
EveryOpt = Annotated[bool, typer.Option("--all", help="Also the requests that are decided.")]
UserOpt = Annotated[str | None, typer.Option("--user", metavar="EMAIL", help="Only this user's requests.")]


@app.command()
def create(
    typer_ctx: typer.Context,
    email: EmailArg,
    subscription: SubscriptionOpt = None,
    note: NoteOpt = None,
    priority: PriorityOpt = 0,
    expires: ExpiresOpt = None,
    feature: FeatureOpt = None,
    create_users: CreateUsersOpt = False,
) -> None:
    """Ask for a seat for EMAIL.

    Where the subscription approves automatically and a seat is free, the user is seated at once; where
    none is free, the request waits for one (exit 10). Where no subscription is named, it is chosen by the
    features wanted, then by free seats, then by the later renewal. Anyone may ask for themselves.

    Examples:
      seatctl requests create zoe@example.com --subscription design --note 'new in the team'
      seatctl requests create zoe@example.com --feature reports --expires 14d
    """
    from seatctl.rules.dates import moment_after
    from seatctl.services.requests.create import SeatRequestOptions, create_request

    ctx = context(typer_ctx)
    ends = None if expires is None else moment_after(expires, ctx.now)
    wish = SeatRequestOptions(email, subscription, note, priority, ends, tuple(feature or ()), create_users)
    ctx.emit(create_request(ctx.ledger, ctx.call, wish), handle="number")


@app.command("list")
def list_requests(
    typer_ctx: typer.Context,
    subscription: OptionalSubscriptionArg = None,
    status: StatusOpt = None,
    user: UserOpt = None,
    everything: EveryOpt = False,
) -> None:
    """List the requests that await a decision or a seat; with --all the decided ones too.

    A table begins with the newest, other formats with the oldest, in which order they are approved.

    Examples:
      seatctl requests list
      seatctl requests list --all --user zoe@example.com
      seatctl requests list design -o json
    """
    from functools import cache

    from seatctl.errors import UsageError
    from seatctl.ledger import requests, subscriptions, users
    from seatctl.models.call import format_time
    from seatctl.models.request import RequestStatus
    from seatctl.output.style import Format

    ctx = context(typer_ctx)
    if status is not None and status not in list(RequestStatus):
        known = ", ".join(RequestStatus)
        raise UsageError(f"--status takes {known}; not {status!r}", hint="--status pending")
    with ctx.ledger.reading() as reader:
        chosen = requests.RequestFilter(
            now=format_time(ctx.now),
            subscription_id=subscriptions.find(reader, subscription, ctx.now).id if subscription else None,
            user_id=users.require(reader, user).id if user else None,
            status=RequestStatus(status) if status else None,
            undecided=not everything and status is None,
            newest_first=ctx.style.format is Format.TABLE and not ctx.style.quiet,
        )
        places = cache(lambda: requests.places(reader, ctx.now))
        ctx.emit_list(
            (
                _record(request, lambda one: places().get(one.number))
                for request in requests.listing(reader, chosen)
            ),
            _columns(),
            handle="number",
            total=lambda: requests.count(reader, chosen),
        )


@app.command()
def show(typer_ctx: typer.Context, number: NumberArg) -> None:
    """Show a request, with its place where it waits for a seat.

    Examples:
      seatctl requests show 3
    """
    from seatctl.ledger import requests

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        request = requests.find(reader, number, ctx.now)
        record = _record(request, lambda one: requests.place(reader, one, ctx.now))
        ctx.emit_one(record, _columns(all_of_them=True), handle="number")


@app.command()
def approve(
    typer_ctx: typer.Context,
    numbers: SomeNumbersArg = None,
    everything: AllOpt = False,
    source: NumbersFromOpt = None,
    subscription: SubscriptionOpt = None,
) -> None:
    """Approve requests: their users are seated, or wait for a seat (exit 10).

    With --all, --subscription takes only the requests for it and those for any.

    Examples:
      seatctl requests approve 1
      seatctl requests approve 3 5 9
      seatctl requests approve 4 --subscription design
      seatctl requests approve --all
      seatctl requests list --status pending -o csv | seatctl requests approve --from -
    """
    from seatctl.cli.requests_numbers import chosen_numbers
    from seatctl.services.requests.decide import approve_requests

    ctx = context(typer_ctx)
    chosen = chosen_numbers(numbers, source, everything=everything)
    ctx.emit(approve_requests(ctx.ledger, ctx.call, chosen, subscription), handle="number")


@app.command()
def deny(
    typer_ctx: typer.Context,
    numbers: SomeNumbersArg = None,
    everything: AllOpt = False,
    source: NumbersFromOpt = None,
    reason: ReasonOpt = None,
) -> None:
    """Deny requests.

    Examples:
      seatctl requests deny 2 --reason 'use the shared account'
    """
    from seatctl.cli.requests_numbers import chosen_numbers
    from seatctl.services.requests.decide import deny_requests

    ctx = context(typer_ctx)
    chosen = chosen_numbers(numbers, source, everything=everything)
    ctx.emit(deny_requests(ctx.ledger, ctx.call, chosen, reason), handle="number")


@app.command()
def cancel(typer_ctx: typer.Context, numbers: NumbersArg) -> None:
    """Take requests back; anyone may take back their own.

    Examples:
      seatctl requests cancel 2
    """
    from seatctl.cli.requests_numbers import typed_numbers
    from seatctl.services.requests.decide import cancel_requests

    ctx = context(typer_ctx)
    ctx.emit(cancel_requests(ctx.ledger, ctx.call, typed_numbers(numbers)), handle="number")


def _record(request: SeatRequest, place: Callable[[SeatRequest], int | None]) -> Record:
    from seatctl.models.call import format_time
    from seatctl.models.request import RequestStatus

    waits = request.status is RequestStatus.WAITLISTED
    return {
        "number": request.number,
        "email": request.email,
        "subscription": request.subscription,
        "status": request.status.value,
        "place": place(request) if waits else None,
        "features": list(request.features),
        "priority": request.priority,
        "note": request.note,
        "created_at": format_time(request.created_at),
        "expires_at": None if request.expires_at is None else format_time(request.expires_at),
        "decided_by": request.decided_by,
        "decided_at": None if request.decided_at is None else format_time(request.decided_at),
        "reason": request.reason,
    }


def _columns(*, all_of_them: bool = False) -> tuple[Column, ...]:
    """Of a list; a table of one request has room for all of them."""
    from seatctl.output.style import Column

    columns = (
        Column("number", "Number", "integer"),
        Column("email", "E-mail"),
        Column("subscription", "Subscription"),
        Column("status", "Status"),
        Column("place", "Place", "integer"),
        Column("features", "Features", "list", table=False),
        Column("priority", "Priority", "integer", table=False),
        Column("note", "Note"),
        Column("created_at", "Created", "time"),
        Column("expires_at", "Expires", "time", table=False),
        Column("decided_by", "Decided by"),
        Column("decided_at", "Decided", "time", table=False),
        Column("reason", "Reason", table=False),
    )
    return tuple(column._replace(table=True) for column in columns) if all_of_them else columns
