"""Stripe's customers in the ledger: who is billed. A mirror; the audit knows them by their subscription."""

from __future__ import annotations

import json

from seatctl.errors import JsonValue
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.stripe_objects import StripeCustomer


def upsert(journal: Journal, customer: StripeCustomer) -> int:
    """Insert or refresh a customer; its id in the ledger.

    A deleted one keeps the name and address that were known: Stripe answers nothing but its id.
    """
    return journal.count(
        "INSERT INTO customers (stripe_id, email, name, deleted, data)"
        " VALUES (:stripe_id, :email, :name, :deleted, :data)"
        " ON CONFLICT (stripe_id) DO UPDATE SET"
        " email = CASE WHEN excluded.deleted = 1 THEN customers.email ELSE excluded.email END,"
        " name = CASE WHEN excluded.deleted = 1 THEN customers.name ELSE excluded.name END,"
        " deleted = excluded.deleted, data = excluded.data RETURNING id",
        {
            "stripe_id": customer.id,
            "email": customer.email,
            "name": customer.name,
            "deleted": int(customer.deleted),
            "data": json.dumps(
                {"default_payment_method": customer.default_payment_method, **customer.details}
            ),
        },
    )


def refresh(journal: Journal, customer: StripeCustomer) -> None:
    """As `upsert`; a deleted customer of whom nothing is known here is left out."""
    if not customer.deleted or find(journal, customer.id) is not None:
        upsert(journal, customer)


def find(reader: Reader, stripe_id: str) -> int | None:
    """The id in the ledger of a Stripe customer; None where it is not there."""
    found = reader.value("SELECT id FROM customers WHERE stripe_id = ?", (stripe_id,))
    return found if isinstance(found, int) else None


def mention(journal: Journal, stripe_id: str, email: str | None, name: str | None) -> int:
    """The id in the ledger of a customer that something refers to; one not read yet is noted as such.

    What refers to it may know how it was called: of a deleted customer Stripe tells nothing else.
    """
    row = journal.row("SELECT id, data = '{}' AS mentioned FROM customers WHERE stripe_id = ?", (stripe_id,))
    if row is None:
        return journal.insert(
            "INSERT INTO customers (stripe_id, email, name, data) VALUES (?, ?, ?, '{}')",
            (stripe_id, email, name),
        )
    if row["mentioned"] and (email or name):
        journal.execute(
            "UPDATE customers SET email = coalesce(email, ?), name = coalesce(name, ?) WHERE id = ?",
            (email, name, row["id"]),
        )
    return int(row["id"])


def only_mentioned(reader: Reader) -> list[str]:
    """Customers that are referred to and were never read: deleted ones, which no list has."""
    rows = reader.rows("SELECT stripe_id FROM customers WHERE data = '{}' ORDER BY stripe_id")
    return [row["stripe_id"] for row in rows]


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


def named(reader: Reader, customer_id: int) -> tuple[str | None, str | None]:
    """Name and e-mail of a customer of the ledger."""
    row = reader.row("SELECT name, email FROM customers WHERE id = ?", (customer_id,))
    return (None, None) if row is None else (row["name"], row["email"])
