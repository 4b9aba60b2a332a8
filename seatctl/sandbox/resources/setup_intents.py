"""Setup intents. One is made for a trial without a card, and for a Checkout page of mode `setup`."""

from __future__ import annotations

from seatctl.sandbox.objects import Obj, new_id, token
from seatctl.sandbox.session import Session


def create_pending(session: Session, customer: str) -> Obj:
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
