"""Payments that take days: while one is under way its invoice is not made void and nothing of it is canceled.

A bank debit is `processing` for up to two weeks and may go through at the end, however old the operation is
that began it: keys and their 23 hours say nothing about it.
"""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.billing import endpoints
from seatctl.billing.objects import open_intents, read_invoice
from seatctl.billing.port import Billing
from seatctl.errors import Code
from seatctl.models.invoice import InvoiceStatus
from seatctl.services.operations.submit import WaitingForCardholder

_COLLECTED = frozenset((InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE))


class PaymentProcessing(WaitingForCardholder):
    """The bank has been told to pay an invoice and has not answered; nobody has to do anything."""

    kind = Code.PAYMENT_PROCESSING


def is_payment_processing(billing: Billing, invoice: str) -> bool:
    """Whether a bank has been told to pay this invoice and has not answered."""
    raw = billing.read(endpoints.invoice(invoice))
    return read_invoice(raw).status in _COLLECTED and any(
        billing.read(endpoints.payment_intent(intent)).get("status") == "processing"
        for intent in open_intents(raw)
    )


def require_no_payment_processing(billing: Billing, invoices: Iterable[str | None]) -> None:
    """Return if no payment of these invoices is under way. Raises PaymentProcessing."""
    for invoice in invoices:
        if invoice is not None and is_payment_processing(billing, invoice):
            number = read_invoice(billing.read(endpoints.invoice(invoice))).number or invoice
            raise PaymentProcessing(
                f"a payment of invoice {number} is under way at the bank, which may take two weeks;"
                " until then nothing of it is made void, canceled or charged again",
                hint=f"seatctl invoices show {number}; seatctl sync, once the bank has decided",
                data={"invoice": number},
            )
