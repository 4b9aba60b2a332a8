"""The states of a subscription, when the clock has work on it, and writing it with its events.

An update may wait for a payment: the change is taken back, and applied once its invoice is paid.
"""

from __future__ import annotations

from seatctl.sandbox.changes import save_and_emit, save_changed
from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import items_of, public, view

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


def save_updated(session: Session, subscription: Obj) -> None:
    """Write a changed subscription and emit the event."""
    save_changed(session, subscription, "customer.subscription.updated", save=save_subscription)


def set_status(session: Session, subscription: Obj, status: str) -> None:
    """Set the status of a subscription, which is written, and emit the event."""
    if subscription["status"] == status:
        return
    subscription["status"] = status
    save_updated(session, subscription)


class Snapshot:
    """A subscription and its items before a change, to restore."""

    def __init__(self, session: Session, subscription: Obj) -> None:
        stored = session.find("subscription", subscription["id"], None)
        self.subscription = stored
        self.items = items_of(session, subscription["id"])
        self.shown = view(session, stored)

    def restore(self, session: Session) -> None:
        """Write the subscription and its items as they were; delete the items that were added since."""
        _replace_items(session, self.subscription["id"], self.items)
        save_subscription(session, self.subscription)


def _replace_items(session: Session, subscription: str, items: list[Obj]) -> None:
    """Write these items of a subscription and delete all others."""
    kept = {item["id"] for item in items}
    for item in items_of(session, subscription):
        if item["id"] not in kept:
            session.store.delete(item["id"])
    for item in items:
        session.save(item, parent=subscription)


def hold(session: Session, after: Obj, invoice: Obj, before: Snapshot, *, shown: bool = True) -> None:
    """Take a change back and let it wait 23 hours for the payment of `invoice`.

    `after` is the changed subscription; unless `shown`, `pending_update` does not say what the change is.
    """
    items = items_of(session, after["id"])
    before.restore(session)
    subscription = before.subscription
    changed_items = [item for item in items if item not in before.items]

    def changed_value(name: str) -> int | None:
        value: int | None = after[name]
        return value if shown and value != subscription[name] else None

    subscription["pending_update"] = {
        "billing_cycle_anchor": changed_value("billing_cycle_anchor"),
        "cancel_at_period_end": None,
        "expires_at": session.now + INCOMPLETE_FOR,
        "subscription_items": [public(item) for item in changed_items] if shown and changed_items else None,
        "trial_end": changed_value("trial_end"),
        "trial_from_plan": None,
    }
    subscription["latest_invoice"] = invoice["id"]
    subscription["_pending_invoice"] = invoice["id"]
    subscription["_pending_after"] = {"subscription": after, "items": items}
    save_subscription(session, subscription)


def apply_pending(session: Session, subscription: Obj) -> None:
    """Apply the update that waits, whose invoice has been paid."""
    before = view(session, subscription)
    after = subscription["_pending_after"]
    changed = {**after["subscription"], "metadata": subscription["metadata"], "pending_update": None}
    changed["latest_invoice"] = subscription["_pending_invoice"]
    changed["default_payment_method"] = subscription["default_payment_method"]
    changed["status"] = "active"
    _replace_items(session, subscription["id"], after["items"])
    shown = save_subscription_and_emit(session, changed, "customer.subscription.pending_update_applied")
    session.emit("customer.subscription.updated", shown, before)


def after_payment(session: Session, invoice: Obj) -> None:
    """Apply what a paid invoice means for its subscription: a pending update, or that it is active again."""
    details = invoice["parent"]["subscription_details"]
    subscription = session.store.get("subscription", details["subscription"])
    if subscription is None or subscription["status"] in ENDED:
        return
    if subscription.get("_pending_invoice") == invoice["id"]:
        apply_pending(session, subscription)
    elif subscription["latest_invoice"] == invoice["id"] and subscription["status"] in (
        "incomplete",
        "past_due",
        "unpaid",
    ):
        set_status(session, subscription, "active")
