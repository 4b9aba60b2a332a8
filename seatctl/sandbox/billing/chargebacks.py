"""Chargebacks: a dispute, with which a cardholder's bank takes a payment back. Only a test card has them."""

from __future__ import annotations

from seatctl.sandbox.clock import DAY
from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

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


def open_dispute(session: Session, charge: Obj, reason: str) -> Obj:
    """Open a dispute of a whole charge; both are written."""
    before = view(session, charge)
    charge["disputed"] = True
    session.save(charge, parent=charge["payment_intent"])
    dispute: Obj = session.new(
        "dispute",
        new_id("du"),
        null="intended_submission_method",
        amount=charge["amount"],
        balance_transactions=[],
        charge=charge["id"],
        currency=charge["currency"],
        enhanced_eligibility_types=[],
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
        payment_intent=charge["payment_intent"],
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
    session.save(dispute, parent=charge["id"])
    session.emit("charge.updated", view(session, charge), before)
    session.emit("charge.dispute.created", view(session, dispute))
    session.emit("charge.dispute.funds_withdrawn", view(session, dispute))
    return dispute
