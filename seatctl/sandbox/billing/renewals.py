"""The clock's work on a subscription: a new period, an end, a trial's end, an expiry."""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import credit_after, end_now, expire
from seatctl.sandbox.billing.collection import method_for
from seatctl.sandbox.billing.discounts import remaining_discounts
from seatctl.sandbox.billing.invoice_states import void_invoice
from seatctl.sandbox.billing.invoicing import save_draft, save_invoice
from seatctl.sandbox.billing.periods import next_end, save_pending
from seatctl.sandbox.billing.subscription_invoices import cycle_invoice, final_invoice
from seatctl.sandbox.billing.subscription_states import (
    INCOMPLETE_FOR,
    emit_updated,
    period_end,
    period_start,
    save_subscription,
)
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view


def subscription_due(session: Session, subscription: Obj) -> None:
    """One piece of work on a subscription whose time has come; `session.now` is that time."""
    if subscription["status"] == "incomplete":
        _expire(session, subscription)
    elif subscription["cancel_at"] and subscription["cancel_at"] <= session.now:
        _end(session, subscription, "cancellation_requested")
    elif _pending_expired(session, subscription):
        _drop_pending(session, subscription)
    elif _pause_over(session, subscription):
        before = view(session, subscription)
        subscription["pause_collection"] = None
        save_subscription(session, subscription)
        emit_updated(session, subscription, before)
    else:
        _renew(session, subscription)


def _expire(session: Session, subscription: Obj) -> None:
    """The first payment did not come within 23 hours."""
    if subscription["created"] + INCOMPLETE_FOR > session.now:
        save_subscription(session, subscription)
        return
    expire(session, subscription)


def _end(session: Session, subscription: Obj, reason: str) -> None:
    at_period_end = subscription["cancel_at_period_end"]
    asked, wanted = subscription["canceled_at"], subscription["cancel_at"]
    if not subscription.get("_keeps_rest"):
        save_pending(session, credit_after(session, subscription, session.now))
    end_now(session, subscription, reason)
    if reason == "cancellation_requested":
        subscription.update(
            cancel_at=wanted, cancel_at_period_end=at_period_end, canceled_at=asked or session.now
        )
    final_invoice(session, subscription)
    save_subscription(session, subscription)
    session.emit("customer.subscription.deleted", view(session, subscription))


def _pending_expired(session: Session, subscription: Obj) -> bool:
    waiting = subscription["pending_update"]
    return bool(waiting) and waiting["expires_at"] <= session.now


def _drop_pending(session: Session, subscription: Obj) -> None:
    invoice = session.store.get("invoice", subscription.get("_pending_invoice") or "")
    if invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
        return
    subscription.update(pending_update=None, _pending_invoice=None)
    save_subscription(session, subscription)


def _pause_over(session: Session, subscription: Obj) -> bool:
    pause = subscription["pause_collection"]
    return bool(pause and pause["resumes_at"] and pause["resumes_at"] <= session.now)


def _renew(session: Session, subscription: Obj) -> None:
    """The next period begins: its invoice is a draft for an hour."""
    before = view(session, subscription)
    items = items_of(session, subscription["id"])
    trial_over = subscription["status"] == "trialing"
    if trial_over and _trial_without_card(session, subscription):
        save_subscription(session, subscription)
        if subscription["status"] == "canceled":
            session.emit("customer.subscription.deleted", view(session, subscription))
        else:
            emit_updated(session, subscription, before)
        return
    last = (period_start(items), period_end(items))
    for item in items:
        if item["current_period_end"] <= session.now:
            start = item["current_period_end"]
            end = next_end(start, item["price"], subscription["billing_cycle_anchor"])
            item.update(current_period_start=start, current_period_end=end)
            session.save(item)
    if trial_over:
        subscription["status"] = "active"
    invoice = cycle_invoice(session, subscription, last)
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = remaining_discounts(session, subscription["discounts"])
    save_draft(session, invoice)
    _pause_collection(session, subscription, invoice)
    save_subscription(session, subscription)
    emit_updated(session, subscription, before)


def _pause_collection(session: Session, subscription: Obj, invoice: Obj) -> None:
    pause = subscription["pause_collection"]
    if not pause:
        return
    invoice["_paused"] = pause["behavior"]
    if pause["behavior"] == "keep_as_draft":
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    save_invoice(session, invoice)


def _trial_without_card(session: Session, subscription: Obj) -> bool:
    ending = subscription["trial_settings"]["end_behavior"]["missing_payment_method"]
    automatic = subscription["collection_method"] == "charge_automatically"
    asks = {"default_payment_method": None, "customer": subscription["customer"],
            "parent": {"subscription_details": {"subscription": subscription["id"]}}}  # fmt: skip
    if not automatic or ending == "create_invoice" or method_for(session, asks) is not None:
        return False
    if ending == "pause":
        subscription["status"] = "paused"
        session.emit("customer.subscription.paused", view(session, subscription))
    else:
        end_now(session, subscription, "payment_failed")
    return True
