"""Stripe's customers in the ledger: who is billed. A mirror; the audit knows them by their subscription."""

from __future__ import annotations

import json

from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.stripe_objects import StripeCustomer


def upsert(journal: Journal, customer: StripeCustomer) -> int:
    """Insert or refresh a customer; its id in the ledger."""
    return journal.count(
        "INSERT INTO customers (stripe_id, email, name, deleted, data)"
        " VALUES (:stripe_id, :email, :name, :deleted, :data)"
        " ON CONFLICT (stripe_id) DO UPDATE SET email = excluded.email, name = excluded.name,"
        " deleted = excluded.deleted, data = excluded.data RETURNING id",
        {
            "stripe_id": customer.id,
            "email": customer.email,
            "name": customer.name,
            "deleted": int(customer.deleted),
            "data": json.dumps({"default_payment_method": customer.default_payment_method}),
        },
    )


def stripe_id(reader: Reader, customer_id: int) -> str:
    """The Stripe id of a customer of the ledger."""
    return str(reader.value("SELECT stripe_id FROM customers WHERE id = ?", (customer_id,)))


def billing_email(reader: Reader, customer_id: int) -> str | None:
    """The address that invoices and receipts go to."""
    found = reader.value("SELECT email FROM customers WHERE id = ?", (customer_id,))
    return found if isinstance(found, str) else None
