"""Reading all of Stripe: every list in parts, in parallel, with its place kept so that a killed one resumes.

The events cursor is taken before anything is read: what changes meanwhile has an event after it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from seatctl.billing.clock import stripe_now
from seatctl.billing.listings import BEGINNING
from seatctl.billing.port import Billing
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import customers, stripe_objects, sync_state
from seatctl.models.call import Call
from seatctl.models.mirror import Kind, Span
from seatctl.services.sync.reader import Page, ParallelReader, newest_event
from seatctl.services.sync.store import store

EVENTS_LAST: Final = timedelta(days=29)
"""Stripe keeps events for 30 days; a day is left for clocks that differ."""

_TOGETHER: Final = 100
"""Single objects that are written at once."""

_AHEAD: Final = 86400
"""Seconds by which Stripe's clock may be ahead of ours."""


def is_needed(ledger: Ledger, now: datetime, *, full: bool) -> bool:
    """Whether increments cannot do: wanted, never done, under way, too long ago, or by an earlier version
    that did not read every list which this one does."""
    with ledger.reading() as reader:
        # Not the last success: while a purchase waits for the bank there is none, for a day.
        read_at, under_way = sync_state.cursor_noted_at(reader), sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    return full or under_way is not None or read_at is None or not complete or now - read_at > EVENTS_LAST


def backfill(ledger: Ledger, billing: Billing, call: Call, stripe: ParallelReader, *, anew: bool) -> int:
    """Read every list to its end; how many objects that were. What is found is not taken over yet.

    `anew`: begin from the start even where one was interrupted.
    """
    _begin(ledger, billing, call, anew=anew)
    with ledger.reading() as reader:
        left = {kind: sync_state.todo(reader, kind) for kind in Kind}
    # Invoices are most, and the last to be begun would be waited for alone: they are taken first.
    todo = [(kind, span) for kind in Kind for span in left[kind]]
    count = 0
    for pages in stripe.pages(todo):
        _keep(ledger, call, pages, left)
        count += sum(len(page.objects) for page in pages)
    return count + _read_unmet(ledger, call, stripe)


def _begin(ledger: Ledger, billing: Billing, call: Call, *, anew: bool) -> None:
    with ledger.reading() as reader:
        under_way = sync_state.backfill(reader)
        complete = sync_state.kinds_read(reader).issuperset(Kind)
    if under_way is not None and not anew and complete and call.now - under_way[1] < EVENTS_LAST:
        return
    newest = newest_event(billing)
    now = int(stripe_now(billing, call).timestamp())
    with ledger.journal() as journal:
        for kind in Kind:
            stripe_objects.delete_kind(journal, kind)
        stripe_objects.note_expected(journal, call.now)
        until = max(now, newest or 0) + _AHEAD
        sync_state.begin_backfill(journal, now if newest is None else newest, until, call.now, BEGINNING)


def _keep(ledger: Ledger, call: Call, pages: list[Page], left: dict[Kind, list[Span]]) -> None:
    """Pages and the place after them, in one transaction: a kill between them cannot lose or skip one."""
    for page in pages:
        left[page.kind].remove(page.span)
        left[page.kind].extend(page.rest)
    with ledger.journal() as journal:
        for page in pages:
            store(journal, page.objects, call.now)
        for kind in {page.kind for page in pages}:
            sync_state.note_todo(journal, kind, left[kind], call.now)


def _read_unmet(ledger: Ledger, call: Call, stripe: ParallelReader) -> int:
    """What no list has: customers and drafts that were deleted, known here or only referred to."""
    with ledger.reading() as reader:
        mentioned = [(Kind.CUSTOMER, one) for one in customers.never_read(reader)]
        missing = list(dict.fromkeys([*mentioned, *stripe_objects.expected(reader)]))
    for start in range(0, len(missing), _TOGETHER):
        found = list(stripe.objects(missing[start : start + _TOGETHER]))
        with ledger.journal() as journal:
            store(journal, found, call.now)
    return len(missing)
