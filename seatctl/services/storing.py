"""What a sync has read, written into the mirror page by page. Facts of the audit wait for `taking_over`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from seatctl.ledger import customers, invoices, stripe_objects, sync_state
from seatctl.ledger.transaction import Journal
from seatctl.models.mirrored import Gone, Kind, Mirrored, Stored, Unreadable
from seatctl.models.stripe_objects import StripeCustomer


def store(journal: Journal, objects: Iterable[Mirrored], now: datetime) -> None:
    """Write objects as Stripe has them now (UTC), inside the transaction that also notes the place."""
    known = {one.id for one in sync_state.skipped(journal)}
    expected = stripe_objects.is_expecting(journal)
    for found in objects:
        _store(journal, found, now)
        if expected and not isinstance(found, Stored):
            stripe_objects.forget(journal, [found.id])  # it was expected, if it was known
        if found.id in known and not isinstance(found, Unreadable):
            sync_state.note_readable(journal, found.id)


def _store(journal: Journal, found: Mirrored, now: datetime) -> None:
    if isinstance(found, Stored):
        stripe_objects.put(journal, found, now)
        customer = found.data.get("customer")
        if found.kind is Kind.SUBSCRIPTION and isinstance(customer, str):
            customers.mention(journal, customer, None, None)  # its name will be wanted
    elif isinstance(found, StripeCustomer):
        customers.refresh(journal, found)
    elif isinstance(found, Unreadable):
        sync_state.note_skipped(journal, found, now)
    elif isinstance(found, Gone):
        _forget(journal, found)
    else:
        invoices.mirror(journal, found)


def _forget(journal: Journal, gone: Gone) -> None:
    if gone.kind is Kind.INVOICE:
        invoices.forget(journal, gone.id)
    elif gone.kind in (Kind.PRODUCT, Kind.PRICE):
        stripe_objects.forget(journal, [gone.id])
