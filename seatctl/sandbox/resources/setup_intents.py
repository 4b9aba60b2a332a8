"""Setup intents. One is made for a trial without a card, and for a Checkout page of mode `setup`."""

from __future__ import annotations

from seatctl.sandbox.changes import save_and_emit
from seatctl.sandbox.objects import Obj, new_id, token
from seatctl.sandbox.session import Session


def create_pending(session: Session, customer: str) -> Obj:
    """Create a setup intent that waits for a payment method; it is written."""
    identifier = new_id("seti")
    intent: Obj = {
        "id": identifier,
        "object": "setup_intent",
        "allowed_payment_method_types": None,
        "application": None,
        "automatic_payment_methods": None,
        "cancellation_reason": None,
        "client_secret": f"{identifier}_secret_{token(24)}",
        "created": session.now,
        "customer": customer,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": None,
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_payment_method",
        "usage": "off_session",
    }
    save_and_emit(session, intent, "setup_intent.created")
    return intent
