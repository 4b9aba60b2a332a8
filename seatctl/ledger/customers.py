"""Stripe's customers in the ledger: who is billed. A mirror; the audit knows them by their subscription."""

from __future__ import annotations

import json

from seatctl.errors import JsonValue
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


def snapshot(reader: Reader, customer_id: int) -> dict[str, JsonValue]:
    """A customer as the audit keeps it: who is billed, by which card."""
    row = reader.row("SELECT email, name, data FROM customers WHERE id = ?", (customer_id,))
    if row is None:
        return {}
    data = json.loads(row["data"])
    return {
        "email": row["email"],
        "name": row["name"],
        "default_payment_method": data.get("default_payment_method"),
    }


def subscriptions_of(reader: Reader, customer_id: int) -> list[str]:
    """The names of the subscriptions that a customer is billed for."""
    query = "SELECT name FROM subscriptions WHERE customer_id = ? ORDER BY name_key"
    return [row["name"] for row in reader.rows(query, (customer_id,))]
