"""`seatctl requests`: request seats, and decide requests."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import (
    LAST_NUMBER,
    Commands,
    EmailArg,
    OptionalSubscriptionArg,
    SubscriptionOpt,
    argument,
    option,
)
from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.models.report import Record, record_of
from seatctl.models.request import RequestStatus, SeatRequest, SeatRequestOptions
from seatctl.output.style import Format, columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


app = Commands()

_WHICH = "number email subscription status"
_DETAILS = "features priority note created_at expires_at decided_by decided_at reason"
_KEYS = f"{_WHICH} place {_DETAILS}"

NumberArg = Annotated[int, argument("NUMBER", "The number of a request.", max=LAST_NUMBER)]
NumbersArg = Annotated[list[str], argument("NUMBER...", "Numbers of requests.")]
SomeNumbersArg = Annotated[list[str] | None, argument("[NUMBER]...", "Numbers of requests.")]
AllOpt = Annotated[bool, option("--all", "Every pending request that you may decide.")]
NumbersFromOpt = Annotated[
    str | None, option("--from FILE|-", "Read the numbers: one per line, or a CSV of requests list.")
]
CreateUsersOpt = Annotated[bool, option("--create-users", "Add the user if the e-mail is not a user yet.")]
NoteOpt = Annotated[str | None, option("--note TEXT", "Why the seat is needed.")]
PriorityOpt = Annotated[
    int, option("--priority N", "Higher goes first on the waitlist.", min=-1000, max=1000)
]
ExpiresOpt = Annotated[str | None, option("--expires 14d|DATE", "When the request expires.")]
FeatureOpt = Annotated[
    list[str] | None, option("--feature NAME", "Without a subscription: a feature that the seat must grant.")
]
ReasonOpt = Annotated[str | None, option("--reason TEXT", "The reason that the user is sent.")]
StatusOpt = Annotated[
    RequestStatus | None,
    option("--status STATUS", "pending, waitlisted, approved, denied, canceled or expired."),
]
EveryOpt = Annotated[bool, option("--all", "Also decided requests.")]
UserOpt = Annotated[str | None, option("--user EMAIL", "Only this user's requests.")]


@app.command()
def create(
    ctx: Context,
    email: EmailArg,
    subscription: SubscriptionOpt = None,
    note: NoteOpt = None,
    priority: PriorityOpt = 0,
    expires: ExpiresOpt = None,
    feature: FeatureOpt = None,
    create_users: CreateUsersOpt = False,
) -> None:
    """Request a seat for EMAIL.

    If the subscription approves automatically, the user gets a free seat at once, or a place on the waitlist
    (exit 10). Without --subscription, one is chosen by the features wanted, then by free seats, then by the
    later renewal. Anyone may request a seat for themselves.

    Examples:
      seatctl requests create zoe@example.com --subscription design --note 'new in the team'
      seatctl requests create zoe@example.com --feature reports --expires 14d
    """
    from seatctl.rules.dates import moment_after
    from seatctl.services.requests.decide import create_request

    expires_at = None if expires is None else moment_after(expires, ctx.now)
    options = SeatRequestOptions(
        email, subscription, note, priority, expires_at, tuple(feature or ()), create_users
    )
    ctx.emit(create_request(ctx.ledger, ctx.call, options), handle="number")


@app.command("list")
def list_requests(
    ctx: Context,
    subscription: OptionalSubscriptionArg = None,
    status: StatusOpt = None,
    user: UserOpt = None,
    everything: EveryOpt = False,
) -> None:
    """List the requests that wait for a decision or a seat; with --all the decided ones too.

    A table begins with the newest request; other formats begin with the oldest, which is approved first.

    Examples:
      seatctl requests list
      seatctl requests list --all --user zoe@example.com
      seatctl requests list design -o json
    """
    from seatctl.ledger import requests, subscription_handles, users
    from seatctl.models.call import format_time

    with ctx.ledger.reading() as reader:
        request_filter = requests.RequestFilter(
            now=format_time(ctx.now),
            subscription_id=subscription_handles.find(reader, subscription).id if subscription else None,
            user_id=users.require(reader, user).id if user else None,
            status=status,
            undecided=not everything and status is None,
            newest_first=ctx.style.format is Format.TABLE and not ctx.style.quiet,
        )
        places = cache(lambda: requests.places(reader, ctx.now))
        ctx.emit_list(
            (
                _record(request, lambda waiting: places().get(waiting.number))
                for request in requests.listing(reader, request_filter)
            ),
            columns(_KEYS, machine="features priority expires_at decided_at reason"),
            handle="number",
            total=lambda: requests.count(reader, request_filter),
        )


@app.command()
def show(ctx: Context, number: NumberArg) -> None:
    """Show a request, with its place on the waitlist.

    Examples:
      seatctl requests show 3
    """
    from seatctl.ledger import requests

    with ctx.ledger.reading() as reader:
        request = requests.find(reader, number, ctx.now)
        record = _record(request, lambda waiting: requests.place(reader, waiting.number, ctx.now))
        ctx.emit_one(record, columns(_KEYS), handle="number")


@app.command()
def approve(
    ctx: Context,
    numbers: SomeNumbersArg = None,
    everything: AllOpt = False,
    source: NumbersFromOpt = None,
    subscription: SubscriptionOpt = None,
) -> None:
    """Approve requests: each user gets a free seat, or a place on the waitlist (exit 10).

    With --all, --subscription approves only the requests for this subscription and for any.

    Examples:
      seatctl requests approve 1
      seatctl requests approve 3 5 9
      seatctl requests approve 4 --subscription design
      seatctl requests approve --all
      seatctl requests list --status pending -o csv | seatctl requests approve --from -
    """
    from seatctl.services.requests.decide import approve_requests

    selected = _selected_numbers(numbers, source, everything=everything)
    ctx.emit(approve_requests(ctx.ledger, ctx.call, selected, subscription), handle="number")


@app.command()
def deny(
    ctx: Context,
    numbers: SomeNumbersArg = None,
    everything: AllOpt = False,
    source: NumbersFromOpt = None,
    reason: ReasonOpt = None,
) -> None:
    """Deny requests.

    Examples:
      seatctl requests deny 2 --reason 'use the shared account'
    """
    from seatctl.services.requests.decide import deny_requests

    selected = _selected_numbers(numbers, source, everything=everything)
    ctx.emit(deny_requests(ctx.ledger, ctx.call, selected, reason), handle="number")


@app.command()
def cancel(ctx: Context, numbers: NumbersArg) -> None:
    """Cancel requests; anyone may cancel their own.

    Examples:
      seatctl requests cancel 2
    """
    from seatctl.services.requests.decide import cancel_requests

    ctx.emit(cancel_requests(ctx.ledger, ctx.call, _typed_numbers(numbers)), handle="number")


def _record(request: SeatRequest, place: Callable[[SeatRequest], int | None]) -> Record:
    waiting = request.status is RequestStatus.WAITLISTED
    return {
        **record_of(request, _WHICH),
        "place": place(request) if waiting else None,
        **record_of(request, _DETAILS),
    }


def _typed_numbers(arguments: Sequence[str]) -> list[int]:
    """Return the numbers given as arguments. Raises UsageError, naming all that are not numbers."""
    from seatctl.rules.typed_values import MOST, whole_number

    numbers = [(text, whole_number(text.strip(), MOST)) for text in arguments]
    bad = [repr(text) for text, number in numbers if number is None]
    if bad:
        expected = "a whole number" if len(bad) == 1 else "whole numbers"
        raise UsageError(f"NUMBER takes {expected}; not {', '.join(bad)}", hint="seatctl requests list")
    return [number for _, number in numbers if number is not None]


def _selected_numbers(
    arguments: list[str] | None, source: str | None, *, everything: bool
) -> list[int] | None:
    """Return the numbers of the requests, or None for all. Raises UsageError unless one way is used."""
    if (bool(arguments) + (source is not None) + everything) != 1:
        raise UsageError(
            "name the requests by number, with --all, or with --from FILE", hint="seatctl requests list"
        )
    if everything:
        return None
    return _read_numbers(source) if source is not None else _typed_numbers(arguments or ())


def _read_numbers(source: str) -> list[int]:
    """Return the numbers of a file: one per line, or the column `number` of a table.

    Raises `bad_rows` with every bad line, `file_not_found`, `empty_file`, NoSuchColumn.
    """
    import io

    from seatctl.input.lines import open_bytes
    from seatctl.input.tables import open_table

    stream, name = open_bytes(source, None)
    with stream:
        data = stream.read()
    lines = data.decode("utf-8-sig", "replace").splitlines()
    first = next((line.strip() for line in lines if line.strip()), "")
    if first.isdigit():
        rows = list(enumerate(lines, 1))
    else:
        with open_table(source, ("number",), needs=("number",), stdin=io.BytesIO(data)) as table:
            rows = [(row.line, row.values[0] if row.problem is None else row.problem) for row in table]
    filled = [(line, text.strip()) for line, text in rows if text.strip()]
    bad: list[JsonValue] = [
        {"line": line, "error": f"{text!r} is not the number of a request"}
        for line, text in filled
        if not _is_number(text)
    ]
    if bad:
        raise refuse(
            Code.BAD_ROWS,
            f"{len(bad)} of {len(filled)} lines of {name} do not have the number of a request",
            hint="to see the numbers: seatctl requests list -q",
            data={"rows": bad},
        )
    return [int(text) for _, text in filled]


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 12
