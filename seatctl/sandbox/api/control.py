"""The functions behind `seatctl sandbox`: status, reset, the clock, faults, and acting as customer or bank.

They take the twin and return frozen values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from seatctl.sandbox import clock
from seatctl.sandbox.api.twin import Twin
from seatctl.sandbox.billing.automatic_tax import BEHAVIORS, DEFAULT, MILLION, RATE
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.test_clocks import session_at


class FaultKind(StrEnum):
    """What an armed fault does to a call."""

    RATE_LIMIT = "429"
    LOCK_TIMEOUT = "lock_timeout"
    SERVER_ERROR = "500"
    TIMEOUT = "timeout"
    LOST_ANSWER = "lost"


class AfterRetries(StrEnum):
    """What happens to a subscription if the last retry of a renewal fails."""

    CANCEL = "cancel"
    UNPAID = "unpaid"
    PAST_DUE = "past_due"


@dataclass(frozen=True, slots=True)
class Fault:
    """An armed fault, which hits the next `remaining` calls that match."""

    kind: FaultKind
    remaining: int
    method: str | None
    path: str | None
    retry_after: int | None


@dataclass(frozen=True, slots=True)
class Status:
    """The state of the sandbox; times in epoch seconds."""

    now: int
    offset: int
    frozen: bool
    counts: dict[str, int]
    faults: tuple[Fault, ...]
    next_due: int | None


@dataclass(frozen=True, slots=True)
class Cleared:
    """How many objects a reset deleted."""

    objects: int


@dataclass(frozen=True, slots=True)
class Advanced:
    """What moving the clock did; times in epoch seconds, types of `events` in order."""

    before: int
    now: int
    events: tuple[str, ...]


def status(twin: Twin) -> Status:
    """Return the clock, the number of objects of each kind, and the armed faults."""
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


def _fault(row: Obj) -> Fault:
    return Fault(FaultKind(row["kind"]), row["remaining"], row["method"], row["path"], row["retry_after"])


def reset(twin: Twin) -> Cleared:
    """Empty the sandbox: objects, stored answers and faults. The clock shows real time again."""
    number = sum(twin.store.counts().values())
    twin.clear()
    return Cleared(number)


def advance(twin: Twin, seconds: int | None = None, to: int | None = None) -> Advanced:
    """Move the clock forward, by `seconds` or `to` an epoch second, and do the work that falls due, in order.

    Raises ValueError for a move backwards.
    """
    from seatctl.sandbox.billing.due_work import work_until

    if (seconds is None) == (to is None):
        raise ValueError("give either seconds or to")
    with twin.store.transaction():
        before = twin.now()
        target = before + seconds if seconds is not None else int(to or 0)
        if target < before:
            raise ValueError("the clock only moves forward")
        last_seq = twin.store.last_seq()
        work_until(twin.store, target)
        clock.move(twin.store, target)
        events = twin.store.walk("event", after=last_seq, oldest_first=True)
        return Advanced(before, target, tuple(event["type"] for event in events))


def fail(
    twin: Twin,
    kind: FaultKind | str,
    times: int = 1,
    method: str | None = None,
    path: str | None = None,
    retry_after: int | None = None,
) -> Fault:
    """Arm a fault for the next `times` calls; `path` is the beginning of their paths."""
    fault_kind = FaultKind(kind)
    if times < 1:
        raise ValueError("times must be at least 1")
    upper = method.upper() if method else None
    with twin.store.transaction():
        twin.store.arm(fault_kind.value, times, upper, path, retry_after)
    return Fault(fault_kind, times, upper, path, retry_after)


def restricted_key(twin: Twin, permissions: Sequence[str]) -> str:
    """Return a new restricted key with these permissions, such as `customer_read`."""
    from seatctl.sandbox.api.keys import new_restricted_key

    with twin.store.transaction():
        return new_restricted_key(Session(twin.store, twin.now()), permissions)


def after_retries(twin: Twin, outcome: AfterRetries | str) -> AfterRetries:
    """Set what happens to a subscription if the last retry of a renewal fails (default: cancel)."""
    after = AfterRetries(outcome)
    with twin.store.transaction():
        twin.store.set("after_retries", list(AfterRetries).index(after))
    return after


def set_tax(twin: Twin, rate: Fraction, behavior: str = BEHAVIORS[0]) -> None:
    """Set the rate of automatic tax, such as 19/100; 0 collects none.

    `behavior` says whether a price includes the tax if it does not say so itself; `unspecified` refuses it.
    """
    with twin.store.transaction():
        twin.store.set(RATE, round(rate * MILLION) or None)
        twin.store.set(DEFAULT, BEHAVIORS.index(behavior) or None)


def complete_checkout(
    twin: Twin,
    session_id: str,
    card: str = "pm_card_visa",
    address: Obj | None = None,
    tax_id: Obj | None = None,
) -> str:
    """Complete a Checkout session with a test card, as the customer does. Return the session's status.

    `address` and `tax_id` (a type and a value) are entered on the page, which may ask for them.

    Raises `seatctl.sandbox.errors.ApiError` if the card is refused or the session is not open.
    """
    from seatctl.sandbox.resources.checkout_sessions import complete

    with twin.store.transaction():
        session = session_at(twin.store, twin.now(), [session_id])
        return str(complete(session, session_id, card, address, tax_id)["status"])


def open_invoices(twin: Twin) -> dict[str, tuple[str, ...]]:
    """Return the open invoices, newest first: the number and the page's address by the id."""
    return {
        invoice["id"]: (invoice["number"], invoice["hosted_invoice_url"])
        for invoice in twin.store.walk("invoice")
        if invoice["status"] == "open"
    }


def authenticate(twin: Twin, invoice: str, *, succeeds: bool = True) -> str:
    """Authenticate the payment of an open invoice, or fail to. Return the invoice's status.

    Raises ValueError if the invoice does not wait for an authentication.
    """
    from seatctl.sandbox.billing.collection import answer_authentication

    return _change_invoice(twin, invoice, answer_authentication, succeeds=succeeds)


def settle(twin: Twin, invoice: str, *, succeeds: bool = True) -> str:
    """Finish the bank debit of an open invoice. Return the invoice's status.

    Raises ValueError if no payment of the invoice is processing.
    """
    from seatctl.sandbox.billing.collection import settle_debit

    return _change_invoice(twin, invoice, settle_debit, succeeds=succeeds)


def _change_invoice(twin: Twin, invoice: str, change: Callable[..., None], *, succeeds: bool) -> str:
    with twin.store.transaction():
        session = session_at(twin.store, twin.now(), [invoice])
        obj = twin.store.get("invoice", invoice)
        if obj is None:
            raise ValueError(f"there is no invoice {invoice}")
        change(session, obj, succeeds=succeeds)
        return str(session.find("invoice", invoice, None)["status"])
