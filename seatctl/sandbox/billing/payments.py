"""An attempt to pay: the payment intent, its charge, the bank's answer, and a dispute of the charge.

A setup intent is made for a trial without a card, and for a Checkout page of mode `setup`.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.sandbox.billing import cards, debits
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.objects import Obj, new_id, nulls, pick, token
from seatctl.sandbox.session import Session

_NOT_ON_CHARGES = ("display_brand", "generated_from", "networks", "three_d_secure_usage")
_OF_DEBITS = ("account_holder_type", "account_type", "bank_code", "bank_name", "branch_code", "country",
              "fingerprint", "last4", "routing_number")  # fmt: skip
_ONLY_ON_CHARGES = ("authorization_code", "installments", "mandate", "network_transaction_id",
                    "three_d_secure", "transaction_link_id")  # fmt: skip


@dataclass(frozen=True, slots=True)
class PaymentOutcome:
    """The outcome of an attempt: paid, declined, processing for days, or waiting for authentication."""

    paid: bool
    decline: cards.Decline | None = None
    charge: Obj | None = None
    processing: bool = False

    @property
    def wants_authentication(self) -> bool:
        """Whether the customer must authenticate the payment."""
        return not self.paid and self.decline is None and not self.processing


def new_intent(session: Session, customer: str | None, amount: int, currency: str, **fields: object) -> Obj:
    """Return a new payment intent that waits for a payment method; not yet written."""
    identifier = new_id("pi")
    return session.new(
        "payment_intent",
        identifier,
        null=(
            "allowed_payment_method_types application application_fee_amount automatic_payment_methods "
            "canceled_at cancellation_reason customer_account description excluded_payment_method_types "
            "last_payment_error latest_charge managed_payments next_action on_behalf_of payment_method "
            "payment_method_configuration_details processing receipt_email review setup_future_usage "
            "shipping source statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
        ),
        zero="amount_capturable amount_received",
        amount=amount,
        amount_details={"tip": {}},
        client_secret=f"{identifier}_secret_{token(24)}",
        confirmation_method="automatic",
        currency=currency,
        customer=customer,
        metadata={},
        payment_method_options={
            "card": {
                **nulls("installments mandate_options network"),
                "request_three_d_secure": "automatic",
            }
        },
        payment_method_types=["card"],
        status="requires_payment_method",
        **{"capture_method": "automatic_async", **fields},
    )


def attempt_payment(
    session: Session, intent: Obj, method: Obj, *, authenticated: bool = False, unattended: bool = False
) -> PaymentOutcome:
    """Charge a payment intent to a method. The intent and its charge are written.

    `unattended`: the customer cannot answer, so a bank that asks for authentication refuses.
    """
    refused = debits.refusal(method["type"], intent["currency"])
    if refused is not None:
        raise refused
    card = cards.card(method["_card"]) if "_card" in method else cards.Card(method["type"], "")
    must_authenticate = card.authenticate == "always" or (
        card.authenticate == "once" and not method.get("_set_up")
    )
    if must_authenticate and not authenticated:
        return PaymentOutcome(paid=False) if unattended else _require_action(session, intent, method)
    if card.charge is not None:
        return _decline(session, intent, method, card.charge)
    if card.authenticate == "once":
        session.save({**method, "_set_up": True})
    if method["type"] in debits.CURRENCIES:
        return _start_debit(session, intent, method)
    charge = _charge(session, intent, method, None)
    if method["customer"] is None:
        # A method without a customer can pay once only.
        session.save({**method, "_detached": True})
    if intent["capture_method"] == "manual":
        charge.update(captured=False, amount_captured=0)
        session.save_and_emit(charge, "charge.succeeded")
        held = {"amount_capturable": intent["amount"], "latest_charge": charge["id"]}
        intent.update(held, status="requires_capture", payment_method=method["id"], next_action=None)
        session.save_and_emit(intent, "payment_intent.amount_capturable_updated")
        return PaymentOutcome(paid=True, charge=charge)
    session.emit("charge.succeeded", session.view(charge))
    received = {"amount_received": intent["amount"], "latest_charge": charge["id"]}
    _set_status(session, intent, method, "succeeded", **received)
    if card.disputed is not None:
        _open_dispute(session, charge, card.disputed)
    return PaymentOutcome(paid=True, charge=charge)


def _start_debit(session: Session, intent: Obj, method: Obj) -> PaymentOutcome:
    """Start a bank debit, whose outcome is known days later."""
    charge = {
        **_charge(session, intent, method, None),
        "paid": False,
        "status": "pending",
        "receipt_url": None,
    }
    session.save_and_emit(charge, "charge.pending")
    ends = debits.outcome(session, method)
    _set_status(session, intent, method, "processing", latest_charge=charge["id"], **ends)
    return PaymentOutcome(paid=False, charge=charge, processing=True)


def finish_debit(session: Session, intent: Obj, *, succeeds: bool) -> None:
    """Finish a payment that was processing; the intent and its charge are written."""
    charge = session.find("charge", intent["latest_charge"], None)
    method = session.find("payment_method", intent["payment_method"], None)
    if succeeds:
        charge.update(paid=True, status="succeeded")
        session.save_and_emit(charge, "charge.succeeded")
        _set_status(session, intent, method, "succeeded", amount_received=intent["amount"])
        return
    code, message = debits.failure(intent)
    charge.update(status="failed", failure_code=code, failure_message=message)
    session.save_and_emit(charge, "charge.failed")
    fail_intent(session, intent, method, code, message, {"charge": charge["id"]})


def _require_action(session: Session, intent: Obj, method: Obj) -> PaymentOutcome:
    redirect = {"type": "three_d_secure_redirect", "stripe_js": "https://sandbox.invalid/"}
    action = {"type": "use_stripe_sdk", "use_stripe_sdk": redirect}
    _set_status(session, intent, method, "requires_action", next_action=action)
    return PaymentOutcome(paid=False)


def _set_status(session: Session, intent: Obj, method: Obj, status: str, **fields: object) -> None:
    """Set the status of an intent that is paid by a method; write it and emit the event of the status."""
    intent.update(status=status, payment_method=method["id"], next_action=None, last_payment_error=None)
    intent.update(fields)
    session.save_and_emit(intent, f"payment_intent.{status}")


def _decline(session: Session, intent: Obj, method: Obj, decline: cards.Decline) -> PaymentOutcome:
    charge = _charge(session, intent, method, decline)
    intent["latest_charge"] = charge["id"]
    session.emit("charge.failed", session.view(charge))
    details = {**decline.details(), "charge": charge["id"]}
    fail_intent(session, intent, method, decline.code, decline.message, details)
    return PaymentOutcome(paid=False, decline=decline, charge=charge)


def capture(session: Session, intent: Obj, amount: int) -> Obj:
    """Capture `amount` of an authorized payment and release the rest; the intent is written."""
    charge = session.find("charge", intent["latest_charge"], None)
    charge.update(captured=True, amount_captured=amount, amount_refunded=charge["amount"] - amount)
    session.save_changed(charge, "charge.captured")
    intent.update(status="succeeded", amount_capturable=0, amount_received=amount)
    return session.save_and_emit(intent, "payment_intent.succeeded")


def cancel_intent(session: Session, intent: Obj, reason: str | None) -> Obj:
    """Cancel an intent, which is written; what was authorized is released."""
    if intent["status"] == "requires_capture":
        charge = session.find("charge", intent["latest_charge"], None)
        charge.update(amount_refunded=charge["amount"], refunded=True)
        session.save_changed(charge, "charge.refunded")
    intent.update(status="canceled", canceled_at=session.now, cancellation_reason=reason, next_action=None)
    intent["amount_capturable"] = 0
    return session.save_and_emit(intent, "payment_intent.canceled")


def fail_intent(session: Session, intent: Obj, method: Obj, code: str, message: str, details: Obj) -> None:
    """Let an intent wait for another method, with the error of this one; it is written."""
    intent.update(
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error={
            "type": "card_error",
            **details,
            "code": code,
            "doc_url": f"https://stripe.com/docs/error-codes/{code.replace('_', '-')}",
            "message": message,
            "payment_method": session.view(method),
        },
    )
    session.save_and_emit(intent, "payment_intent.payment_failed")


def _card_details(method: Obj, authorized: int | None) -> Obj:
    """Return what a charge shows of the card that it was made to."""
    card = method.get("card")
    if card is None:
        return {
            name: value for name, value in (method.get(method["type"]) or {}).items() if name in _OF_DEBITS
        }
    details = {name: value for name, value in card.items() if name not in _NOT_ON_CHARGES}
    network = {"amount_authorized": authorized, "network": card["brand"]}
    return {**details, **dict.fromkeys(_ONLY_ON_CHARGES), **network}


def _charge(session: Session, intent: Obj, method: Obj, decline: cards.Decline | None) -> Obj:
    paid = decline is None
    card = _card_details(method, intent["amount"] if paid else None)
    if method["type"] in debits.CURRENCIES:
        card["mandate"] = debits.mandate_of(session, method)
    charge: Obj = session.new(
        "charge",
        new_id("ch"),
        null=(
            "application application_fee application_fee_amount balance_transaction "
            "failure_balance_transaction on_behalf_of receipt_number review shipping source source_transfer "
            "statement_descriptor statement_descriptor_suffix transfer_data transfer_group"
        ),
        **pick(intent, "amount", "currency", "customer", "description", "metadata", "receipt_email"),
        amount_captured=intent["amount"] if paid else 0,
        amount_refunded=0,
        billing_details=method["billing_details"],
        calculated_statement_descriptor="SANDBOX" if paid else None,
        captured=paid,
        disputed=False,
        failure_code=decline and decline.code,
        failure_message=decline and decline.message,
        fraud_details={},
        outcome=_outcome(decline),
        paid=paid,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details={method["type"]: card, "type": method["type"]},
        receipt_url=f"https://sandbox.invalid/receipts/{token(20)}" if paid else None,
        refunded=False,
        status="succeeded" if paid else "failed",
    )
    session.save(charge)
    return charge


def _outcome(decline: cards.Decline | None) -> Obj:
    message = "The bank did not return any further details with this decline."
    return {
        "advice_code": decline and decline.advice_code,
        "network_advice_code": None,
        "network_decline_code": decline and decline.network_decline_code,
        "network_status": "declined_by_network" if decline else "approved_by_network",
        "reason": decline and (decline.decline_code or decline.code),
        "risk_level": "normal",
        "seller_message": message if decline else "Payment complete.",
        "type": "issuer_declined" if decline else "authorized",
    }


_EVIDENCE = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation"),
    *("duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt"),
    *("refund_policy", "refund_policy_disclosure", "refund_refusal_explanation", "service_date"),
    *("service_documentation", "shipping_address", "shipping_carrier", "shipping_date"),
    *("shipping_documentation", "shipping_tracking_number", "uncategorized_file", "uncategorized_text"),
)
_DAYS_TO_ANSWER = 9


def _open_dispute(session: Session, charge: Obj, reason: str) -> None:
    """Open a dispute, with which the cardholder's bank takes the charge back; both are written."""
    before = session.view(charge)
    charge["disputed"] = True
    session.save(charge)
    dispute: Obj = session.new(
        "dispute",
        new_id("du"),
        null="intended_submission_method",
        empty="balance_transactions enhanced_eligibility_types",
        **pick(charge, "amount", "currency", "payment_intent"),
        charge=charge["id"],
        evidence={**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        evidence_details={
            "due_by": session.now + _DAYS_TO_ANSWER * DAY,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
            "submission_method": "not_submitted",
        },
        is_charge_refundable=False,
        metadata={},
        payment_method_details={
            "card": {
                "brand": "visa",
                "case_type": "chargeback",
                "network": "visa",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        reason=reason,
        status="needs_response",
    )
    session.save(dispute)
    session.emit("charge.updated", session.view(charge), before)
    session.emit("charge.dispute.created", session.view(dispute))
    session.emit("charge.dispute.funds_withdrawn", session.view(dispute))


def new_setup_intent(session: Session, customer: str) -> Obj:
    """Create a setup intent that waits for a payment method; it is written."""
    identifier = new_id("seti")
    intent: Obj = session.new(
        "setup_intent",
        identifier,
        null=(
            "allowed_payment_method_types application automatic_payment_methods cancellation_reason "
            "customer_account description excluded_payment_method_types flow_directions last_setup_error "
            "latest_attempt mandate next_action on_behalf_of payment_method "
            "payment_method_configuration_details payment_method_options single_use_mandate"
        ),
        client_secret=f"{identifier}_secret_{token(24)}",
        customer=customer,
        metadata={},
        payment_method_types=["card"],
        status="requires_payment_method",
        usage="off_session",
    )
    session.save_and_emit(intent, "setup_intent.created")
    return intent
