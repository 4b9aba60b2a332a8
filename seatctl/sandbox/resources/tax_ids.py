"""A customer's tax ids. Its invoices show them; the sandbox does not verify them."""

from __future__ import annotations

from seatctl.sandbox.changes import delete_and_emit, save_and_emit
from seatctl.sandbox.lists import page_of
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
    return save_and_emit(session, tax_id, "customer.tax_id.created")


def list_page(session: Session, params: Obj, customer: str) -> Obj:
    """GET /v1/customers/ID/tax_ids."""
    session.find("customer", customer, "id", status=404)
    url = f"/v1/customers/{customer}/tax_ids"
    return page_of(session, "tax_id", {**params, "customer": customer}, url)


def delete(session: Session, params: Obj, customer: str, identifier: str) -> Obj:
    """DELETE /v1/customers/ID/tax_ids/ID."""
    session.find("customer", customer, "id", status=404)
    tax_id = session.find("tax_id", identifier, "id", status=404)
    return delete_and_emit(session, tax_id, "customer.tax_id.deleted")
