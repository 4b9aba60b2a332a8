"""Counts over the whole ledger, for `status`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from seatctl.ledger import outbox
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.operations import IS_OPEN
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time


@dataclass(frozen=True, slots=True)
class Overview:
    """Counts at one moment; expired requests do not count as open."""

    plans: int
    users: int
    pending_requests: int
    waitlisted_requests: int
    unfinished_operations: int
    unpaid_invoices: int
    last_sync: str | None
    waiting_messages: int
    failed_messages: int
    unreadable: int
    """Stripe objects that the last sync could not read."""
    backfilling: bool
    """A backfill was interrupted; the next sync continues it."""


def overview(reader: Reader, now: datetime) -> Overview:
    """Return the counts at `now` (UTC)."""
    messages = outbox.counts(reader)
    at = {"now": format_time(now)}
    open_requests = "FROM requests WHERE status = :status AND (expires_at IS NULL OR expires_at > :now)"
    return Overview(
        plans=_count(reader, "FROM plans WHERE active = 1"),
        users=_count(reader, "FROM users WHERE status <> 'removed'"),
        pending_requests=_count(reader, open_requests, {**at, "status": "pending"}),
        waitlisted_requests=_count(reader, open_requests, {**at, "status": "waitlisted"}),
        unfinished_operations=_count(reader, f"FROM operations WHERE {IS_OPEN}"),
        unpaid_invoices=_count(reader, "FROM invoices WHERE status = 'open' AND amount_remaining > 0"),
        waiting_messages=messages.waiting,
        failed_messages=messages.failed,
        last_sync=sync_state.last_success(reader),
        unreadable=len(sync_state.skipped(reader)),
        backfilling=sync_state.backfill(reader) is not None,
    )


def _count(reader: Reader, source: str, params: dict[str, str] | None = None) -> int:
    return reader.count(f"SELECT count(*) {source}", params or {})
