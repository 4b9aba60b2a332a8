"""Stripe's customers in the ledger: who is billed. A mirror; the audit knows them by their subscription."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from seatctl.errors import JsonValue
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.insert_many import compact_json, insert_all
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.stripe_objects import StripeCustomer

_INTO = "INSERT INTO customers (stripe_id, email, name, deleted, data)"
_REFRESH = (
    "ON CONFLICT (stripe_id) DO UPDATE SET"
    " email = CASE WHEN excluded.deleted = 1 THEN customers.email ELSE excluded.email END,"
    " name = CASE WHEN excluded.deleted = 1 THEN customers.name ELSE excluded.name END,"
    " deleted = excluded.deleted, data = excluded.data"
)
_MENTION = (
    "ON CONFLICT (stripe_id) DO UPDATE SET email = coalesce(customers.email, excluded.email),"
    " name = coalesce(customers.name, excluded.name) WHERE customers.data = '{}'"
    " AND coalesce(excluded.email, excluded.name) IS NOT NULL"
)


class CustomerMention(NamedTuple):
    """A customer that something refers to, and what that knows of how it is called."""

    stripe_id: str
    email: str | None = None
    name: str | None = None


def store(journal: Journal, customer: StripeCustomer) -> int:
    """Insert or refresh a customer; its id in the ledger.

    A deleted one keeps the name and address that were known: Stripe answers nothing but its id.
    """
    insert_all(journal, _INTO, "(?, ?, ?, ?, ?)", [_row(customer)], _REFRESH)
    return find(journal, customer.id) or 0


def store_all(journal: Journal, customers: Iterable[StripeCustomer]) -> None:
    """As `upsert`, of several; a deleted customer of whom nothing is known here is left out."""
    rows = [_row(one) for one in customers if not one.deleted or find(journal, one.id) is not None]
    insert_all(journal, _INTO, "(?, ?, ?, ?, ?)", rows, _REFRESH)


def find(reader: Reader, stripe_id: str) -> int | None:
    """The id in the ledger of a Stripe customer; None where it is not there."""
    found = reader.value("SELECT id FROM customers WHERE stripe_id = ?", (stripe_id,))
    return found if isinstance(found, int) else None


def store_mentions(journal: Journal, mentions: Iterable[CustomerMention]) -> None:
    """Note customers that something refers to and that were not read yet.

    What refers to one may know how it was called: of a deleted customer Stripe tells nothing else. The
    first that does is believed.
    """
    insert_all(journal, _INTO, "(?, ?, ?, 0, '{}')", list(dict.fromkeys(mentions)), _MENTION)


def never_read(reader: Reader) -> list[str]:
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


def name_and_email(journal: Journal, stripe_id: str) -> tuple[int, str | None, str | None]:
    """The id in the ledger of a customer that something refers to, with its name and e-mail."""
    row = journal.row("SELECT id, name, email FROM customers WHERE stripe_id = ?", (stripe_id,))
    if row is not None:
        return row["id"], row["name"], row["email"]
    store_mentions(journal, [CustomerMention(stripe_id)])
    return find(journal, stripe_id) or 0, None, None


def _row(customer: StripeCustomer) -> tuple[SqlValue, ...]:
    data = {"default_payment_method": customer.default_payment_method, **customer.details}
    return customer.id, customer.email, customer.name, int(customer.deleted), compact_json(data)
