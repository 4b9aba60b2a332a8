"""Reads all of Stripe into the mirror: every list in spans, in parallel. A killed backfill resumes.

The cursor of the events is taken before anything is read, so that what changes meanwhile has a later event.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from seatctl.billing.listings import BEGINNING
from seatctl.billing.port import Billing, stripe_now
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers, stripe_objects, sync_state
from seatctl.models.call import Call
from seatctl.models.mirror import Kind, Span
from seatctl.services.sync.reader import Page, ParallelReader, newest_event
from seatctl.services.sync.store import store

EVENTS_LAST: Final = timedelta(days=29)
"""Stripe keeps events for 30 days; one day is subtracted for clocks that differ."""

_BATCH: Final = 100
"""How many single objects are stored in one transaction."""

_CLOCKS_DIFFER: Final = 86400
"""Seconds by which Stripe's clock may be ahead of ours."""


def is_needed(ledger: Ledger, now: datetime, *, full: bool) -> bool:
    """Whether an increment is not enough.

    It is not if `full` is asked for, if a backfill is unfinished, if the last sync was never or too long ago,
    or if an earlier version did it that did not read every list.
    """
    with ledger.reading() as reader:
        # Not the last success: while a purchase waits for the bank, for up to a day, no sync is one.
        read_at, under_way = sync_state.cursor_noted_at(reader), sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    return full or under_way is not None or read_at is None or not complete or now - read_at > EVENTS_LAST


def backfill(ledger: Ledger, billing: Billing, call: Call, stripe: ParallelReader, *, restart: bool) -> int:
    """Read every list to its end into the mirror; return how many objects were read. Applies nothing.

    `restart`: begin again even if an earlier backfill was interrupted.
    """
    _begin(ledger, billing, call, restart=restart)
    with ledger.reading() as reader:
        remaining = {kind: sync_state.todo(reader, kind) for kind in Kind}
    # `todo` is consumed from its end: most objects are invoices, so their spans are read first.
    todo = [(kind, span) for kind in Kind for span in remaining[kind]]
    count = 0
    for pages in stripe.pages(todo):
        _store_pages(ledger, call, pages, remaining)
        count += sum(len(page.objects) for page in pages)
    return count + _read_unlisted(ledger, call, stripe)


def _begin(ledger: Ledger, billing: Billing, call: Call, *, restart: bool) -> None:
    with ledger.reading() as reader:
        under_way = sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    if under_way is not None and not restart and complete and call.now - under_way[1] < EVENTS_LAST:
        return
    newest = newest_event(billing)
    now = int(stripe_now(billing, call).timestamp())
    with ledger.journal() as journal:
        for kind in Kind:
            stripe_objects.delete_kind(journal, kind)
        stripe_objects.note_expected(journal, call.now)
        until = max(now, newest or 0) + _CLOCKS_DIFFER
        sync_state.begin_backfill(journal, now if newest is None else newest, until, call.now, BEGINNING)


def _store_pages(ledger: Ledger, call: Call, pages: list[Page], remaining: dict[Kind, list[Span]]) -> None:
    """Store pages and what is left of their lists in one transaction: a kill loses or skips no page."""
    for page in pages:
        remaining[page.kind].remove(page.span)
        remaining[page.kind].extend(page.rest)
    with ledger.journal() as journal:
        for page in pages:
            store(journal, page.objects, call.now)
        for kind in {page.kind for page in pages}:
            sync_state.note_todo(journal, kind, remaining[kind], call.now)


def _read_unlisted(ledger: Ledger, call: Call, stripe: ParallelReader) -> int:
    """Read the objects that no list had: deleted customers and drafts that the ledger knows or refers to."""
    with ledger.reading() as reader:
        mentioned = [(Kind.CUSTOMER, one) for one in customers.never_read(reader)]
        missing = list(dict.fromkeys([*mentioned, *stripe_objects.expected(reader)]))
    for start in range(0, len(missing), _BATCH):
        objects = list(stripe.objects(missing[start : start + _BATCH]))
        with ledger.journal() as journal:
            store(journal, objects, call.now)
    return len(missing)
