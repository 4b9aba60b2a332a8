"""Updates that wait for a payment: take a change back, and apply it when its invoice is paid."""

from __future__ import annotations

from seatctl.sandbox.billing.subscription_states import (
    ENDED,
    INCOMPLETE_FOR,
    save_subscription,
    set_status,
)
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, public, view


class Snapshot:
    """A subscription with its items as they were, to go back to."""

    def __init__(self, session: Session, subscription: Obj) -> None:
        stored = session.find("subscription", subscription["id"], None)
        self.subscription = stored
        self.items = items_of(session, subscription["id"])
        self.shown = view(session, stored)

    def restore(self, session: Session) -> None:
        """Put everything back; items added since are gone."""
        kept = {item["id"] for item in self.items}
        for item in items_of(session, self.subscription["id"]):
            if item["id"] not in kept:
                session.store.delete(item["id"])
        for item in self.items:
            session.save(item, parent=self.subscription["id"])
        save_subscription(session, self.subscription)


def hold(session: Session, after: Obj, invoice: Obj, before: Snapshot, *, shown: bool = True) -> None:
    """Take a change back and let it wait for the payment of `invoice`, 23 hours."""
    items = items_of(session, after["id"])
    before.restore(session)
    held = before.subscription
    changed_items = [
        {**item, "current_period_start": item["current_period_start"]}
        for item in items
        if item not in before.items
    ]
    moved = after["billing_cycle_anchor"] != held["billing_cycle_anchor"]
    trial = after["trial_end"] != held["trial_end"]
    held["pending_update"] = {
        "billing_cycle_anchor": after["billing_cycle_anchor"] if moved and shown else None,
        "cancel_at_period_end": None,
        "expires_at": session.now + INCOMPLETE_FOR,
        "subscription_items": [public(item) for item in changed_items] if shown and changed_items else None,
        "trial_end": after["trial_end"] if trial and shown else None,
        "trial_from_plan": None,
    }
    held["latest_invoice"] = invoice["id"]
    held["_pending_invoice"] = invoice["id"]
    held["_pending_after"] = {"subscription": after, "items": items}
    save_subscription(session, held)


def apply_pending(session: Session, subscription: Obj) -> None:
    """The invoice of a waiting update is paid: the update takes effect."""
    before = view(session, subscription)
    after = subscription["_pending_after"]
    changed = {**after["subscription"], "metadata": subscription["metadata"], "pending_update": None}
    changed["latest_invoice"] = subscription["_pending_invoice"]
    changed["default_payment_method"] = subscription["default_payment_method"]
    changed["status"] = "active"
    kept = {item["id"] for item in after["items"]}
    for item in items_of(session, subscription["id"]):
        if item["id"] not in kept:
            session.store.delete(item["id"])
    for item in after["items"]:
        session.save(item, parent=subscription["id"])
    save_subscription(session, changed)
    shown = view(session, changed)
    session.emit("customer.subscription.pending_update_applied", shown)
    session.emit("customer.subscription.updated", shown, before)


def after_payment(session: Session, invoice: Obj) -> None:
    """A paid invoice makes its subscription active again, and lets a waiting update through."""
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
