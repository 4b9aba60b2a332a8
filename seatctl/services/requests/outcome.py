"""The result of a request, described in the same way by every command about requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.errors import Code, ExitCode, JsonValue, refuse
from seatctl.ledger import requests, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.message import Template
from seatctl.models.report import Record, Report, record_of
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.subscription import Subscription

MAX_CHARACTERS = 1000
COLUMNS = ("number", "email", "subscription", "status", "place", "result", "error", "sign_in_url")
_KEYS = ("number", "email", "subscription", "status", "place", "why", "result", "error", "sign_in_url")


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The result for one request: the row of the report, and the sentence that describes it."""

    row: Record
    sentence: str
    changed: bool = True
    """False if the request was refused, or was so already."""


def result_row(request: SeatRequest | None, result: str, **values: JsonValue) -> Record:
    """Return the row of a report; `values` replace the request's own."""
    row: dict[str, JsonValue] = dict.fromkeys(_KEYS)
    if request is not None:
        row |= record_of(request, "number email subscription status")
    return {**row, "result": result, **values}


def require_short(option: str, text: str | None) -> None:
    """Raise `bad_request` if a text is too long for a mail. `option` is named in it."""
    if text is not None and len(text) > MAX_CHARACTERS:
        raise refuse(
            Code.BAD_REQUEST, f"{option} may have {MAX_CHARACTERS:,} characters at most; it has {len(text):,}"
        )


def homes(tx: Transaction, ledger: Ledger) -> Iterator[Subscription]:
    """Return the subscriptions whose home is this ledger."""
    return (
        subscription
        for subscription in subscriptions.listing(tx, tx.call.now)
        if subscription.home_ledger == ledger.id
    )


def put_on_waitlist(tx: Transaction, request: SeatRequest, *, by: str) -> None:
    """Put an approved request on the waitlist, and send its user a message."""
    requests.decide(tx, request.number, RequestStatus.WAITLISTED, by=by)
    tx.mail(Template.REQUEST_WAITLISTED, {"request": request.number}, recipient_id=request.user_id)


def described(
    tx: Transaction, request: SeatRequest, already: str | None = None, *, why: str | None = None
) -> RequestResult:
    """Return the result for a request that was just changed. `why`: why this subscription was chosen.

    `already` is the word for the result if the request was not changed because it was so already.
    """
    number, email, status = request.number, request.email, request.status
    name = request.subscription or "any subscription"
    place = requests.place(tx, request, tx.call.now) if status is RequestStatus.WAITLISTED else None
    seated = status is RequestStatus.APPROVED
    if already:
        states = {
            RequestStatus.PENDING: "already waits for approval",
            RequestStatus.WAITLISTED: f"is already number {place} on the waitlist",
        }
        sentence = f"request {number} of {email} for {name} {states.get(status, f'is already {status}')}"
    else:
        full = "no seat is free"
        sentences = {
            RequestStatus.PENDING: f"made request {number} of {email} for {name}, which waits for approval",
            RequestStatus.WAITLISTED: f"put {email} on the waitlist for {name} as number {place}: {full}",
            RequestStatus.APPROVED: f"approved request {number}: {email} has a seat in {name}",
        }
        sentence = sentences.get(status, f"{status} request {number} of {email} for {name}")
    url = sign_in_url(tx, request.subscription_id) if seated else None
    sentence += f" ({why})" if seated and why else ""
    sentence += f"; sign in: {url}" if url else ""
    result = already or ("seated" if seated else status.value)
    row = result_row(request, result, place=place, why=why if seated else None, sign_in_url=url)
    return RequestResult(row, sentence, changed=already is None)


def sign_in_url(tx: Transaction, subscription_id: int | None) -> str | None:
    """Return where the users of a subscription sign in, if its policy says so."""
    policy = None if subscription_id is None else subscriptions.by_id(tx, subscription_id).policy
    return None if policy is None else policy.sign_in_url


def report(
    tx: Transaction, results: list[RequestResult], summary: str, code: ExitCode, *, unchanged: bool
) -> Report:
    """Return the report of a change of requests."""
    rows = [result.row for result in results]
    return tx.report(summary, rows, COLUMNS, unchanged=unchanged, exit_code=code)
