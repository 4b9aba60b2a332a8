"""Test clocks: customers with a time of their own, which only `advance` moves.

What belongs to a customer on a test clock has that clock's time, and the account's clock has no work on it.
Only events have the account's time. Lists of the whole account leave out what is on a test clock.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from seatctl.sandbox.clock import add_interval, add_months
from seatctl.sandbox.due import ENDED, next_due
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.store import Store

KIND = "test_helpers.test_clock"
MOST_CUSTOMERS = MOST_SUBSCRIPTIONS = 3
"""How many customers a clock can have, and how many running subscriptions each of them."""

_ADVANCES_FOR = 2
"""Seconds of the account's time that a clock is `advancing`, unless it is read before."""
_INTERVALS = 2
_OWNERS = ("customer", "subscription", "invoice", "charge", "payment_intent")
"""The fields that lead from an object to its customer, the nearest first."""


def clock_of(store: Store, values: Iterable[Any]) -> Obj | None:
    """Return the test clock of the first id among these values that names an object on one."""
    if not store.has(KIND):
        return None
    for value in values:
        obj = store.get_any(value) if isinstance(value, str) else None
        while obj is not None and obj["object"] not in ("customer", KIND):
            owner = next((obj[name] for name in _OWNERS if isinstance(obj.get(name), str)), None)
            obj = store.get_any(owner) if owner else None
        if obj is not None and obj["object"] == "customer":
            obj = store.get(KIND, obj["test_clock"] or "")
        if obj is not None:
            return obj
    return None


def session_at(store: Store, now: int, values: Iterable[Any], **fields: Any) -> Session:
    """Return a session with the account's time `now`, or with that of the test clock that an id leads to."""
    found = clock_of(store, values)
    if found is None:
        return Session(store, now, **fields)
    return Session(store, found["frozen_time"], clock=found["id"], real_now=now, **fields)


def require_ready(clock: Obj) -> None:
    """Refuse to change what is on a clock that advances."""
    if clock["status"] == "advancing":
        message = f"Test clock advancement underway - cannot perform modifications: {clock['id']}"
        raise ApiError(429, message, is_stored=False)


def require_room_for_customer(session: Session, clock: str) -> None:
    """Refuse an unknown clock, and more customers than a clock can have."""
    session.find(KIND, clock, "test_clock")
    if sum(1 for _ in session.store.walk("customer", parent=clock)) >= MOST_CUSTOMERS:
        raise invalid(f"A test clock can have at most {MOST_CUSTOMERS} customers.", "test_clock")


def require_room_for_subscription(session: Session, customer: Obj) -> None:
    """Refuse more running subscriptions than a customer on a clock can have."""
    if session.clock is None:
        return
    running = [
        one
        for one in session.store.walk("subscription", customer=customer["id"])
        if one["status"] not in ENDED
    ]
    if len(running) >= MOST_SUBSCRIPTIONS:
        raise invalid(f"A customer on a test clock can have at most {MOST_SUBSCRIPTIONS} subscriptions.")


def start_advance(session: Session, clock: Obj, target: int) -> Obj:
    """Begin to advance a clock to `target`; the work is done when the account's clock comes to it."""
    if target <= clock["frozen_time"]:
        raise invalid("The new frozen time must be after the current frozen time.", "frozen_time")
    if target > _furthest(session.store, clock):
        message = (
            "A test clock can be advanced by at most two intervals of its shortest subscription, or by two "
            "years without subscriptions."
        )
        raise invalid(message, "frozen_time")
    clock.update(
        status="advancing",
        status_details={"advancing": {"target_frozen_time": target}},
        _ready_at=session.now + _ADVANCES_FOR,
    )
    return session.save_and_emit(clock, f"{KIND}.advancing")


def _furthest(store: Store, clock: Obj) -> int:
    frozen: int = clock["frozen_time"]
    ends = [
        add_interval(frozen, terms["interval"], _INTERVALS * terms["interval_count"])
        for obj in _objects(store, clock["id"])
        if obj["object"] == "subscription" and obj["status"] not in ENDED
        for item in store.walk("subscription_item", parent=obj["id"])
        for terms in [item["price"]["recurring"]]
    ]
    return min(ends, default=add_months(frozen, 24))


def _objects(store: Store, clock: str) -> list[Obj]:
    """Return what belongs to the customers of a clock, deleted or not, oldest first for each of them."""
    customers = [customer for customer, named in store.on_clocks().items() if named == clock]
    return [obj for customer in customers for obj in store.of_customer(customer)]


def next_due_on(store: Store, clock: str) -> tuple[int, str] | None:
    """Return when a test clock has work next and the id of the object."""
    found: tuple[int, str] | None = None
    for obj in _objects(store, clock):
        items = (
            [*store.walk("subscription_item", parent=obj["id"])] if obj["object"] == "subscription" else []
        )
        due = next_due(obj, items)
        if due is not None and (found is None or due < found[0]):
            found = (due, obj["id"])
    return found


def finish_advance(session: Session, clock: Obj) -> None:
    """Set a clock whose work is done to its new time."""
    clock.update(frozen_time=clock["status_details"]["advancing"]["target_frozen_time"], status="ready")
    clock["status_details"] = {}
    session.save_and_emit(clock, f"{KIND}.ready")


def delete_clock(session: Session, clock: Obj) -> Obj:
    """Delete a clock with everything that belongs to its customers."""
    for obj in _objects(session.store, clock["id"]):
        session.store.delete(obj["id"])
    for customer in [*session.store.walk("customer", parent=clock["id"])]:
        session.store.delete(customer["id"])
    return session.delete_and_emit(clock, f"{KIND}.deleted")
