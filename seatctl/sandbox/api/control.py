"""What the `sandbox` commands do to a twin: look at it, empty it, move its clock, arm faults.

All functions take the twin and return frozen values; nothing here prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from seatctl.sandbox import clock
from seatctl.sandbox.api.twin import Twin
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


class FaultKind(StrEnum):
    """What an armed fault does to a call."""

    RATE_LIMIT = "429"
    SERVER_ERROR = "500"
    TIMEOUT = "timeout"
    LOST_ANSWER = "lost"


class AfterRetries(StrEnum):
    """What becomes of a subscription whose renewal no retry could collect."""

    CANCEL = "cancel"
    UNPAID = "unpaid"
    PAST_DUE = "past_due"


@dataclass(frozen=True, slots=True)
class Fault:
    """An armed fault: it hits the next `remaining` calls that match."""

    kind: FaultKind
    remaining: int
    method: str | None
    path: str | None
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """The sandbox at a glance; times in epoch seconds."""

    now: int
    offset: int
    frozen: bool
    counts: dict[str, int]
    faults: tuple[Fault, ...]
    next_due: int | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many objects a reset took away."""

    objects: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """What a move of the clock did; times in epoch seconds, `events` in the order they happened."""

    before: int
    now: int
    events: tuple[str, ...]


def status(twin: Twin) -> Status:
    """The clock, the number of objects of each kind, the armed faults."""
    store = twin.store
    due = store.next_due()
    return Status(
        now=twin.now(),
        offset=store.setting("offset") or 0,
        frozen=store.setting("frozen") is not None,
        counts=store.counts(),
        faults=tuple(_fault(row) for row in store.faults()),
        next_due=due[0] if due else None,
    )


def _fault(row: dict[str, object]) -> Fault:
    method, path, after = row["method"], row["path"], row["retry_after"]
    return Fault(
        FaultKind(str(row["kind"])),
        int(str(row["remaining"])),
        None if method is None else str(method),
        None if path is None else str(path),
        None if after is None else int(str(after)),
    )


def reset(twin: Twin) -> Cleared:
    """Empty the sandbox: objects, saved answers, faults; the clock is real time again."""
    number = sum(twin.store.counts().values())
    twin.clear()
    return Cleared(number)


def advance(twin: Twin, seconds: int | None = None, to: int | None = None) -> Advanced:
    """Move the clock forward and do, in order, what falls due on the way.

    Either `seconds` from now or `to` an epoch second. Raises ValueError for a move backwards.
    """
    from seatctl.sandbox.api.scheduler import work_until

    if (seconds is None) == (to is None):
        raise ValueError("give either seconds or to")
    with twin.store.transaction():
        before = twin.now()
        target = before + seconds if seconds is not None else int(to or 0)
        if target < before:
            raise ValueError("the clock only moves forward")
        known = twin.store.last_seq()
        work_until(twin.store, target)
        clock.move(twin.store, target)
        happened = [event["type"] for event in twin.store.walk("event", after=known, oldest_first=True)]
    return Advanced(before, target, tuple(happened))


def fail(
    twin: Twin,
    kind: FaultKind | str,
    times: int = 1,
    method: str | None = None,
    path: str | None = None,
    retry_after: int | None = None,
) -> Fault:
    """Arm a fault for the next `times` calls; `path` matches the beginning of the request's path."""
    wanted = FaultKind(kind)
    if times < 1:
        raise ValueError("times must be at least 1")
    upper = method.upper() if method else None
    with twin.store.transaction():
        twin.store.arm(wanted.value, times, upper, path, retry_after)
    return Fault(wanted, times, upper, path, retry_after)


def after_retries(twin: Twin, outcome: AfterRetries | str) -> AfterRetries:
    """Set what becomes of a subscription when the last retry of a renewal fails (default: cancel)."""
    chosen = AfterRetries(outcome)
    with twin.store.transaction():
        twin.store.set("after_retries", list(AfterRetries).index(chosen))
    return chosen


def complete_checkout(twin: Twin, session_id: str, card: str = "pm_card_visa") -> str:
    """Do what the customer does on a Checkout page, with a test card; returns the session's status.

    Raises `seatctl.sandbox.errors.ApiError` if the card is refused or the session is not open.
    """
    from seatctl.sandbox.resources.checkout_sessions import complete

    with twin.store.transaction():
        return str(complete(Session(twin.store, twin.now()), session_id, card)["status"])


def open_invoices(twin: Twin) -> dict[str, tuple[str, ...]]:
    """The ids of the open invoices, newest first, each with its number and its page's address."""
    return {
        each["id"]: (each["number"], each["hosted_invoice_url"])
        for each in twin.store.walk("invoice")
        if each["status"] == "open"
    }


def authenticate(twin: Twin, invoice: str, *, succeeds: bool = True) -> str:
    """Answer the bank's question about an open invoice; returns the invoice's status.

    Raises ValueError if the invoice waits for no authentication.
    """
    from seatctl.sandbox.billing.collection import answer_authentication

    return _answered(twin, invoice, answer_authentication, succeeds=succeeds)


def settle(twin: Twin, invoice: str, *, succeeds: bool = True) -> str:
    """Let a bank debit of an open invoice come to its end; returns the invoice's status.

    Raises ValueError if no payment of the invoice is under way.
    """
    from seatctl.sandbox.billing.collection import settle_debit

    return _answered(twin, invoice, settle_debit, succeeds=succeeds)


class _Answer(Protocol):
    """What a bank says in the end about the payment of an invoice."""

    def __call__(self, session: Session, invoice: Obj, *, succeeds: bool) -> None: ...


def _answered(twin: Twin, invoice: str, answer: _Answer, *, succeeds: bool) -> str:
    with twin.store.transaction():
        session = Session(twin.store, twin.now())
        found = twin.store.get("invoice", invoice)
        if found is None:
            raise ValueError(f"no such invoice: {invoice}")
        answer(session, found, succeeds=succeeds)
        return str(session.find("invoice", invoice, None)["status"])
