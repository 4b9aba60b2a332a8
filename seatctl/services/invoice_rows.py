"""Invoices as rows of output. Amounts in minor units, times in the written form."""

from __future__ import annotations

from datetime import datetime

from seatctl.models.call import format_time
from seatctl.models.invoice import Invoice, InvoiceLine
from seatctl.models.money import plain_amount
from seatctl.models.report import Record


def invoice_row(invoice: Invoice) -> Record:
    """One line of `invoices list`; a draft has no number yet and is named by its id."""
    return {
        "number": invoice.number or invoice.stripe_id,
        "subscription": invoice.subscription,
        "status": str(invoice.status),
        "total": invoice.total,
        "amount_paid": invoice.amount_paid,
        "amount_remaining": invoice.amount_remaining,
        "amount_due": invoice.amount_due,
        "currency": invoice.currency,
        "created_at": format_time(invoice.created_at),
        "due_date": _written(invoice.due_date),
        "billing_reason": invoice.billing_reason,
        "hosted_url": invoice.hosted_url,
        "stripe_id": invoice.stripe_id,
    }


def invoice_page(invoice: Invoice, lines: list[InvoiceLine]) -> Record:
    """An invoice with its lines: as objects for a program, as sentences for a person."""
    return {
        **invoice_row(invoice),
        "items": [_sentence(line) for line in lines],
        "lines": [
            {
                "description": line.description,
                "quantity": line.quantity,
                "amount": line.amount,
                "currency": line.currency,
                "period_start": format_time(line.period_start),
                "period_end": format_time(line.period_end),
                "proration": line.proration,
            }
            for line in lines
        ],
    }


def _sentence(line: InvoiceLine) -> str:
    amount = f"{plain_amount(line.amount, line.currency)} {line.currency.upper()}"
    return f"{line.description or 'no description'}: {amount}"


def _written(moment: datetime | None) -> str | None:
    return None if moment is None else format_time(moment)
