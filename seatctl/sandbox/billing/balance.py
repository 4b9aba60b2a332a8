"""The customer's balance: negative is credit, positive is debt. Each change is a transaction."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import account
from seatctl.sandbox.objects import Obj, balance_in, new_id, set_balance_in
from seatctl.sandbox.session import Session


def set_currency(session: Session, customer_id: str, currency: str) -> None:
    """Give a customer its currency if it has none: that of the first bill."""
    customer = session.store.get("customer", customer_id)
    if customer is not None and customer["currency"] is None:
        session.save_changed({**customer, "currency": currency}, "customer.updated")


def change_balance(
    session: Session, customer: Obj, amount: int, kind: str, *, currency: str, **source: Any
) -> Obj:
    """Add `amount` to the customer's balance. Return the transaction; it and the customer are written."""
    customer = {**customer}
    set_balance_in(customer, currency, balance_in(customer, currency) + amount)
    transaction = record_transaction(session, customer, amount, kind, currency=currency, **source)
    session.save_changed(customer, "customer.updated")
    return transaction


def record_transaction(
    session: Session, customer: Obj, amount: int, kind: str, *, currency: str | None = None, **source: Any
) -> Obj:
    """Write the transaction of a change that `customer` already has; minor units, negative is credit.

    `source` has the fields that say why: `invoice`, `credit_note`, `description` and `metadata`.
    """
    currency = currency or customer["currency"] or account.CURRENCY
    transaction = session.new(
        "customer_balance_transaction",
        new_id("cbtxn"),
        null="checkout_session credit_note customer_account description invoice",
        amount=amount,
        currency=currency,
        customer=customer["id"],
        ending_balance=balance_in(customer, currency),
        type=kind,
        **{"metadata": {}, **source},
    )
    session.save(transaction)
    return transaction
