"""The states of a subscription.

An update may wait for a payment: the change is taken back, and applied once its invoice is paid.
"""

from __future__ import annotations

from seatctl.sandbox.due import ENDED, INCOMPLETE_FOR
from seatctl.sandbox.objects import Obj, public
from seatctl.sandbox.session import Session


def set_status(session: Session, subscription: Obj, status: str) -> None:
    """Set the status of a subscription, which is written, and emit the event."""
    if subscription["status"] == status:
        return
    subscription["status"] = status
    session.save_changed(subscription, "customer.subscription.updated")


class Snapshot:
    """A subscription and its items before a change, to restore."""

    def __init__(self, session: Session, subscription: Obj) -> None:
        stored = session.find("subscription", subscription["id"], None)
        self.subscription = stored
        self.items = session.items_of(subscription["id"])
        self.shown = session.view(stored)

    def restore(self, session: Session) -> None:
        """Write the subscription and its items as they were; delete the items that were added since."""
        _replace_items(session, self.subscription["id"], self.items)
        session.save(self.subscription)


def _replace_items(session: Session, subscription: str, items: list[Obj]) -> None:
    """Write these items of a subscription and delete all others."""
    kept = {item["id"] for item in items}
    for item in session.items_of(subscription):
        if item["id"] not in kept:
            session.store.delete(item["id"])
    for item in items:
        session.save(item)


def hold(session: Session, after: Obj, invoice: Obj, before: Snapshot, *, shown: bool = True) -> None:
    """Take a change back and let it wait for the payment of `invoice`: 23 hours, or less if the period ends.

    `after` is the changed subscription; unless `shown`, `pending_update` does not say what the change is.
    """
    items = session.items_of(after["id"])
    before.restore(session)
    subscription = before.subscription
    changed_items = [item for item in items if item not in before.items]

    def changed_value(name: str) -> int | None:
        value: int | None = after[name]
        return value if shown and value != subscription[name] else None

    subscription["pending_update"] = {
        "billing_cycle_anchor": changed_value("billing_cycle_anchor"),
        "cancel_at_period_end": None,
        "expires_at": _expiry(session, before),
        "subscription_items": [public(item) for item in changed_items] if shown and changed_items else None,
        "trial_end": changed_value("trial_end"),
        "trial_from_plan": None,
    }
    subscription["latest_invoice"] = invoice["id"]
    subscription["_pending_invoice"] = invoice["id"]
    subscription["_pending_after"] = {"subscription": after, "items": items}
    session.save(subscription)


def _expiry(session: Session, before: Snapshot) -> int:
    """Return when a waiting change is discarded: after 23 hours, at the end of the trial or of a period."""
    ends = [before.subscription["trial_end"], *(item["current_period_end"] for item in before.items)]
    to_come = [int(end) for end in ends if end and end > session.now]
    return min([session.now + INCOMPLETE_FOR, *to_come])


def apply_pending(session: Session, subscription: Obj) -> None:
    """Apply the update that waits, whose invoice has been paid."""
    before = session.view(subscription)
    after = subscription["_pending_after"]
    changed = {**after["subscription"], "metadata": subscription["metadata"], "pending_update": None}
    changed["latest_invoice"] = subscription["_pending_invoice"]
    changed["default_payment_method"] = subscription["default_payment_method"]
    changed["status"] = "active"
    _replace_items(session, subscription["id"], after["items"])
    shown = session.save_and_emit(changed, "customer.subscription.pending_update_applied")
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
