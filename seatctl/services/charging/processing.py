"""Payments that take days: while one is in progress, its invoice is not voided, canceled or charged again.

A bank debit is `processing` for up to two weeks and may still succeed, however old its operation is. The 23
hours of idempotency keys do not apply to it.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.billing import endpoints
from seatctl.billing.objects import open_intents, read_invoice
from seatctl.billing.port import Billing
from seatctl.errors import Code
from seatctl.models.invoice import InvoiceStatus
from seatctl.services.operations.steps import WaitingForCardholder

_COLLECTED = frozenset((InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE))


class PaymentProcessing(WaitingForCardholder):
    """A bank is processing a payment of the invoice. Nobody has to do anything."""

    kind = Code.PAYMENT_PROCESSING


def is_payment_processing(billing: Billing, invoice: str) -> bool:
    """Whether a bank is processing a payment of this invoice."""
    raw = billing.read(endpoints.invoice(invoice))
    return read_invoice(raw).status in _COLLECTED and any(
        billing.read(endpoints.payment_intent(intent)).get("status") == "processing"
        for intent in open_intents(raw)
    )


def require_no_payment_processing(billing: Billing, invoices: Iterable[str | None]) -> None:
    """Return if no payment of these invoices is in progress. Raises PaymentProcessing."""
    for invoice in invoices:
        if invoice is not None and is_payment_processing(billing, invoice):
            number = read_invoice(billing.read(endpoints.invoice(invoice))).number or invoice
            raise PaymentProcessing(
                f"the bank is processing a payment of invoice {number}, which may take two weeks;"
                " until then the invoice cannot be voided, canceled or charged again",
                hint=f"seatctl invoices show {number}; once the bank has decided: seatctl sync",
                data={"invoice": number},
            )
