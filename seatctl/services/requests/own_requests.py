"""`requests create` and `cancel` with a database role that may only request, for its own person.

The server does it, and decides nothing: see `ledger/schema/postgres/own_requests.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from seatctl.errors import Code, ExitCode, JsonValue, SeatctlError, refuse
from seatctl.ledger import own_requests, requests, subscription_handles, users
from seatctl.ledger.ledger import Ledger, Reader
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, change_report, record_of, unchanged_report
from seatctl.models.request import SeatRequestOptions
from seatctl.rules.emails import email_key

COLUMNS = ("number", "email", "subscription", "status", "place", "result", "error")
_NO_ROW: dict[str, JsonValue] = dict.fromkeys(COLUMNS)


def only_requests(ledger: Ledger) -> bool:
    """Return whether this connection may request, but may not write itself."""
    rights = ledger.rights
    return rights.requester is not None and not rights.writes


def create(ledger: Ledger, call: Call, wanted: SeatRequestOptions) -> Report:
    """Request a seat. Somebody with the right to decide does so later, even if the rules would give a seat.

    Raises UnknownSubscription, UnknownUser, NotAllowed for another person, and the refusals of the server.
    """
    _require_own(ledger, wanted)
    with ledger.own_change(dry_run=call.dry_run) as journal:
        subscription = None
        if wanted.subscription is not None:
            subscription = subscription_handles.find(journal, wanted.subscription)
        name = "any subscription" if subscription is None else subscription.name
        outcome = own_requests.request_seat(
            journal,
            call,
            None if subscription is None else subscription.id,
            wanted.features,
            wanted.note,
            wanted.expires_at,
        )
        if outcome.word == "already seated":
            seated = {**_NO_ROW, "email": wanted.email, "subscription": name, "result": outcome.word}
            return unchanged_report(call, f"{wanted.email} already has a seat in {name}", [seated], COLUMNS)
        if outcome.number is None:
            raise _refusal(outcome.word, wanted, name)
        row = _row(journal, outcome.number, call.now, outcome.word)
    subject = f"request {outcome.number} of {wanted.email} for {name}"
    if outcome.word == "requested":
        undo = f"seatctl requests cancel {outcome.number}"
        return _report(call, outcome.run, f"made {subject}, which waits for approval", [row], undo=undo)
    place = row["place"]
    state = "already waits for approval" if place is None else f"is already number {place} on the waitlist"
    code = ExitCode.DONE if place is None else ExitCode.WAITING
    return replace(unchanged_report(call, f"{subject} {state}", [row], COLUMNS), exit_code=code)


def cancel(ledger: Ledger, call: Call, numbers: Sequence[int]) -> Report:
    """Cancel own requests. Of several, a refusal becomes a row (exit 6)."""
    rows: list[Record] = []
    runs: list[int] = []
    with ledger.own_change(dry_run=call.dry_run) as journal:
        for number in dict.fromkeys(numbers):
            outcome = own_requests.cancel(journal, call, number)
            runs += [] if outcome.run is None else [outcome.run]
            error = _cancel_error(number, outcome.word)
            if error is None:
                result = "already canceled" if outcome.run is None else "canceled"
                rows.append(_row(journal, number, call.now, result))
            elif len(set(numbers)) == 1:
                raise error
            else:
                rows.append({**_NO_ROW, "number": number, "result": "failed", "error": error.message})
    code = ExitCode.PARTIAL if any(row["error"] is not None for row in rows) else ExitCode.DONE
    several = len(rows) > 1
    if not runs:
        summary = "no request was canceled" if several else f"request {numbers[0]} is already canceled"
        return replace(unchanged_report(call, summary, rows, COLUMNS), exit_code=code)
    what = f"{len(runs)} of {len(rows)} requests" if several else f"request {numbers[0]}"
    return replace(_report(call, runs[0], f"canceled {what}", rows), exit_code=code)


def _report(
    call: Call, run: int | None, summary: str, rows: Sequence[Record], *, undo: str | None = None
) -> Report:
    if call.dry_run:
        return change_report(summary, rows, COLUMNS, dry_run=True)
    return Report(run, False, summary, rows, undo=undo, columns=COLUMNS)


def _row(reader: Reader, number: int, now: datetime, result: str) -> Record:
    request = requests.find(reader, number, now)
    return {
        **record_of(request, "number email subscription status"),
        "place": requests.place(reader, number, now),
        "result": "pending" if result == "requested" else result,
        "error": None,
    }


def _require_own(ledger: Ledger, wanted: SeatRequestOptions) -> None:
    """Raise NotAllowed unless it is a request of the role's own person, without advantages."""
    rights = ledger.rights
    own = users.quoted(rights.actor or "")
    problem = None
    if email_key(wanted.email) != rights.requester:
        problem = f"for {rights.actor} only, not for {wanted.email}"
    elif wanted.priority or wanted.create_users:
        problem = "without --priority and --create-users"
    if problem is not None:
        raise refuse(
            Code.NOT_ALLOWED,
            f"this database role may request a seat {problem}",
            hint=f"seatctl requests create {own}",
            data={"email": wanted.email},
        )


def _refusal(code: str, wanted: SeatRequestOptions, name: str) -> SeatctlError:
    """Return the error for a refusal of the server."""
    email = wanted.email
    look = f"seatctl check {users.quoted(email)}"
    refusals = {
        "user_not_active": (Code.USER_NOT_ACTIVE, f"{email} is not an active user"),
        "foreign_ledger": (Code.FOREIGN_LEDGER, f"{name} belongs to another ledger"),
        "subscription_not_active": (
            Code.SUBSCRIPTION_NOT_ACTIVE,
            f"{name} is not running; no seats can be assigned",
        ),
    }
    if code == "unknown_user":
        add = f"seatctl users add {users.quoted(email)}"
        return users.UnknownUser(f"there is no user {email!r}", hint=add, data={"email": email})
    if code in refusals:
        kind, message = refusals[code]
        return refuse(kind, message, hint=look, data={"email": email})
    missing = f"a seat in {name} does not grant {', '.join(wanted.features)}"
    hint = "without --subscription, one that does is chosen"
    return refuse(Code.BAD_REQUEST, missing, hint=hint)


def _cancel_error(number: int, word: str) -> SeatctlError | None:
    if word == "unknown_request":
        return requests.UnknownRequest(
            f"you have no request {number}", hint="seatctl requests list", data={"request": number}
        )
    if word in {"canceled now", "canceled"}:
        return None
    return refuse(
        Code.REQUEST_CLOSED,
        f"request {number} is already {word}",
        hint="seatctl requests list --all",
        data={"request": number, "status": word},
    )
