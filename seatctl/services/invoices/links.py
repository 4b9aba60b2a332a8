"""Invoices read from Stripe again, because links to their page and PDF expire."""

from __future__ import annotations

from seatctl.billing import listings
from seatctl.billing.objects import read_invoice
from seatctl.billing.port import Billing
from seatctl.ledger import invoices
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import invoices as mirrored_invoices
from seatctl.models.invoice import Invoice
from seatctl.models.stripe_objects import Kind


def with_fresh_links(ledger: Ledger, billing: Billing, invoice: Invoice) -> Invoice:
    """Return the invoice as Stripe has it now, and mirror it unless this is a dry run."""
    fresh = read_invoice(billing.read(listings.one(Kind.INVOICE, invoice.stripe_id)))
    with ledger.journal() as journal:
        mirrored_invoices.store(journal, fresh)
    with ledger.reading() as reader:
        return invoices.find(reader, fresh.id)
