"""Charges, as a paid or declined invoice leaves them."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.lists import check_customer, listing
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/charges/ID."""
    return view(session, session.find("charge", identifier, "id", status=404))


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/charges."""
    check_customer(session, params)
    intent = params.get("payment_intent")

    def keep(charge: Any) -> bool:
        return intent is None or charge["payment_intent"] == intent

    return listing(session, "charge", params, "/v1/charges", keep=keep)
