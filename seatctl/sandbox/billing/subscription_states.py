"""The states of a subscription, when the clock has work on it, and writing it with its events."""

from __future__ import annotations

from seatctl.sandbox.changes import save_and_emit
from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import items_of, view

INCOMPLETE_FOR = 23 * HOUR
ENDED = ("canceled", "incomplete_expired")


def period_end(items: list[Obj]) -> int:
    """Return when the current period of a subscription ends."""
    return max((int(item["current_period_end"]) for item in items), default=0)


def period_start(items: list[Obj]) -> int:
    """Return when the current period of a subscription began."""
    return min((int(item["current_period_start"]) for item in items), default=0)


def next_due(subscription: Obj, items: list[Obj]) -> int | None:
    """Return when the clock has work on a subscription, or None."""
    status = subscription["status"]
    if status in ENDED:
        return None
    moments = [subscription["cancel_at"]]
    if status == "incomplete":
        return int(subscription["created"]) + INCOMPLETE_FOR
    if status != "paused":
        moments.append(period_end(items))
        moments.append(subscription["trial_end"] if status == "trialing" else None)
    if subscription["pending_update"]:
        moments.append(subscription["pending_update"]["expires_at"])
    if subscription["pause_collection"]:
        moments.append(subscription["pause_collection"]["resumes_at"])
    return min(moment for moment in moments if moment) if any(moments) else None


def save_subscription(session: Session, subscription: Obj) -> None:
    """Write a subscription, with the time at which the clock has work on it."""
    session.save(subscription, due=next_due(subscription, items_of(session, subscription["id"])))


def save_subscription_and_emit(session: Session, subscription: Obj, event: str) -> Obj:
    """Write a subscription and emit `event`. Return the subscription as a client sees it."""
    due = next_due(subscription, items_of(session, subscription["id"]))
    return save_and_emit(session, subscription, event, due=due)


def emit_updated(session: Session, subscription: Obj, before: Obj) -> None:
    """Emit the event of a changed subscription; `before` is what a client saw then."""
    shown = view(session, subscription)
    if changed(before, shown):
        session.emit("customer.subscription.updated", shown, before)


def set_status(session: Session, subscription: Obj, status: str) -> None:
    """Set the status of a subscription, which is written, and emit the event."""
    if subscription["status"] == status:
        return
    before = view(session, subscription)
    subscription["status"] = status
    save_subscription(session, subscription)
    emit_updated(session, subscription, before)


def activate_while_processing(session: Session, invoice: Obj) -> None:
    """Activate the subscription of a first invoice whose payment is processing.

    Stripe does not wait for the payment, which may fail days later.
    """
    details = (invoice["parent"] or {}).get("subscription_details") or {}
    subscription = session.store.get("subscription", details.get("subscription") or "")
    if subscription is not None and subscription["status"] == "incomplete":
        set_status(session, subscription, "active")
