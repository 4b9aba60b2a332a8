"""Collecting an invoice: which card is charged, one attempt, and what its bank says days later."""

from __future__ import annotations

from seatctl.sandbox.billing.invoice_states import (
    close_payments,
    mark_paid,
    open_intent,
)
from seatctl.sandbox.billing.invoicing import save_invoice, subscription_of
from seatctl.sandbox.billing.payments import PaymentOutcome, attempt_payment, fail_intent, finish_debit
from seatctl.sandbox.billing.subscription_states import activate_while_processing, set_status
from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding "
    "a default "
    "payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
    "payment-methods-setting#payment-method-priority."
)


def no_method() -> ApiError:
    """There is nothing to charge."""
    return ApiError(400, NO_METHOD, code="resource_missing")


def method_for(session: Session, invoice: Obj) -> Obj | None:
    """The card an invoice is charged to: its own, its subscription's, the customer's default."""
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    customer = session.store.get("customer", invoice["customer"])
    wanted = [
        invoice["default_payment_method"],
        subscription and subscription["default_payment_method"],
        customer and customer["invoice_settings"]["default_payment_method"],
    ]
    for identifier in wanted:
        method = session.store.get("payment_method", identifier or "")
        if method is not None and method["customer"] == invoice["customer"]:
            return method
    return None


def save_as_default(subscription: Obj, method: Obj) -> None:
    """`save_default_payment_method=on_subscription`: what has paid becomes the subscription's default."""
    if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        subscription["default_payment_method"] = method["id"]


def collect(
    session: Session, invoice: Obj, method: Obj, *, authenticated: bool = False, automatic: bool = False
) -> PaymentOutcome:
    """One attempt to charge an open invoice; the invoice is written whatever the bank said.

    Any attempt counts as the first one; after it only those of the retry schedule (`automatic`) do.
    """
    made = open_intent(session, invoice["id"])
    if made is None:
        raise ApiError(400, "This invoice has no payment that could be collected.")
    before = view(session, invoice)
    outcome = attempt_payment(session, made, method, authenticated=authenticated)
    invoice["attempted"] = True
    if automatic or not invoice["attempt_count"]:
        invoice["attempt_count"] += 1
    if outcome.paid:
        subscription = session.store.get("subscription", subscription_of(invoice) or "")
        if subscription is not None:
            from seatctl.sandbox.billing.subscription_states import save_subscription

            save_as_default(subscription, method)
            save_subscription(session, subscription)
        close_payments(session, invoice, "paid")
        mark_paid(session, invoice, amount=invoice["amount_remaining"])
        return outcome
    if outcome.processing:
        invoice["next_payment_attempt"] = None
        activate_while_processing(session, invoice)
    save_invoice(session, invoice)
    shown = view(session, invoice)
    session.emit("invoice.updated", shown, before)
    if outcome.processing:
        return outcome
    session.emit("invoice.payment_failed", shown)
    if outcome.wants_authentication:
        session.emit("invoice.payment_action_required", shown)
    return outcome


def answer_authentication(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """The customer answers the bank's question on an open invoice: the payment goes through, or fails.

    Raises ValueError if the invoice is not open, or there is no card to pay it with.
    """
    made = open_intent(session, invoice["id"])
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
    fail_intent(session, made, method, code, message, {}, kind="invalid_request_error")


def settle_debit(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """A bank debit of an open invoice comes to its end, days later. Raises ValueError if there is none."""
    made = open_intent(session, invoice["id"])
    if made is None or made["status"] != "processing":
        raise ValueError("no payment of this invoice is under way")
    finish_debit(session, made, succeeds=succeeds)
    if succeeds:
        close_payments(session, invoice, "paid")
        mark_paid(session, invoice, amount=invoice["amount_remaining"])
        return
    session.emit("invoice.payment_failed", view(session, invoice))
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription is not None and subscription["status"] == "active":
        set_status(session, subscription, "past_due")
