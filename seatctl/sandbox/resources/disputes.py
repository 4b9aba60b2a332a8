"""Disputes: a cardholder's bank takes the money of a charge back, and asks for evidence.

Only a test card makes one, with its charge. It can be looked at and accepted; evidence is not taken.
"""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/disputes."""

    def keep(each: Any) -> bool:
        return params.get("payment_intent") in (None, each["payment_intent"])

    return page_of(session, "dispute", params, "/v1/disputes", parent=params.get("charge"), keep=keep)


def close(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/disputes/ID/close: accepted, and lost for good."""
    dispute = session.find("dispute", identifier, "dispute", status=404)
    if dispute["status"] != "needs_response":
        raise invalid("This dispute is already closed.")
    before = view(session, dispute)
    dispute["status"] = "lost"
    session.save(dispute, parent=dispute["charge"])
    shown = view(session, dispute)
    session.emit("charge.dispute.updated", shown, before)
    session.emit("charge.dispute.closed", shown)
    return shown
