"""The customer's balance: negative is credit, positive debt, each move a transaction."""

from __future__ import annotations

from seatctl.sandbox.customers import touch
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.lists import listing
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view
from seatctl.sandbox.wire import Obj, merge_metadata, new_id, unset


def record(
    session: Session,
    customer: Obj,
    amount: int,
    kind: str,
    *,
    currency: str | None = None,
    invoice: str | None = None,
    credit_note: str | None = None,
    description: str | None = None,
    metadata: Obj | None = None,
) -> Obj:
    """Write down a move that `customer["balance"]` already shows; minor units, negative is credit."""
    made = {
        "id": new_id("cbtxn"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": session.now,
        "credit_note": credit_note,
        "currency": currency or customer["currency"] or "usd",
        "customer": customer["id"],
        "customer_account": None,
        "description": description,
        "ending_balance": customer["balance"],
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata or {},
        "type": kind,
    }
    session.save(made, parent=customer["id"])
    return made


def create(session: Session, params: Obj, customer_id: str) -> Obj:
    """POST /v1/customers/ID/balance_transactions: an adjustment."""
    customer = session.find("customer", customer_id, "id", status=404)
    before = view(session, session.find("customer", customer_id, None))
    currency = params["currency"].lower()
    if customer["currency"] not in (None, currency):
        message = (
            f"Cannot create a customer balance transaction in {currency}: the customer's currency is "
            f"{customer['currency']}."
        )
        raise invalid(message, "currency")
    customer["balance"] += params["amount"]
    customer["currency"] = currency
    made = record(
        session,
        customer,
        params["amount"],
        "adjustment",
        currency=currency,
        description=unset(params.get("description")),
        metadata=merge_metadata({}, params.get("metadata")),
    )
    touch(session, customer, before)
    return view(session, made)


def listed(session: Session, params: Obj, customer_id: str) -> Obj:
    """GET /v1/customers/ID/balance_transactions."""
    session.find("customer", customer_id, "id", status=404)
    url = f"/v1/customers/{customer_id}/balance_transactions"
    invoice = params.get("invoice")
    return listing(
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
