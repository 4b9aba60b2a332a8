"""A customer's tax ids. Its invoices show them; the sandbox does not verify them."""

from __future__ import annotations

from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj, customer: str) -> Obj:
    """POST /v1/customers/ID/tax_ids."""
    session.find("customer", customer, "id", status=404)
    kind = params["type"]
    tax_id: Obj = session.new(
        "tax_id",
        new_id("txi"),
        null="customer_account",
        country=None if kind.startswith("eu_") else kind[:2].upper(),
        customer=customer,
        owner={"customer": customer, "customer_account": None, "type": "customer"},
        type=kind,
        value=params["value"],
        verification={"status": "unavailable", "verified_address": None, "verified_name": None},
    )
    return session.save_and_emit(tax_id, "customer.tax_id.created")
