"""Refunds of charges, never of more than was charged."""

from __future__ import annotations

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import amount_text
from seatctl.sandbox.objects import Obj, new_id, new_object, pick, token
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/refunds, of a charge or of the charge of a payment intent."""
    charge = _charge(session, params)
    refund = refund_charge(session, charge, params.get("amount"), reason=params.get("reason"))
    refund["metadata"] = merge_metadata({}, params.get("metadata"))
    session.save(refund)
    return session.view(refund)


def _charge(session: Session, params: Obj) -> Obj:
    if params.get("charge"):
        return session.find("charge", params["charge"], "charge")
    if not params.get("payment_intent"):
        raise invalid(
            "One of the following params should be provided for this request: payment_intent or charge."
        )
    intent = session.find("payment_intent", params["payment_intent"], "payment_intent")
    if intent["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise invalid(message)
    return session.find("charge", intent["latest_charge"], "payment_intent")


def refund_charge(session: Session, charge: Obj, amount: int | None, *, reason: str | None = None) -> Obj:
    """Refund `amount` minor units of a charge, or all that is not refunded yet; the refund is written."""
    unrefunded = charge["amount_captured"] - charge["amount_refunded"]
    amount = unrefunded if amount is None else amount
    if not charge["paid"]:
        raise invalid(f"Charge {charge['id']} was not paid and cannot be refunded.")
    if unrefunded <= 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise invalid(message, code="charge_already_refunded")
    if _charged_back(session, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise invalid(message, code="charge_disputed")
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", code="parameter_invalid_integer")
    if amount > unrefunded:
        what = "unrefunded amount on charge" if charge["amount_refunded"] else "charge amount"
        asked, most = (amount_text(str(number), charge["currency"]) for number in (amount, unrefunded))
        raise invalid(f"Refund amount ({asked}) is greater than {what} ({most})", "amount")
    before = session.view(charge)
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    session.save(charge)
    refund = _new_refund(session.now, charge, amount, reason)
    session.save(refund)
    session.emit("charge.refunded", session.view(charge), before)
    session.emit("refund.created", session.view(refund))
    return refund


def _charged_back(session: Session, charge: Obj) -> bool:
    """Whether the cardholder's bank has taken the money back and has not lost the dispute."""
    if not charge["disputed"]:
        return False
    disputes = session.store.walk("dispute", parent=charge["id"])
    return any(dispute["status"] in ("needs_response", "under_review", "lost") for dispute in disputes)


def _new_refund(now: int, charge: Obj, amount: int, reason: str | None) -> Obj:
    reference = {"reference_status": "pending", "reference_type": "acquirer_reference_number"}
    return new_object(
        "refund",
        new_id("re"),
        null="customer_account receipt_number source_transfer_reversal transfer_reversal",
        amount=amount,
        balance_transaction=f"txn_{token(24)}",
        charge=charge["id"],
        created=now,
        **pick(charge, "currency", "customer", "payment_intent", "payment_method"),
        destination_details={"card": {**reference, "type": "refund"}, "type": "card"},
        metadata={},
        reason=reason,
        status="succeeded",
    )
