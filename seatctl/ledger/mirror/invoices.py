"""Storage of Stripe's invoices and their lines in the mirror. Queries are in `ledger/invoices.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import TYPE_CHECKING

from seatctl.ledger.conditions import numbers_in, texts_in
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.mirror import customers
from seatctl.ledger.mirror.customers import CustomerMention
from seatctl.ledger.row_values import column_value, json_list
from seatctl.ledger.transaction import Journal
from seatctl.models.call import format_time
from seatctl.models.invoice import InvoiceLine

if TYPE_CHECKING:
    from seatctl.models.stripe_objects import StripeInvoice

_SAME = (
    *("number", "status", "currency", "subtotal", "total", "amount_due", "amount_paid", "amount_remaining"),
    *("due_date", "finalized_at", "paid_at", "billing_reason", "hosted_url"),
)
_COLUMNS = (*_SAME, "stripe_subscription", "data")
_FIELDS = attrgetter(*_SAME, "subscription_id", "details")
_SAME_OF_LINE = (
    *("stripe_id", "description", "quantity", "amount", "currency", "period_start", "period_end"),
    "proration",
)
_LINE_COLUMNS = (*_SAME_OF_LINE, "data")
_LINE_FIELDS = attrgetter(*_SAME_OF_LINE, "details")

_REFRESHED = ", ".join(f"{name} = excluded.{name}" for name in _COLUMNS)
_INTO = f"INSERT INTO invoices (customer_id, subscription_id, stripe_id, created_at, {', '.join(_COLUMNS)})"
# If the ledger's ids are not given, the customer and the subscription are looked up by their Stripe ids.
_ROW = (
    "(coalesce(?, (SELECT id FROM customers WHERE stripe_id = ?)),"
    " coalesce(?, (SELECT min(id) FROM subscriptions WHERE stripe_subscription = ?)), ?, ?"
    f"{', ?' * len(_COLUMNS)})"
)
# An invoice whose Stripe subscription is unknown keeps its subscription: a renewal may have given that
# another Stripe subscription since.
_THEN = (
    f"ON CONFLICT (stripe_id) DO UPDATE SET {_REFRESHED}, customer_id = excluded.customer_id,"
    " subscription_id = coalesce(excluded.subscription_id, invoices.subscription_id)"
)
_INTO_LINES = f"INSERT INTO invoice_lines (invoice_id, n, {', '.join(_LINE_COLUMNS)})"
_LINE_ROW = f"((SELECT id FROM invoices WHERE stripe_id = ?){', ?' * (1 + len(_LINE_COLUMNS))})"


def store(
    journal: Journal,
    invoice: StripeInvoice,
    *,
    customer_id: int | None = None,
    subscription_id: int | None = None,
) -> int:
    """Insert or refresh an invoice with its lines and return its id in the ledger.

    Without `customer_id` and `subscription_id` (ids of the ledger) they are looked up by their Stripe ids.
    """
    if customer_id is None:
        customers.store_mentions(journal, _mentions([invoice]))
    _write(journal, [invoice], customer_id, subscription_id)
    return journal.count("SELECT id FROM invoices WHERE stripe_id = ?", (invoice.id,))


def store_all(journal: Journal, invoices: Sequence[StripeInvoice]) -> None:
    """Like `store`, for many invoices without duplicates."""
    if invoices:
        customers.store_mentions(journal, _mentions(invoices))
        _write(journal, invoices, None, None)


def attach(journal: Journal, stripe_subscription: str, subscription_id: int) -> None:
    """Attach the invoices of a Stripe subscription to a subscription, if they belong to none yet."""
    journal.execute(
        "UPDATE invoices SET subscription_id = ? WHERE stripe_subscription = ? AND +subscription_id IS NULL",
        (subscription_id, stripe_subscription),
    )


def attach_to_new(journal: Journal, added: Sequence[int]) -> None:
    """Like `attach`, for the subscriptions with these ids."""
    # `+` keeps SQLite from scanning all invoices without a subscription, and from looking up every added id
    # for each invoice.
    journal.execute(
        "UPDATE invoices SET subscription_id = (SELECT min(s.id) FROM subscriptions s"
        f" WHERE +s.id IN {numbers_in(':added')} AND s.stripe_subscription = invoices.stripe_subscription)"
        " WHERE +subscription_id IS NULL AND stripe_subscription IN"
        f" (SELECT stripe_subscription FROM subscriptions WHERE id IN {numbers_in(':added')})",
        {"added": json.dumps([*added])},
    )


def delete_draft(journal: Journal, stripe_id: str) -> None:
    """Delete a draft that was deleted in Stripe."""
    journal.execute(
        "DELETE FROM invoice_lines WHERE invoice_id = (SELECT id FROM invoices WHERE stripe_id = ?)",
        (stripe_id,),
    )
    journal.execute("DELETE FROM invoices WHERE stripe_id = ?", (stripe_id,))


def _write(
    journal: Journal, invoices: Sequence[StripeInvoice], customer_id: int | None, subscription_id: int | None
) -> None:
    rows = [_row(invoice, customer_id, subscription_id) for invoice in invoices]
    lines = [_line(invoice.id, n, line) for invoice in invoices for n, line in enumerate(invoice.lines, 1)]
    journal.insert_all(_INTO, _ROW, rows, _THEN)
    journal.execute(
        "DELETE FROM invoice_lines WHERE invoice_id IN (SELECT id FROM invoices"
        f" WHERE stripe_id IN {texts_in('?')})",
        (json_list(invoice.id for invoice in invoices),),
    )
    journal.insert_all(_INTO_LINES, _LINE_ROW, lines)


def _mentions(invoices: Sequence[StripeInvoice]) -> Iterator[CustomerMention]:
    """The customers that the invoices are billed to: all that Stripe still tells about a deleted one."""
    for invoice in invoices:
        if invoice.customer_id is not None:
            email, name = invoice.details.get("billed_to"), invoice.details.get("customer_name")
            yield CustomerMention(
                invoice.customer_id,
                email if isinstance(email, str) and "@" in email else None,
                name if isinstance(name, str) else None,
            )


def _row(
    invoice: StripeInvoice, customer_id: int | None, subscription_id: int | None
) -> tuple[SqlValue, ...]:
    return (
        customer_id,
        invoice.customer_id,
        subscription_id,
        invoice.subscription_id,
        invoice.id,
        format_time(invoice.created_at),
        *map(column_value, _FIELDS(invoice)),
    )


def _line(invoice: str, number: int, line: InvoiceLine) -> tuple[SqlValue, ...]:
    return (invoice, number, *map(column_value, _LINE_FIELDS(line)))
