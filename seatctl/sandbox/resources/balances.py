"""The customer's balance: negative is credit, positive debt, each move a transaction."""

from __future__ import annotations

from seatctl.sandbox.api.lists import listing
from seatctl.sandbox.api.session import Session
from seatctl.sandbox.api.views import view
from seatctl.sandbox.billing.money import held, hold
from seatctl.sandbox.resources import account
from seatctl.sandbox.resources.customers import touch
from seatctl.sandbox.wire import Obj, merge_metadata, new_id, unset


def bill(session: Session, customer_id: str, currency: str) -> None:
    """The first billing gives a customer its currency."""
    customer = session.store.get("customer", customer_id)
    if customer is not None and customer["currency"] is None:
        touch(session, {**customer, "currency": currency}, view(session, customer))


def move(
    session: Session,
    customer: Obj,
    amount: int,
    kind: str,
    *,
    currency: str,
    invoice: str | None = None,
    credit_note: str | None = None,
) -> Obj:
    """Add to what the customer holds, and write down and announce the move."""
    before = view(session, customer)
    customer = {**customer}
    hold(customer, currency, held(customer, currency) + amount)
    made = record(
        session, customer, amount, kind, currency=currency, invoice=invoice, credit_note=credit_note
    )
    touch(session, customer, before)
    return made


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
    """Write down a move that the customer already shows; minor units, negative is credit."""
    currency = currency or customer["currency"] or account.CURRENCY
    made = {
        "id": new_id("cbtxn"),
        "object": "customer_balance_transaction",
        "amount": amount,
        "checkout_session": None,
        "created": session.now,
        "credit_note": credit_note,
        "currency": currency,
        "customer": customer["id"],
        "customer_account": None,
        "description": description,
        "ending_balance": held(customer, currency),
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
    hold(customer, currency, held(customer, currency) + params["amount"])
    customer["currency"] = customer["currency"] or currency
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
