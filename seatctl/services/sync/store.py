"""Stores what a sync has read in the mirror, page by page. `apply_changes.py` applies it to facts later."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from seatctl.billing.invoice_details import named_id
from seatctl.ledger.mirror import customers, invoices, stripe_objects, sync_state
from seatctl.ledger.mirror.customers import CustomerMention
from seatctl.ledger.transaction import Journal
from seatctl.models.mirror import Gone, Kind, Mirrored, MirroredObject, Unreadable
from seatctl.models.stripe_objects import StripeCustomer, StripeInvoice


def store(journal: Journal, objects: Iterable[Mirrored], now: datetime) -> None:
    """Store objects as Stripe has them now (UTC), in the transaction that also notes how far the sync is.

    Kinds that others depend on are stored first. Of an object that was read twice, the later one counts.
    """
    latest = {one.id: one for one in objects}
    stored = [one for one in latest.values() if isinstance(one, MirroredObject)]
    expected = stripe_objects.has_expected(journal)
    stripe_objects.store_all(journal, stored, now)
    customers.store_all(journal, [one for one in latest.values() if isinstance(one, StripeCustomer)])
    customers.store_mentions(journal, _customers_of(stored))
    invoices.store_all(journal, [one for one in latest.values() if isinstance(one, StripeInvoice)])
    for one in latest.values():
        if isinstance(one, Unreadable):
            sync_state.note_skipped(journal, one, now)
        elif isinstance(one, Gone):
            _delete(journal, one)
    if expected:  # a backfill looks for those that no list had
        stripe_objects.delete(
            journal, (one.id for one in latest.values() if not isinstance(one, MirroredObject))
        )
    for known in sync_state.skipped(journal):
        if known.id in latest and not isinstance(latest[known.id], Unreadable):
            sync_state.note_readable(journal, known.id)


def _customers_of(objects: Iterable[MirroredObject]) -> Iterator[CustomerMention]:
    """The customers of Stripe subscriptions, whose names a new subscription gets."""
    for one in objects:
        customer = named_id(one.data.get("customer"))
        if one.kind is Kind.SUBSCRIPTION and isinstance(customer, str):
            yield CustomerMention(customer)


def _delete(journal: Journal, gone: Gone) -> None:
    if gone.kind is Kind.INVOICE:
        invoices.delete_draft(journal, gone.id)
    elif gone.kind in (Kind.PRODUCT, Kind.PRICE, Kind.REFUND, Kind.DISPUTE):
        stripe_objects.delete(journal, [gone.id])
