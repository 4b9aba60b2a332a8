"""Invoices as rows of output. Amounts in minor units, times in the written form."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger import invoices
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time, from_epoch, optional_text
from seatctl.models.invoice import Dispute, Invoice, InvoiceLine
from seatctl.models.money import format_money
from seatctl.models.report import Record, record_of
from seatctl.models.stripe_objects import Kind
from seatctl.rules.payment_methods import processing_until

if TYPE_CHECKING:
    from seatctl.billing.port import Billing


_UNTAXED = "without tax: Stripe did not know the customer's address"


def invoice_row(reader: Reader, invoice: Invoice, at: datetime) -> Record:
    """Return one row of `invoices list` at `at` (UTC). A draft has no number yet, so its id names it."""
    return {
        "number": invoice.number or invoice.stripe_id,
        **record_of(invoice, "subscription status net tax total amount_paid amount_remaining amount_due"),
        "credited": _credited(invoice) or None,
        "refunded": invoice.refunded or None,
        "disputed": invoice.disputed or None,
        **record_of(invoice, "currency created_at due_date"),
        "days_late": invoice.days_late(at),
        "billing_reason": invoice.billing_reason,
        "processing_until": optional_text(invoice.processing_until),
        "note": _note(reader, invoice, at),
        **record_of(invoice, "hosted_url stripe_id"),
    }


def with_fresh_links(ledger: Ledger, billing: Billing, invoice: Invoice) -> Invoice:
    """Return the invoice as Stripe has it now, and mirror it if the database role may write.

    The links to its page and its PDF expire.
    """
    from seatctl.billing import listings
    from seatctl.ledger.mirror import invoices as mirrored_invoices
    from seatctl.services.charging.pay_invoice import read_with_payment

    fresh = read_with_payment(billing, billing.read(listings.one(Kind.INVOICE, invoice.stripe_id)))
    if not ledger.rights.writes:
        return replace(invoice, hosted_url=fresh.hosted_url, details=fresh.details)
    with ledger.journal() as journal:
        mirrored_invoices.store(journal, fresh)
    with ledger.reading() as reader:
        return invoices.find(reader, fresh.id)


def _note(reader: Reader, invoice: Invoice, at: datetime) -> str | None:
    """Explain an invoice whose payment takes days, one over 0.00, or one that should have a tax."""
    if invoice.processing_until is not None:
        return processing_until(invoice.processing_until, at)
    if invoice.details.get("untaxed"):
        return _UNTAXED
    renewed_by = invoice.details.get("renewed_by")
    if not isinstance(renewed_by, str):
        return None
    try:
        payment_invoice = invoices.find(reader, renewed_by)
    except invoices.UnknownInvoice:
        return f"this term was paid by {renewed_by}"
    return f"this term was paid by {payment_invoice.number or renewed_by}"


def _credited(invoice: Invoice) -> int:
    """Return what credit notes took off, before and after payment, in minor units."""
    parts = (invoice.details.get("credited_before_payment"), invoice.details.get("credited"))
    return sum(part for part in parts if isinstance(part, int))


def invoice_page(reader: Reader, invoice: Invoice, lines: list[InvoiceLine], at: datetime) -> Record:
    """Return an invoice with its lines at `at` (UTC): as objects for programs, as sentences for people."""
    return {
        **invoice_row(reader, invoice, at),
        "billed_to": invoice.details.get("billed_to"),
        "pdf": invoice.details.get("pdf"),
        "items": [_sentence(line) for line in lines],
        "taxes": invoice.details.get("taxes", []),
        "discounts": invoice.details.get("discounts", []),
        "payments": [
            {**payment, "paid_at": _from_stripe(payment.get("paid_at"))}
            for payment in _objects(invoice.details.get("payments"))
        ],
        "paid_outside_stripe": invoice.details.get("paid_outside_stripe"),
        "refunds": [record_of(each, "amount status at") for each in invoice.refunds],
        "disputes": [
            record_of(each, "amount currency status reason at answer_by") for each in invoice.disputes
        ],
        "totals": list(_totals(invoice)),
        "lines": [
            {
                **record_of(line, "description quantity amount currency period_start period_end proration"),
                "unit_amount_decimal": line.details.get("unit_amount_decimal"),
                "taxes": line.details.get("taxes", []),
                "discounts": line.details.get("discounts", []),
            }
            for line in lines
        ],
    }


def _sentence(line: InvoiceLine) -> str:
    amount = format_money(line.amount, line.currency)
    prorated = " (prorated)" if line.proration else ""
    return f"{line.description or 'no description'}: {amount}{prorated}"


def _dispute_status(dispute: Dispute) -> str:
    """Return the state of a dispute in words; it is answered in Stripe's dashboard."""
    if dispute.wants_answer and dispute.answer_by is not None:
        return f"answer it in Stripe's dashboard by {dispute.answer_by:%Y-%m-%d}"
    return dispute.status.replace("_", " ")


def _totals(invoice: Invoice) -> Iterator[str]:
    """Yield discounts, taxes, payments and refunds, one sentence each."""
    for each in _objects(invoice.details.get("discounts")):
        yield f"discount -{_amount(each.get('amount'), invoice.currency)}"
    for each in _objects(invoice.details.get("taxes")):
        part = " (in the price)" if each.get("tax_behavior") == "inclusive" else ""
        yield f"tax {_amount(each.get('amount'), invoice.currency)}{part}"
    for payment in _objects(invoice.details.get("payments")):
        paid_at = payment.get("paid_at")
        when = f" on {from_epoch(paid_at):%Y-%m-%d}" if isinstance(paid_at, int) else ""
        method = str(payment.get("type") or "payment").replace("_", " ")
        yield f"{payment.get('status')} {_amount(payment.get('amount'), invoice.currency)} by {method}{when}"
    outside = invoice.details.get("paid_outside_stripe")
    if outside:
        yield f"paid {_amount(outside, invoice.currency)} outside of Stripe"
    for refund in invoice.refunds:
        status = "" if refund.status == "succeeded" else f" ({refund.status.replace('_', ' ')})"
        yield f"refunded {_amount(refund.amount, invoice.currency)} on {refund.at:%Y-%m-%d}{status}"
    for dispute in invoice.disputes:
        amount = _amount(dispute.amount, dispute.currency or invoice.currency)
        reason = dispute.reason.replace("_", " ")
        yield f"disputed {amount} on {dispute.at:%Y-%m-%d} ({reason}): {_dispute_status(dispute)}"
    credited_before = invoice.details.get("credited_before_payment")
    if credited_before:
        amount = _amount(credited_before, invoice.currency)
        yield f"credited {amount} before it was paid, which lowers what is due"
    credited = invoice.details.get("credited")
    if credited:
        yield f"credited {_amount(credited, invoice.currency)}"


def _objects(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _amount(value: JsonValue, currency: str) -> str:
    return format_money(value if isinstance(value, int) else 0, currency)


def _from_stripe(seconds: JsonValue) -> str | None:
    return format_time(from_epoch(seconds)) if isinstance(seconds, int) else None
