"""The mirror of Stripe's customers. It is not audited; the subscription records a change of payer."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import NamedTuple

from seatctl.errors import JsonValue
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import compact_json
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
    """A customer that another Stripe object refers to, with the name and e-mail that the object knows."""

    stripe_id: str
    email: str | None = None
    name: str | None = None


def store(journal: Journal, customer: StripeCustomer) -> int:
    """Insert or refresh a customer and return its id in the ledger.

    A deleted customer keeps the known name and e-mail, because Stripe returns only its id.
    """
    journal.insert_all(_INTO, "(?, ?, ?, ?, ?)", [_row(customer)], _REFRESH)
    return find(journal, customer.id) or 0


def store_all(journal: Journal, customers: Iterable[StripeCustomer]) -> None:
    """Like `store`, for several; deleted customers that are not in the ledger are skipped."""
    rows = {
        customer.id: _row(customer)  # the last one of an id: a statement cannot refresh a row twice
        for customer in customers
        if not customer.deleted or find(journal, customer.id) is not None
    }
    journal.insert_all(_INTO, "(?, ?, ?, ?, ?)", [*rows.values()], _REFRESH)


def find(reader: Reader, stripe_id: str) -> int | None:
    """Return the ledger's id of a Stripe customer, or None if it is not in the ledger."""
    return reader.number("SELECT id FROM customers WHERE stripe_id = ?", (stripe_id,))


def store_mentions(journal: Journal, mentions: Iterable[CustomerMention]) -> None:
    """Insert customers that other objects refer to and that were not read yet.

    The objects may know a name and an e-mail, which Stripe no longer returns for a deleted customer. The
    first mention that has them counts.
    """
    merged: dict[str, CustomerMention] = {}
    for mention in mentions:
        known = merged.get(mention.stripe_id, mention)
        merged[mention.stripe_id] = CustomerMention(
            mention.stripe_id,
            mention.email if known.email is None else known.email,
            mention.name if known.name is None else known.name,
        )
    journal.insert_all(_INTO, "(?, ?, ?, 0, '{}')", [*merged.values()], _MENTION)


def never_read(reader: Reader) -> list[str]:
    """Return the Stripe ids of customers that were mentioned but never read: deleted ones are in no list."""
    return reader.column("SELECT stripe_id FROM customers WHERE data = '{}' ORDER BY stripe_id")


def stripe_id(reader: Reader, customer_id: int) -> str:
    """Return the Stripe id of a customer."""
    return str(reader.value("SELECT stripe_id FROM customers WHERE id = ?", (customer_id,)))


def billing_email(reader: Reader, customer_id: int) -> str | None:
    """Return the address that invoices and receipts are sent to."""
    return reader.text("SELECT email FROM customers WHERE id = ?", (customer_id,))


def snapshot(reader: Reader, customer_id: int) -> dict[str, JsonValue]:
    """Return a customer as the audit records it: who is billed, and with which payment method."""
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
    """Return the names of the subscriptions that a customer is billed for."""
    query = "SELECT name FROM subscriptions WHERE customer_id = ? ORDER BY name_key"
    return reader.column(query, (customer_id,))


def name_and_email(journal: Journal, stripe_id: str) -> tuple[int, str | None, str | None]:
    """Return the ledger's id, name and e-mail of a customer; insert one that is not in the ledger yet."""
    row = journal.row("SELECT id, name, email FROM customers WHERE stripe_id = ?", (stripe_id,))
    if row is not None:
        return row["id"], row["name"], row["email"]
    store_mentions(journal, [CustomerMention(stripe_id)])
    return find(journal, stripe_id) or 0, None, None


def _row(customer: StripeCustomer) -> tuple[SqlValue, ...]:
    data = {"default_payment_method": customer.default_payment_method, **customer.details}
    return customer.id, customer.email, customer.name, int(customer.deleted), compact_json(data)
