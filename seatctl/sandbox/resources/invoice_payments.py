"""Invoice payments: which payment intent pays which invoice."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.lists import listing, matches
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/invoice_payments/ID."""
    return view(session, session.find("invoice_payment", identifier, "invoice_payment", status=404))


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/invoice_payments."""
    invoice = params.get("invoice")
    if invoice:
        session.find("invoice", invoice, "invoice")
    intent = (params.get("payment") or {}).get("payment_intent")

    def keep(payment: Any) -> bool:
        same = intent is None or payment["payment"]["payment_intent"] == intent
        return same and matches(payment, params, "status")

    return listing(session, "invoice_payment", params, "/v1/invoice_payments", parent=invoice, keep=keep)
