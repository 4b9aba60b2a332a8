"""Charges, as a paid or declined invoice leaves them."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.lists import check_customer, page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/charges."""
    check_customer(session, params)
    intent = params.get("payment_intent")

    def keep(charge: Any) -> bool:
        return intent is None or charge["payment_intent"] == intent

    return page_of(session, "charge", params, "/v1/charges", keep=keep)
