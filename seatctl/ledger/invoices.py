"""The mirror of Stripe's invoices: upserted as they are read, found by number, listed newest first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue, NotFound
from seatctl.ledger import customers
from seatctl.ledger.engine import Row
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import format_time, parse_time
from seatctl.models.invoice import Invoice, InvoiceLine, InvoiceStatus
from seatctl.rules.nearest import did_you_mean

if TYPE_CHECKING:
    from seatctl.models.stripe_objects import StripeInvoice

_SELECT = """SELECT i.id, i.stripe_id, i.number, s.name AS subscription, i.status, i.currency, i.total,
    i.amount_due, i.amount_paid, i.amount_remaining, i.created_at, i.due_date, i.billing_reason, i.hosted_url,
    i.data FROM invoices i LEFT JOIN subscriptions s ON s.id = i.subscription_id"""

_UPSERT = """INSERT INTO invoices (stripe_id, number, status, currency, subtotal, total, amount_due,
    amount_paid, amount_remaining, customer_id, subscription_id, created_at, due_date, finalized_at, paid_at,
    billing_reason, hosted_url, stripe_subscription, data)
    VALUES (:stripe_id, :number, :status, :currency, :subtotal, :total, :due, :paid, :remaining, :customer,
    :subscription, :created, :due_date, :finalized, :paid_at, :reason, :url, :stripe_subscription, :data)
    ON CONFLICT (stripe_id) DO UPDATE SET number = excluded.number, status = excluded.status,
    currency = excluded.currency, subtotal = excluded.subtotal, total = excluded.total,
    amount_due = excluded.amount_due, amount_paid = excluded.amount_paid,
    amount_remaining = excluded.amount_remaining, customer_id = excluded.customer_id,
    subscription_id = coalesce(excluded.subscription_id, invoices.subscription_id),
    due_date = excluded.due_date, finalized_at = excluded.finalized_at, paid_at = excluded.paid_at,
    billing_reason = excluded.billing_reason, hosted_url = excluded.hosted_url,
    stripe_subscription = excluded.stripe_subscription, data = excluded.data RETURNING id"""


class UnknownInvoice(NotFound):
    """No invoice has this number or Stripe id."""

    code = "unknown_invoice"


def upsert(
    journal: Journal, invoice: StripeInvoice, *, customer_id: int | None, subscription_id: int | None
) -> int:
    """Insert or refresh an invoice with its lines; its id in the ledger.

    `subscription_id` None keeps the pool that it was known to be for: a renewal may have given the pool
    another subscription of Stripe's since.
    """
    found = journal.count(
        _UPSERT,
        {
            "stripe_id": invoice.id,
            "number": invoice.number,
            "status": str(invoice.status),
            "currency": invoice.currency,
            "subtotal": invoice.subtotal,
            "total": invoice.total,
            "due": invoice.amount_due,
            "paid": invoice.amount_paid,
            "remaining": invoice.amount_remaining,
            "customer": customer_id,
            "subscription": subscription_id,
            "created": format_time(invoice.created_at),
            "due_date": _written(invoice.due_date),
            "finalized": _written(invoice.finalized_at),
            "paid_at": _written(invoice.paid_at),
            "reason": invoice.billing_reason,
            "url": invoice.hosted_url,
            "stripe_subscription": invoice.subscription_id,
            "data": _compact(invoice.details),
        },
    )
    journal.execute("DELETE FROM invoice_lines WHERE invoice_id = ?", (found,))
    for number, line in enumerate(invoice.lines, 1):
        _add_line(journal, found, number, line)
    return found


def _add_line(journal: Journal, invoice_id: int, number: int, line: InvoiceLine) -> None:
    journal.execute(
        "INSERT INTO invoice_lines (invoice_id, n, stripe_id, description, quantity, amount, currency,"
        " period_start, period_end, proration, data) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            invoice_id,
            number,
            line.stripe_id,
            line.description,
            line.quantity,
            line.amount,
            line.currency,
            format_time(line.period_start),
            format_time(line.period_end),
            int(line.proration),
            _compact(line.details),
        ),
    )


def mirror(journal: Journal, invoice: StripeInvoice) -> int:
    """As `upsert`, with its customer and pool found by their ids in Stripe."""
    customer = None
    if invoice.customer_id is not None:
        email, name = invoice.details.get("billed_to"), invoice.details.get("customer_name")
        customer = customers.mention(
            journal,
            invoice.customer_id,
            email if isinstance(email, str) and "@" in email else None,
            name if isinstance(name, str) else None,
        )
    pool = journal.value(
        "SELECT min(id) FROM subscriptions WHERE stripe_subscription = ?", (invoice.subscription_id,)
    )
    found = pool if isinstance(pool, int) else None
    return upsert(journal, invoice, customer_id=customer, subscription_id=found)


def join(journal: Journal, stripe_subscription: str, subscription_id: int) -> None:
    """Give the invoices of a Stripe subscription to a pool, where they are nobody's yet."""
    journal.execute(
        "UPDATE invoices SET subscription_id = ? WHERE stripe_subscription = ? AND subscription_id IS NULL",
        (subscription_id, stripe_subscription),
    )


