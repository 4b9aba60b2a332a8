"""The clock's work on an invoice: an hour's draft is finalized, a failed payment is tried again.

Stripe's retries are chosen by a model; the sandbox tries 3, 5 and 7 days after the last attempt, and then
cancels the subscription, or leaves it unpaid or past due (`control.after_retries`).
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
from seatctl.sandbox.billing.subscription_states import ENDED, save_subscription, set_status
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

RETRIES = (3 * DAY, 5 * DAY, 7 * DAY)
_OUTCOMES = ("cancel", "unpaid", "past_due")


def invoice_due(session: Session, invoice: Obj) -> None:
    """One piece of work on an invoice whose time has come; `session.now` is that time."""
    if session.store.get("customer", invoice["customer"]) is None:
        # Its customer was deleted: there is nobody to bill, and the clock must not stop here for ever.
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
        invoice["_overdue"] = True
        save_invoice(session, invoice)
    elif invoice["status"] == "draft":
        _finalize(session, invoice)
    elif invoice["collection_method"] == "send_invoice":
        _overdue(session, invoice)
    else:
        _attempt(session, invoice)


def _finalize(session: Session, invoice: Obj) -> None:
    finalize_invoice(session, invoice)
    paused = invoice.get("_paused")
    if invoice["status"] != "open":
        return
    if paused == "void":
        void_invoice(session, invoice)
    elif paused == "mark_uncollectible":
        write_off(session, invoice)
    elif invoice["collection_method"] == "charge_automatically":
        _attempt(session, invoice)
    else:
        session.emit("invoice.sent", view(session, invoice))


def _overdue(session: Session, invoice: Obj) -> None:
    """An invoice on account is not paid by its due date."""
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
        _no_card(session, invoice)
    else:
        outcome = collect(session, invoice, method, automatic=True)
        if outcome.paid or outcome.processing:
            return
    set_delinquent(session, invoice, owing=True)
    tried = invoice["attempt_count"]
    last = tried > len(RETRIES)
    invoice["next_payment_attempt"] = None if last else session.now + RETRIES[tried - 1]
    invoice["auto_advance"] = not last
    save_invoice(session, invoice)
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is None or subscription["status"] in (*ENDED, "paused"):
        return
    if not last:
        if subscription["status"] == "active":
            set_status(session, subscription, "past_due")
        return
    _give_up(session, subscription)


def _no_card(session: Session, invoice: Obj) -> None:
    before = view(session, invoice)
    invoice["attempted"] = True
    invoice["attempt_count"] += 1
    save_invoice(session, invoice)
    session.emit("invoice.updated", view(session, invoice), before)
    session.emit("invoice.payment_failed", view(session, invoice))


def _give_up(session: Session, subscription: Obj) -> None:
    outcome = _OUTCOMES[session.store.setting("after_retries") or 0]
    if outcome == "cancel":
        end_now(session, subscription, "payment_failed")
        save_subscription(session, subscription)
        session.emit("customer.subscription.deleted", view(session, subscription))
    elif outcome == "unpaid":
        set_status(session, subscription, "unpaid")
