"""Charges: the attempts to collect a payment, paid or declined."""

from __future__ import annotations

from seatctl.sandbox.lists import check_customer, page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/charges."""
    check_customer(session, params)
    return page_of(session, "charge", params, "/v1/charges", filters=["payment_intent"])
