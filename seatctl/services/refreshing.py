"""Reading the known subscriptions and their invoices again from Stripe, and taking over what changed."""

from __future__ import annotations

from collections.abc import Iterator

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_subscription
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.ledger import customers, invoices, mirror, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Record
from seatctl.models.stripe_objects import StripeInvoice, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.metadata import SUBSCRIPTION
from seatctl.services.gathering import seen, stand


def refresh_known(ledger: Ledger, billing: Billing, call: Call) -> list[Record]:
    """Read every known subscription again; a row for each that changed or could not be read.

    One with an open operation is left alone: its own end takes Stripe's word over.
    """
    with ledger.reading() as reader:
        known = [
            pool
            for pool in subscriptions.listing(reader, call.now)
            if operations.of_subscription(reader, pool.id) is None
        ]
    rows: list[Record] = []
    for pool in known:
        rows += _refresh(ledger, billing, call, pool)
    return rows


def _refresh(ledger: Ledger, billing: Billing, call: Call, pool: Subscription) -> Iterator[Record]:
    try:
        found = read_subscription(billing.read(endpoints.subscription(pool.stripe_subscription)))
    except MissingInStripe as missing:
        yield {"name": pool.name, "result": "missing", "summary": missing.message, "error": missing.code}
        return
    item, stands = stand(ledger, pool, found, call)
    read = list(_invoices(billing, ledger, pool, found))
    with ledger.journal() as journal:  # a copy of Stripe is no fact of the audit
        for invoice in read:
            invoices.upsert(journal, invoice, customer_id=pool.customer_id, subscription_id=pool.id)
        mirror.copy(journal, pool, seen(journal, pool, found, item, stands))
    with ledger.change(call) as tx:
        before = subscriptions.by_id(tx, pool.id)
        after = mirror.refresh(tx, before, seen(tx, before, found, item, stands))
        tx.summarise(f"read {pool.name} again from Stripe")
    if after != before:
        yield {
            "name": pool.name,
            "result": "changed",
            "summary": _difference(before, after),
            "error": None,
        }


def _invoices(
    billing: Billing, ledger: Ledger, pool: Subscription, found: StripeSubscription
) -> Iterator[StripeInvoice]:
    """Stripe's invoices of the subscription, and our own, which name it in their metadata."""
    with ledger.reading() as reader:
        customer = customers.stripe_id(reader, pool.customer_id)
    for raw in billing.every(endpoints.invoices_of_customer(customer)):
        invoice = read_invoice(raw)
        if found.id in {invoice.subscription_id, invoice.metadata.get(SUBSCRIPTION)}:
            yield invoice


def _difference(before: Subscription, after: Subscription) -> str:
    """What a person would notice."""
    pairs = [
        ("status", before.status, after.status),
        ("seats", before.capacity, after.capacity),
        ("plan", before.plan_slug, after.plan_slug),
        ("term end", f"{before.term_end:%Y-%m-%d}", f"{after.term_end:%Y-%m-%d}"),
    ]
    changed = [f"{what} {was} → {now}" for what, was, now in pairs if was != now]
    return ", ".join(changed) or "details changed"
