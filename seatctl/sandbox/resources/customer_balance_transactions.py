"""Transactions of a customer's balance: adjustments made here, and those that invoices leave."""

from __future__ import annotations

from seatctl.sandbox.billing.balance import change_balance
from seatctl.sandbox.metadata import merge_metadata, update_metadata
from seatctl.sandbox.objects import Obj, set_fields, unset
from seatctl.sandbox.session import Session

_KIND = "customer_balance_transaction"


def create(session: Session, params: Obj, customer_id: str) -> Obj:
    """POST /v1/customers/ID/balance_transactions: an adjustment."""
    customer = session.find("customer", customer_id, "id", status=404)
    currency = params["currency"].lower()
    customer["currency"] = customer["currency"] or currency
    fields = {
        "description": unset(params.get("description")),
        "metadata": merge_metadata({}, params.get("metadata")),
    }
    transaction = change_balance(
        session, customer, params["amount"], "adjustment", currency=currency, **fields
    )
    return session.view(transaction)


def update(session: Session, params: Obj, customer_id: str, identifier: str) -> Obj:
    """POST /v1/customers/ID/balance_transactions/ID: its description and metadata."""
    session.find("customer", customer_id, "id", status=404)
    transaction = session.find(_KIND, identifier, "transaction", status=404)
    set_fields(transaction, params, "description")
    update_metadata(transaction, params)
    session.save(transaction)
    return session.view(transaction)
