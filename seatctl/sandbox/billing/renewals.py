"""The clock's work on a subscription: a new period, the end of it or of its trial, an expiry."""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import credit_after, end_now, end_trial_without_method, expire
from seatctl.sandbox.billing.discounts import remaining_discounts
from seatctl.sandbox.billing.invoice_states import void_invoice
from seatctl.sandbox.billing.invoicing import save_draft, save_invoice
from seatctl.sandbox.billing.periods import begin_period, save_pending
from seatctl.sandbox.billing.subscription_invoices import cycle_invoice, final_invoice
from seatctl.sandbox.billing.subscription_states import (
    INCOMPLETE_FOR,
    emit_updated,
    period_end,
    period_start,
    save_subscription,
    save_subscription_and_emit,
)
from seatctl.sandbox.objects import Obj, pick
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view


def subscription_due(session: Session, subscription: Obj) -> None:
    """Do the work that is due on a subscription now."""
    if subscription["status"] == "incomplete":
        _expire(session, subscription)
    elif subscription["cancel_at"] and subscription["cancel_at"] <= session.now:
        _end(session, subscription)
    elif _is_pending_update_expired(session, subscription):
        _drop_pending_update(session, subscription)
    elif _is_pause_over(session, subscription):
        before = view(session, subscription)
        subscription["pause_collection"] = None
        save_subscription(session, subscription)
        emit_updated(session, subscription, before)
    else:
        _renew(session, subscription)


def _expire(session: Session, subscription: Obj) -> None:
    """Expire a subscription whose first payment was not made within 23 hours."""
    if subscription["created"] + INCOMPLETE_FOR > session.now:
        save_subscription(session, subscription)
        return
    expire(session, subscription)


def _end(session: Session, subscription: Obj) -> None:
    """End a subscription as scheduled."""
    request = pick(subscription, "cancel_at", "cancel_at_period_end")
    canceled_at = subscription["canceled_at"] or session.now
    if not subscription.get("_keeps_rest"):
        save_pending(session, credit_after(session, subscription, session.now))
    end_now(session, subscription, "cancellation_requested")
    subscription.update(request, canceled_at=canceled_at)
    final_invoice(session, subscription)
    save_subscription_and_emit(session, subscription, "customer.subscription.deleted")


def _is_pending_update_expired(session: Session, subscription: Obj) -> bool:
    update = subscription["pending_update"]
    return bool(update) and update["expires_at"] <= session.now


def _drop_pending_update(session: Session, subscription: Obj) -> None:
    invoice = session.store.get("invoice", subscription.get("_pending_invoice") or "")
    if invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
        return
    subscription.update(pending_update=None, _pending_invoice=None)
    save_subscription(session, subscription)


def _is_pause_over(session: Session, subscription: Obj) -> bool:
    pause = subscription["pause_collection"]
    return bool(pause and pause["resumes_at"] and pause["resumes_at"] <= session.now)


def _renew(session: Session, subscription: Obj) -> None:
    """Begin the next period; its invoice is a draft for an hour."""
    before = view(session, subscription)
    items = items_of(session, subscription["id"])
    is_trial_over = subscription["status"] == "trialing"
    if is_trial_over and end_trial_without_method(session, subscription):
        save_subscription(session, subscription)
        if subscription["status"] == "canceled":
            session.emit("customer.subscription.deleted", view(session, subscription))
        else:
            session.emit("customer.subscription.paused", view(session, subscription))
            emit_updated(session, subscription, before)
        return
    period = (period_start(items), period_end(items))
    for item in items:
        if item["current_period_end"] <= session.now:
            begin_period(session, item, item["current_period_end"], subscription["billing_cycle_anchor"])
    if is_trial_over:
        subscription["status"] = "active"
    invoice = cycle_invoice(session, subscription, period)
    subscription["latest_invoice"] = invoice["id"]
    subscription["discounts"] = remaining_discounts(session, subscription["discounts"])
    save_draft(session, invoice)
    _apply_pause(session, subscription, invoice)
    save_subscription(session, subscription)
    emit_updated(session, subscription, before)


def _apply_pause(session: Session, subscription: Obj, invoice: Obj) -> None:
    pause = subscription["pause_collection"]
    if not pause:
        return
    invoice["_paused"] = pause["behavior"]
    if pause["behavior"] == "keep_as_draft":
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    save_invoice(session, invoice)
