"""The clock's work on an invoice: a draft is finalized after an hour, a failed payment is tried again.

Stripe chooses the moments of retries by a model. The sandbox tries again 3, 5 and 7 days after the attempt
before, and then cancels the subscription or leaves it unpaid or past due (`control.after_retries`).
"""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import end_now
from seatctl.sandbox.billing.collection import collect, method_for
from seatctl.sandbox.billing.invoice_states import (
    finalize_invoice,
    set_delinquent,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.invoicing import save_invoice, subscription_of
from seatctl.sandbox.billing.subscription_states import ENDED, save_subscription_and_emit, set_status
from seatctl.sandbox.changes import save_changed
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)
_OUTCOMES = ("cancel", "unpaid", "past_due")


def invoice_due(session: Session, invoice: Obj) -> None:
    """Do the work that is due on an invoice now."""
    if session.store.get("customer", invoice["customer"]) is None:
        # The customer was deleted: there is nobody to bill, and the invoice must not stay due.
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
        invoice["_overdue"] = True
        save_invoice(session, invoice)
    elif invoice["status"] == "draft":
        _finalize(session, invoice)
    elif invoice["collection_method"] == "send_invoice":
        _mark_overdue(session, invoice)
    else:
        _attempt(session, invoice)


def _finalize(session: Session, invoice: Obj) -> None:
    finalize_invoice(session, invoice)
    pause = invoice.get("_paused")
    if invoice["status"] != "open":
        return
    if pause == "void":
        void_invoice(session, invoice)
    elif pause == "mark_uncollectible":
        write_off(session, invoice)
    elif invoice["collection_method"] == "charge_automatically":
        _attempt(session, invoice)
    else:
        session.emit("invoice.sent", view(session, invoice))


def _mark_overdue(session: Session, invoice: Obj) -> None:
    """Mark an invoice that is sent as overdue: it was not paid by its due date."""
    invoice["_overdue"] = True
    save_invoice(session, invoice)
    session.emit("invoice.overdue", view(session, invoice))
    set_delinquent(session, invoice, owing=True)
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is not None and subscription["status"] == "active":
        set_status(session, subscription, "past_due")


def _attempt(session: Session, invoice: Obj) -> None:
    method = method_for(session, invoice)
    if method is None:
        _count_attempt(session, invoice)
    else:
        outcome = collect(session, invoice, method, automatic=True)
        if outcome.paid or outcome.processing:
            return
    set_delinquent(session, invoice, owing=True)
    attempts = invoice["attempt_count"]
    is_last = attempts > len(RETRIES)
    invoice["next_payment_attempt"] = None if is_last else session.now + RETRIES[attempts - 1]
    invoice["auto_advance"] = not is_last
    save_invoice(session, invoice)
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is None or subscription["status"] in (*ENDED, "paused"):
        return
    if is_last:
        _stop_collecting(session, subscription)
    elif subscription["status"] == "active":
        set_status(session, subscription, "past_due")


def _count_attempt(session: Session, invoice: Obj) -> None:
    """Count an attempt that fails because there is no payment method."""
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    shown = save_changed(session, invoice, "invoice.updated", save=save_invoice)
    session.emit("invoice.payment_failed", shown)


def _stop_collecting(session: Session, subscription: Obj) -> None:
    outcome = _OUTCOMES[session.store.setting("after_retries") or 0]
    if outcome == "cancel":
        end_now(session, subscription, "payment_failed")
        save_subscription_and_emit(session, subscription, "customer.subscription.deleted")
    elif outcome == "unpaid":
        set_status(session, subscription, "unpaid")
