"""The clock's work on an invoice: an hour's draft is finalized, a failed payment is tried again.

Stripe's retries are chosen by a model; the sandbox tries 3, 5 and 7 days after the last attempt, and then
cancels the subscription, or leaves it unpaid or past due (`control.after_retries`).
"""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import close
from seatctl.sandbox.billing.invoicing import save_invoice, subscription_of
from seatctl.sandbox.billing.payments import failed, settled
from seatctl.sandbox.billing.settlement import (
    close_payments,
    collect,
    finalize,
    intent_of,
    mark_paid,
    method_for,
    set_delinquent,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.subscription_states import ENDED, move_to, save
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
    finalize(session, invoice)
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
        move_to(session, subscription, "past_due")


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
            move_to(session, subscription, "past_due")
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
        close(session, subscription, "payment_failed")
        save(session, subscription)
        session.emit("customer.subscription.deleted", view(session, subscription))
    elif outcome == "unpaid":
        move_to(session, subscription, "unpaid")


def settle(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """A bank debit of an open invoice comes to its end, days later. Raises ValueError if there is none."""
    made = intent_of(session, invoice["id"])
    if made is None or made["status"] != "processing":
        raise ValueError("no payment of this invoice is under way")
    settled(session, made, succeeds=succeeds)
    if succeeds:
        close_payments(session, invoice, "paid")
        mark_paid(session, invoice, amount=invoice["amount_remaining"])
        return
    session.emit("invoice.payment_failed", view(session, invoice))
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is not None and subscription["status"] == "active":
        move_to(session, subscription, "past_due")


def authenticate(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """The customer answers the bank's question on an open invoice: the payment goes through, or fails.

    Raises ValueError if the invoice is not open, or there is no card to pay it with.
    """
    made = intent_of(session, invoice["id"])
    asked = session.store.get("payment_method", (made or {}).get("payment_method") or "")
    # A subscription made with `default_incomplete` was not attempted: the customer pays on the hosted page.
    method = asked or method_for(session, invoice)
    if made is None or method is None:
        raise ValueError("this invoice waits for no authentication")
    if succeeds:
        collect(session, invoice, method, authenticated=True)
        return
    message = (
        "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
        "PaymentMethod to attempt to fulfill this PaymentIntent again."
    )
    code = "payment_intent_authentication_failure"
    failed(session, made, method, code, message, {}, kind="invalid_request_error")
