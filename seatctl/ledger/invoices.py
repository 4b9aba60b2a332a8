"""Queries on the mirrored invoices. `ledger/mirror/invoices.py` stores them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from operator import attrgetter

from seatctl.errors import Code, NotFound
from seatctl.ledger.collection import UNSETTLED
from seatctl.ledger.conditions import one_of, texts_in, where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.json_text import json_array, json_rows
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader
from seatctl.models.call import from_epoch, optional_text
from seatctl.models.invoice import DECIDED_DISPUTES, Dispute, Invoice, InvoiceLine, InvoiceStatus, Refund
from seatctl.rules.typed_values import did_you_mean

REMAINING = (
    f"CASE WHEN i.status IN {one_of(s for s in InvoiceStatus if not s.owes)} THEN 0"
    " ELSE i.amount_remaining END"
)
"""What is still to be paid for an invoice of `invoices AS i`."""


def _number(key: str) -> str:
    """Return an expression for a number of `stripe_objects AS o`, as JSON."""
    return f"json_quote(CAST(json_extract(o.data, '$.{key}') AS BIGINT))"


def _text(key: str) -> str:
    """Return an expression for a text of `stripe_objects AS o`, as JSON."""
    return f"json_quote(json_extract(o.data, '$.{key}'))"


_CREATED = "json_quote(o.created)"
_REFUND = json_array(_number("amount"), _text("status"), _CREATED)
_DISPUTE = json_array(
    _number("amount"),
    _text("currency"),
    _text("status"),
    _text("reason"),
    _CREATED,
    _number("evidence_details.due_by"),
)
_OF_PAYMENTS = """FROM json_each(i.data, '$.payments') AS p JOIN stripe_objects o
        ON o.parent = json_extract(p.value, '$.reference')"""

_SELECT = f"""SELECT i.id, i.stripe_id, i.number, s.name AS subscription, i.status, i.currency, i.total,
    i.amount_due, i.amount_paid, {REMAINING} AS amount_remaining, i.created_at, i.due_date, i.finalized_at,
    i.billing_reason, i.hosted_url, i.data AS details,
    (SELECT {json_rows(_REFUND)} {_OF_PAYMENTS} AND o.kind = 'refund') AS refunds,
    (SELECT {json_rows(_DISPUTE)} {_OF_PAYMENTS} AND o.kind = 'dispute') AS disputes
    FROM invoices i LEFT JOIN subscriptions s ON s.id = i.subscription_id"""


class UnknownInvoice(NotFound):
    """There is no invoice with this number or Stripe id."""

    kind = Code.UNKNOWN_INVOICE


def find(reader: Reader, handle: str) -> Invoice:
    """Return the invoice with this number or Stripe id. Raises UnknownInvoice with similar numbers."""
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
    """Return the drafts of these customers (Stripe ids); their totals depend on the customer's balance."""
    rows = reader.rows(
        "SELECT i.stripe_id, c.stripe_id AS customer FROM invoices i JOIN customers c ON c.id = i.customer_id"
        " WHERE i.status = 'draft' ORDER BY i.stripe_id"
    )
    wanted = set(customers_in_stripe)
    return [row["stripe_id"] for row in rows if row["customer"] in wanted]


def processing(reader: Reader) -> list[str]:
    """Return the invoices (Stripe ids) whose payments a bank was processing when they were read."""
    rows = reader.rows(
        f"SELECT stripe_id FROM invoices WHERE {UNSETTLED}"
        " AND json_extract(data, '$.processing_until') IS NOT NULL ORDER BY stripe_id"
    )
    return [row["stripe_id"] for row in rows]


def subscription_of(reader: Reader, invoice_id: int) -> int | None:
    """Return the id of the subscription that an invoice is for, or None."""
    return reader.number("SELECT subscription_id FROM invoices WHERE id = ?", (invoice_id,))


def lines(reader: Reader, invoice_id: int) -> list[InvoiceLine]:
    """Return the lines of an invoice in Stripe's order."""
    query = (
        "SELECT stripe_id, description, quantity, amount, currency, period_start, period_end, proration,"
        " data AS details FROM invoice_lines WHERE invoice_id = ? ORDER BY n"
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
    """Yield invoices, newest first; `since` is inclusive, `until` exclusive, both UTC.

    Unpaid invoices are open with an amount to pay. Overdue ones are unpaid and were due before `overdue_at`;
    invoices charged to a card are due as soon as they are finalized.
    """
    filters: dict[str, SqlValue] = {
        "subscription": subscription_id,
        "status": None if status is None else str(status),
        "unpaid": 1 if unpaid or overdue_at is not None else None,
        "overdue": optional_text(overdue_at),
        "since": optional_text(since),
        "until": optional_text(until),
    }
    chosen = where(
        filters,
        subscription="(i.subscription_id = :subscription OR i.stripe_subscription ="
        " (SELECT stripe_subscription FROM subscriptions WHERE id = :subscription))",
        status="i.status = :status",
        unpaid="i.status = 'open' AND i.amount_remaining > 0",
        overdue="coalesce(i.due_date, i.finalized_at) < :overdue"
        " AND json_extract(i.data, '$.processing_until') IS NULL",
        since="i.created_at >= :since",
        until="i.created_at < :until",
    )
    newest_first = "ORDER BY i.created_at DESC, i.number DESC NULLS LAST, i.id DESC"
    for row in reader.stream(f"{_SELECT}{chosen} {newest_first}", filters):
        yield _invoice(row)


def _refunds(text: str) -> tuple[Refund, ...]:
    rows = [
        Refund(amount, status or "unknown", from_epoch(created))
        for amount, status, created in json.loads(text)
    ]
    return tuple(sorted(rows, key=attrgetter("at")))


def _disputes(text: str) -> tuple[Dispute, ...]:
    rows = [
        Dispute(
            amount=amount,
            currency=currency or "",
            status=status or "unknown",
            reason=reason or "unknown",
            at=from_epoch(created),
            answer_by=from_epoch(due) if due else None,  # 0: the bank takes no evidence
        )
        for amount, currency, status, reason, created, due in json.loads(text)
    ]
    return tuple(sorted(rows, key=attrgetter("at")))


def in_dispute(reader: Reader) -> list[Invoice]:
    """Return the invoices with a payment in an undecided dispute, oldest first."""
    rows = reader.rows(
        "SELECT parent FROM stripe_objects WHERE kind = 'dispute' AND"
        f" coalesce(json_extract(data, '$.status'), '') NOT IN {one_of(DECIDED_DISPUTES)}"
    )
    payments = [row["parent"] for row in rows]
    if not payments:
        return []  # nearly always; the next query reads the payments of every invoice
    disputed = reader.rows(
        f"{_SELECT} WHERE EXISTS (SELECT 1 FROM json_each(i.data, '$.payments') AS p"
        f" WHERE json_extract(p.value, '$.reference') IN {texts_in(':payments')})"
        " ORDER BY i.created_at, i.id",
        {"payments": json.dumps(payments)},
    )
    return [_invoice(row) for row in disputed]


_invoice = mapper(Invoice, refunds=_refunds, disputes=_disputes)
_line = mapper(InvoiceLine)