def forget(journal: Journal, stripe_id: str) -> None:
    """A draft that was deleted in Stripe."""
    journal.execute(
        "DELETE FROM invoice_lines WHERE invoice_id = (SELECT id FROM invoices WHERE stripe_id = ?)",
        (stripe_id,),
    )
    journal.execute("DELETE FROM invoices WHERE stripe_id = ?", (stripe_id,))


def find(reader: Reader, handle: str) -> Invoice:
    """By number or `in_…`. Raises UnknownInvoice with the nearest numbers."""
    row = reader.row(f"{_SELECT} WHERE i.number = :h OR i.stripe_id = :h", {"h": handle})
    if row is None:
        query = "SELECT number FROM invoices WHERE number IS NOT NULL ORDER BY created_at DESC LIMIT 1000"
        numbers = [known["number"] for known in reader.rows(query)]
        raise UnknownInvoice(
            f"there is no invoice {handle!r}",
            hint=did_you_mean(handle, numbers, "seatctl invoices list"),
            data={"invoice": handle},
        )
    return _invoice(row)


def drafts_of(reader: Reader, customers_in_stripe: Iterable[str]) -> list[str]:
    """The drafts of these customers (Stripe ids): they show what the customer's balance is now."""
    rows = reader.rows(
        "SELECT i.stripe_id, c.stripe_id AS customer FROM invoices i JOIN customers c ON c.id = i.customer_id"
        " WHERE i.status = 'draft' ORDER BY i.stripe_id"
    )
    wanted = set(customers_in_stripe)
    return [row["stripe_id"] for row in rows if row["customer"] in wanted]


def pool_of(reader: Reader, invoice_id: int) -> int | None:
    """The id of the subscription that an invoice is for, None where it is for none."""
    found = reader.value("SELECT subscription_id FROM invoices WHERE id = ?", (invoice_id,))
    return found if isinstance(found, int) else None


def lines(reader: Reader, invoice_id: int) -> list[InvoiceLine]:
    """The lines of an invoice in Stripe's order."""
    query = (
        "SELECT stripe_id, description, quantity, amount, currency, period_start, period_end, proration, data"
        " FROM invoice_lines WHERE invoice_id = ? ORDER BY n"
    )
    return [_line(row) for row in reader.rows(query, (invoice_id,))]


def listing(
    reader: Reader,
    *,
    subscription_id: int | None = None,
    status: InvoiceStatus | None = None,
    unpaid: bool = False,
    overdue_at: datetime | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Iterator[Invoice]:
    """Invoices, newest first; `since` is inclusive, `until` exclusive, both UTC.

    Unpaid ones have money open; of these, overdue ones were due before `overdue_at`: by card at once.
    """
    query = (
        f"{_SELECT} WHERE (:subscription IS NULL OR i.subscription_id = :subscription OR"  # noqa: S608 - the statement is ours, every value is bound
        " i.stripe_subscription = (SELECT stripe_subscription FROM subscriptions WHERE id = :subscription))"
        " AND (:status IS NULL OR i.status = :status)"
        " AND (:unpaid = 0 OR (i.status IN ('open', 'uncollectible') AND i.amount_remaining > 0))"
        " AND (:overdue IS NULL OR coalesce(i.due_date, i.finalized_at) < :overdue)"
        " AND (:since IS NULL OR i.created_at >= :since) AND (:until IS NULL OR i.created_at < :until)"
        " ORDER BY i.created_at DESC, i.id DESC"
    )
    filters = {
        "subscription": subscription_id,
        "status": None if status is None else str(status),
        "unpaid": int(unpaid or overdue_at is not None),
        "overdue": _written(overdue_at),
        "since": _written(since),
        "until": _written(until),
    }
    for row in reader.rows(query, filters):
        yield _invoice(row)


def _compact(details: Mapping[str, JsonValue]) -> str:
    return json.dumps(dict(details), ensure_ascii=False, separators=(",", ":"))


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)


def _invoice(row: Row) -> Invoice:
    return Invoice(
        id=row["id"],
        stripe_id=row["stripe_id"],
        number=row["number"],
        subscription=row["subscription"],
        status=InvoiceStatus(row["status"]),
        currency=row["currency"],
        total=row["total"],
        amount_due=row["amount_due"],
        amount_paid=row["amount_paid"],
        amount_remaining=row["amount_remaining"],
        created_at=parse_time(row["created_at"]),
        due_date=None if row["due_date"] is None else parse_time(row["due_date"]),
        billing_reason=row["billing_reason"],
        hosted_url=row["hosted_url"],
        details=json.loads(row["data"]),
    )


def _line(row: Row) -> InvoiceLine:
    return InvoiceLine(
        stripe_id=row["stripe_id"],
        description=row["description"],
        quantity=row["quantity"],
        amount=row["amount"],
        currency=row["currency"],
        period_start=parse_time(row["period_start"]),
        period_end=parse_time(row["period_end"]),
        proration=bool(row["proration"]),
        details=json.loads(row["data"]),
    )
