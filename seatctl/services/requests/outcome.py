"""What became of a request, said in one way by every command about requests."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.errors import Code, ExitCode, SeatctlError, refuse
from seatctl.ledger import requests, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.report import Record, Report
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.subscription import Subscription

MOST_CHARACTERS = 1000
COLUMNS = ("number", "email", "subscription", "status", "place", "result", "error", "sign_in_url")


@dataclass(frozen=True, slots=True)
class RequestResult:
    """What became of one request."""

    request: SeatRequest | None
    email: str
    subscription: str | None
    result: str
    sentence: str
    place: int | None = None
    error: SeatctlError | None = None
    number: int | None = None
    why: str | None = None
    """Why this subscription, where none was named."""
    sign_in_url: str | None = None
    """Where whoever has a seat by it signs in."""

    def record(self) -> Record:
        """The row of a report."""
        status = None if self.request is None else self.request.status.value
        return {
            "number": self.number,
            "email": self.email or None,
            "subscription": self.subscription,
            "status": status,
            "place": self.place,
            "why": self.why,
            "result": self.result,
            "error": None if self.error is None else self.error.message,
            "sign_in_url": self.sign_in_url,
        }


def require_short(what: str, text: str | None) -> None:
    """Raise `bad_request` for a text that nobody would read to the end, nor a mail should carry."""
    if text is not None and len(text) > MOST_CHARACTERS:
        raise refuse(
            Code.BAD_REQUEST, f"{what} is at most {MOST_CHARACTERS:,} characters long; this has {len(text):,}"
        )


def homes(tx: Transaction, ledger: Ledger) -> Iterator[Subscription]:
    """The subscriptions that this ledger keeps."""
    return (
        subscription
        for subscription in subscriptions.listing(tx, tx.call.now)
        if subscription.home_ledger == ledger.id
    )


def wait(tx: Transaction, request: SeatRequest, *, by: str) -> None:
    """Put an approved request on the waitlist, and tell its user."""
    requests.decide(tx, request.number, RequestStatus.WAITLISTED, by=by)
    tx.mail("request_waitlisted", {"request": request.number}, recipient_id=request.user_id)


def described(
    tx: Transaction, request: SeatRequest, result: str | None = None, *, why: str | None = None
) -> RequestResult:
    """A request as it stands now, in a sentence. `why`: why this subscription was chosen."""
    number, email = request.number, request.email
    where = request.subscription or "any subscription"
    place = requests.place(tx, request, tx.call.now) if request.status is RequestStatus.WAITLISTED else None
    seated = request.status is RequestStatus.APPROVED
    words: dict[RequestStatus, str] = {
        RequestStatus.PENDING: f"request {number} of {email} for {where} awaits approval",
        RequestStatus.WAITLISTED: f"no seat of {where} is free: {email} is number {place} on the waitlist",
        RequestStatus.APPROVED: f"request {number} approved: {email} sits in {where}",
    }
    sentence = words.get(request.status, f"request {number} of {email} for {where} is {request.status}")
    shown = result or ("seated" if seated else request.status.value)
    chosen = why if seated else None
    sentence += f" ({chosen})" if chosen else ""
    page = sign_in_url(tx, request.subscription_id) if seated else None
    sentence += f"; sign in: {page}" if page else ""
    return RequestResult(
        request, email, request.subscription, shown, sentence, place, None, number, chosen, page
    )


def sign_in_url(tx: Transaction, subscription_id: int | None) -> str | None:
    """Where the people of a subscription sign in, if its policy says so."""
    policy = None if subscription_id is None else subscriptions.by_id(tx, subscription_id).policy
    return None if policy is None else policy.sign_in_url


def report(tx: Transaction, done: list[RequestResult], summary: str, code: ExitCode) -> Report:
    """The end of a run about requests."""
    return Report(
        run=tx.run,
        dry_run=tx.call.dry_run,
        summary=summary,
        rows=[one.record() for one in done],
        exit_code=code,
        undo=tx.undo,
        columns=COLUMNS,
    )
