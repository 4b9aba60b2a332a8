"""The drafts that a subscription makes: for its first period, for a renewal, and at its end."""

from __future__ import annotations

from seatctl.sandbox.billing.invoicing import add_pending_items, new_draft, pending_items, save_draft
from seatctl.sandbox.billing.periods import bill_period
from seatctl.sandbox.billing.subscription_states import (
    period_start,
)
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of


def first_invoice(session: Session, customer: Obj, subscription: Obj, reason: str) -> Obj:
    """The draft for the period that now begins, with what was pending; not yet written."""
    items = items_of(session, subscription["id"])
    sending = subscription["collection_method"] == "send_invoice"
    invoice = new_draft(
        session,
        customer,
        currency=subscription["currency"],
        reason=reason,
        period=(session.now, session.now),
        subscription=subscription,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
        auto_advance=sending,
    )
    invoice["discounts"] = list(subscription["discounts"])
    free = subscription["status"] == "trialing"
    short = subscription["billing_cycle_anchor"] > session.now and not free
    # Stripe's order of lines: what was pending, then the items, each newest first.
    add_pending_items(
        session, invoice, pending_items(session, customer["id"], subscription["id"], invoice["currency"])
    )
    for item in reversed(items):
        if short:
            item["_cut_short"] = True
        bill_period(session, invoice, item, trial=free)
    return invoice


def cycle_invoice(session: Session, subscription: Obj, last: tuple[int, int]) -> Obj:
    """The draft of a renewal: the new period of each item, and what was pending; not yet written."""
    customer = session.find("customer", subscription["customer"], "customer")
    invoice = new_draft(
        session,
        customer,
        currency=subscription["currency"],
        reason="subscription_cycle",
        period=last,
        subscription=subscription,
        auto_advance=subscription["status"] != "unpaid",
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    invoice["discounts"] = list(subscription["discounts"])
    waiting = pending_items(session, customer["id"], subscription["id"], subscription["currency"])
    add_pending_items(session, invoice, waiting)
    for item in reversed(items_of(session, subscription["id"])):
        bill_period(session, invoice, item)
    return invoice


def final_invoice(session: Session, subscription: Obj) -> Obj | None:
    """A draft with what is pending of this subscription alone; it finalizes an hour later."""
    customer = session.find("customer", subscription["customer"], "customer")
    found = pending_items(session, customer["id"], subscription["id"], subscription["currency"])
    waiting = [item for item in found if item["parent"] is not None and item["_subscription"]]
    if not waiting:
        return None
    items = items_of(session, subscription["id"])
    invoice = new_draft(
        session,
        customer,
        currency=subscription["currency"],
        reason="subscription_cycle",
        period=(period_start(items), session.now),
        subscription=subscription,
        auto_advance=True,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    add_pending_items(session, invoice, waiting)
    subscription["latest_invoice"] = invoice["id"]
    save_draft(session, invoice)
    return invoice
