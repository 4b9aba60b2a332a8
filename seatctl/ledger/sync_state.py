"""Where the mirror of Stripe stands: cursors, and when it last agreed. A failed sync writes nothing here."""

from __future__ import annotations

from datetime import datetime

from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import format_time

_LAST_SUCCESS = "last_success"


def note_success(journal: Journal, now: datetime) -> None:
    """The ledger agreed with Stripe at `now` (UTC)."""
    moment = format_time(now)
    journal.execute(
        "INSERT INTO sync_state (key, value, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (_LAST_SUCCESS, moment, moment),
    )


def last_success(reader: Reader) -> str | None:
    """When the ledger last agreed with Stripe, in the written form; None before the first sync."""
    found = reader.value("SELECT value FROM sync_state WHERE key = ?", (_LAST_SUCCESS,))
    return found if isinstance(found, str) else None
