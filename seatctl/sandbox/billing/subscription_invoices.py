"""The drafts of a subscription: of its first period, of a renewal, and at its end."""

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
    """Return the draft of the period that begins now, with the pending items; not yet written."""
    items = items_of(session, subscription["id"])
    invoice = new_draft(
        session,
        customer,
        currency=subscription["currency"],
        reason=reason,
        period=(session.now, session.now),
        subscription=subscription,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
        auto_advance=subscription["collection_method"] == "send_invoice",
    )
    invoice["discounts"] = list(subscription["discounts"])
    trial = subscription["status"] == "trialing"
    is_short = subscription["billing_cycle_anchor"] > session.now and not trial
    # Stripe's order of lines: first the pending items, then the subscription's, each newest first.
    add_pending_items(
        session, invoice, pending_items(session, customer["id"], subscription["id"], invoice["currency"])
    )
    for item in reversed(items):
        if is_short:
            item["_cut_short"] = True
        bill_period(session, invoice, item, trial=trial)
    return invoice


def cycle_invoice(session: Session, subscription: Obj, period: tuple[int, int]) -> Obj:
    """Return the draft of a renewal: each item's new period and the pending items; not yet written.

    `period` is the one that has ended.
    """
    customer = session.find("customer", subscription["customer"], "customer")
    invoice = new_draft(
        session,
        customer,
        currency=subscription["currency"],
        reason="subscription_cycle",
        period=period,
        subscription=subscription,
        auto_advance=subscription["status"] != "unpaid",
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    invoice["discounts"] = list(subscription["discounts"])
    pending = pending_items(session, customer["id"], subscription["id"], subscription["currency"])
    add_pending_items(session, invoice, pending)
    for item in reversed(items_of(session, subscription["id"])):
        bill_period(session, invoice, item)
    return invoice


def final_invoice(session: Session, subscription: Obj) -> Obj | None:
    """Write a draft with the items that are pending for this subscription only; None if there are none."""
    customer = session.find("customer", subscription["customer"], "customer")
    pending = pending_items(session, customer["id"], subscription["id"], subscription["currency"])
    pending = [item for item in pending if item["parent"] is not None and item["_subscription"]]
    if not pending:
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
    add_pending_items(session, invoice, pending)
    subscription["latest_invoice"] = invoice["id"]
    save_draft(session, invoice)
    return invoice
