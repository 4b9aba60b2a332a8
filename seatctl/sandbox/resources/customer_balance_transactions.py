"""The customer's balance: negative is credit, positive debt, each move a transaction."""

from __future__ import annotations

from seatctl.sandbox.billing.balance import record_transaction, save_customer
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import balance_in, set_balance_in
from seatctl.sandbox.objects import Obj, unset
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view


def create(session: Session, params: Obj, customer_id: str) -> Obj:
    """POST /v1/customers/ID/balance_transactions: an adjustment."""
    customer = session.find("customer", customer_id, "id", status=404)
    before = view(session, session.find("customer", customer_id, None))
    currency = params["currency"].lower()
    set_balance_in(customer, currency, balance_in(customer, currency) + params["amount"])
    customer["currency"] = customer["currency"] or currency
    made = record_transaction(
        session,
        customer,
        params["amount"],
        "adjustment",
        currency=currency,
        description=unset(params.get("description")),
        metadata=merge_metadata({}, params.get("metadata")),
    )
    save_customer(session, customer, before)
    return view(session, made)


def list_page(session: Session, params: Obj, customer_id: str) -> Obj:
    """GET /v1/customers/ID/balance_transactions."""
    session.find("customer", customer_id, "id", status=404)
    url = f"/v1/customers/{customer_id}/balance_transactions"
    invoice = params.get("invoice")
    return page_of(
        session,
        "customer_balance_transaction",
        params,
        url,
        parent=customer_id,
        keep=lambda each: invoice is None or each["invoice"] == invoice,
    )


def retrieve(session: Session, params: Obj, customer_id: str, identifier: str) -> Obj:
    """GET /v1/customers/ID/balance_transactions/ID."""
    session.find("customer", customer_id, "id", status=404)
    return view(session, session.find("customer_balance_transaction", identifier, "transaction", status=404))


def update(session: Session, params: Obj, customer_id: str, identifier: str) -> Obj:
    """POST /v1/customers/ID/balance_transactions/ID: description and metadata."""
    session.find("customer", customer_id, "id", status=404)
    found = session.find("customer_balance_transaction", identifier, "transaction", status=404)
    if "description" in params:
        found["description"] = unset(params["description"])
    if "metadata" in params:
        found["metadata"] = merge_metadata(found["metadata"], params["metadata"])
    session.save(found)
    return view(session, found)
