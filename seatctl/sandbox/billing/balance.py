"""The customer's balance: negative is credit, positive is debt. Each change is a transaction."""

from __future__ import annotations

from seatctl.sandbox.billing import account
from seatctl.sandbox.money import balance_in, set_balance_in
from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def save_customer(session: Session, customer: Obj, before: Obj) -> None:
    """Write a customer that billing changed, and say so if anything did change."""
    session.save(customer)
    shown = view(session, customer)
    if changed(before, shown):
        session.emit("customer.updated", shown, before)


def set_currency(session: Session, customer_id: str, currency: str) -> None:
    """The first billing gives a customer its currency."""
    customer = session.store.get("customer", customer_id)
    if customer is not None and customer["currency"] is None:
        save_customer(session, {**customer, "currency": currency}, view(session, customer))


def change_balance(
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
    set_balance_in(customer, currency, balance_in(customer, currency) + amount)
    made = record_transaction(
        session, customer, amount, kind, currency=currency, invoice=invoice, credit_note=credit_note
    )
    save_customer(session, customer, before)
    return made


def record_transaction(
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
        "ending_balance": balance_in(customer, currency),
        "invoice": invoice,
        "livemode": False,
        "metadata": metadata or {},
        "type": kind,
    }
    session.save(made, parent=customer["id"])
    return made
