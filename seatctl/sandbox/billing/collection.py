"""Collecting an invoice: the payment method, an attempt to charge it, and the bank's answer days later."""

from __future__ import annotations

from seatctl.sandbox.billing.invoice_states import mark_paid, open_intent
from seatctl.sandbox.billing.payments import PaymentOutcome, attempt_payment, fail_intent, finish_debit
from seatctl.sandbox.billing.subscription_states import set_status
from seatctl.sandbox.errors import ApiError
from seatctl.sandbox.objects import Obj, subscription_of
from seatctl.sandbox.session import Session

NO_METHOD = (
    "This customer has no attached payment source or default payment method. Please consider adding a "
    "default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/"
    "payment-methods-setting#payment-method-priority."
)


def no_method() -> ApiError:
    """Return the refusal of a payment for which there is no payment method."""
    return ApiError(400, NO_METHOD, code="resource_missing")


def method_for(session: Session, invoice: Obj) -> Obj | None:
    """Return what an invoice is charged to: the default of it, of its subscription or of the customer."""
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    return _first_method(session, invoice["customer"], [invoice, subscription])


def lacks_method_after_trial(session: Session, subscription: Obj) -> bool:
    """Whether a subscription has no payment method and must be paused or canceled when its trial ends."""
    end_behavior = subscription["trial_settings"]["end_behavior"]
    return (
        subscription["collection_method"] == "charge_automatically"
        and end_behavior["missing_payment_method"] != "create_invoice"
        and _first_method(session, subscription["customer"], [subscription]) is None
    )


def _first_method(session: Session, customer_id: str, holders: list[Obj | None]) -> Obj | None:
    customer = session.store.get("customer", customer_id)
    settings = [*holders, customer and customer["invoice_settings"]]
    for identifier in (holder["default_payment_method"] for holder in settings if holder):
        method = session.store.get("payment_method", identifier or "")
        if method is not None and method["customer"] == customer_id:
            return method
    return None


def save_as_default(subscription: Obj, method: Obj) -> None:
    """Make a method that has paid the subscription's default, if `save_default_payment_method` says so."""
    if subscription["payment_settings"]["save_default_payment_method"] == "on_subscription":
        subscription["default_payment_method"] = method["id"]


def collect(
    session: Session, invoice: Obj, method: Obj, *, authenticated: bool = False, automatic: bool = False
) -> PaymentOutcome:
    """Try once to charge an open invoice, which is written whatever the bank answers.

    The first attempt counts in any case, later ones only if they are `automatic` retries.
    """
    intent = open_intent(session, invoice["id"])
    if intent is None:
        raise ApiError(400, "This invoice has no payment that could be collected.")
    before = session.view(invoice)
    outcome = attempt_payment(session, intent, method, authenticated=authenticated)
    invoice["attempted"] = True
    if automatic or not (invoice["attempt_count"] or outcome.wants_authentication):
        invoice["attempt_count"] += 1
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if outcome.paid:
        if subscription is not None:
            save_as_default(subscription, method)
            session.save(subscription)
        mark_paid(session, invoice)
        return outcome
    if outcome.processing:
        invoice["next_payment_attempt"] = None
        # Stripe does not wait for a first payment that is processing, which may fail days later.
        if subscription is not None and subscription["status"] == "incomplete":
            set_status(session, subscription, "active")
    session.save(invoice)
    shown = session.view(invoice)
    session.emit("invoice.updated", shown, before)
    if outcome.processing:
        return outcome
    session.emit("invoice.payment_failed", shown)
    if outcome.wants_authentication:
        session.emit("invoice.payment_action_required", shown)
    return outcome


def answer_authentication(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """Answer the bank's authentication of an open invoice's payment, which then succeeds or fails.

    Raises ValueError if the invoice is not open, or there is no payment method.
    """
    intent = open_intent(session, invoice["id"])
    method = session.store.get("payment_method", (intent or {}).get("payment_method") or "")
    # With `default_incomplete` nothing was attempted yet: the customer pays on the hosted page.
    method = method or method_for(session, invoice)
    if intent is None or method is None or intent["status"] == "processing":
        raise ValueError("this invoice does not wait for an authentication")
    if succeeds:
        collect(session, invoice, method, authenticated=True)
        return
    message = (
        "The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new "
        "PaymentMethod to attempt to fulfill this PaymentIntent again."
    )
    code = "payment_intent_authentication_failure"
    fail_intent(session, intent, method, code, message, {"type": "invalid_request_error"})


def settle_debit(session: Session, invoice: Obj, *, succeeds: bool) -> None:
    """Finish the bank debit of an open invoice, days later. Raises ValueError if there is none."""
    intent = open_intent(session, invoice["id"])
    if intent is None or intent["status"] != "processing":
        raise ValueError("no payment of this invoice is processing")
    end_debit(session, intent, succeeds=succeeds)


def end_debit(session: Session, intent: Obj, *, succeeds: bool) -> None:
    """Finish a bank debit; the invoice that it collects is paid, or its payment has failed."""
    finish_debit(session, intent, succeeds=succeeds)
    invoice = session.store.get("invoice", intent.get("_invoice") or "")
    if invoice is None:
        return
    if succeeds:
        mark_paid(session, invoice)
        return
    session.emit("invoice.payment_failed", session.view(invoice))
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    automatic = invoice["collection_method"] == "charge_automatically"  # on account, only the due date counts
    if subscription is not None and subscription["status"] == "active" and automatic:
        set_status(session, subscription, "past_due")
