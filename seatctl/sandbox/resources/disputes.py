"""Disputes: the cardholder's bank takes the money of a charge back and asks for evidence.

Only a payment with the test card for it is disputed (sandbox/billing/payments.py). A dispute can be read
and accepted; the sandbox takes no evidence.
"""

from __future__ import annotations

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def close(session: Session, params: Obj, dispute: Obj) -> Obj:
    """POST /v1/disputes/ID/close: the dispute is accepted and thereby lost."""
    if dispute["status"] != "needs_response":
        raise invalid("This dispute is already closed.")
    dispute["status"] = "lost"
    shown = session.save_changed(dispute, "charge.dispute.updated")
    session.emit("charge.dispute.closed", shown)
    return shown
