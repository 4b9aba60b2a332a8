"""Invoice payments: which payment intent pays which invoice."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/invoice_payments."""
    invoice = params.get("invoice")
    if invoice:
        session.find("invoice", invoice, "invoice")
    intent = (params.get("payment") or {}).get("payment_intent")

    def is_match(payment: Any) -> bool:
        return intent is None or payment["payment"]["payment_intent"] == intent

    url = "/v1/invoice_payments"
    return page_of(
        session, "invoice_payment", params, url, parent=invoice, filters=["status"], is_match=is_match
    )
