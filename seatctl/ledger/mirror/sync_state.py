"""The progress of the sync: cursors, the parts of lists still to be read, skipped objects, the last success.

A failed sync stores no success. The objects of a page and the position after it are stored in one
transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import format_time, optional_text, optional_time, parse_time

if TYPE_CHECKING:  # `check` reads the time of the last sync; the models of a sync cost 15 ms of start-up
    from seatctl.models.stripe_objects import EventsRead, Kind, Span, Unreadable

_LAST_SUCCESS = "last_success"
_CURSOR = "events_cursor"
_SEEN = "events_seen"
_BACKFILL = "backfill"
_KINDS = "kinds"
_TODO = "todo:"
_SKIPPED = "skipped:"


def note_success(journal: Journal, now: datetime) -> None:
    """Store that the ledger agreed with Stripe at `now` (UTC)."""
    _put(journal, _LAST_SUCCESS, format_time(now), now)


def last_success(reader: Reader) -> str | None:
    """Return when the ledger last agreed with Stripe, in the written form; None before the first sync."""
    return optional_text(last_success_at(reader))


def last_success_at(reader: Reader) -> datetime | None:
    """Return the same as a time (UTC)."""
    return optional_time(_get(reader, _LAST_SUCCESS))


# Events -----------------------------------------------------------------------------------------------


def cursor(reader: Reader) -> int | None:
    """Return the time (unix seconds) of the newest event read; None before the first backfill."""
    text = _get(reader, _CURSOR)
    return None if text is None else int(text)


def cursor_noted_at(reader: Reader) -> datetime | None:
    """Return when the cursor was last stored (UTC): all events before it had been read by then."""
    text = reader.value("SELECT updated_at FROM sync_state WHERE key = ?", (_CURSOR,))
    return parse_time(text) if isinstance(text, str) else None


def seen_events(reader: Reader) -> dict[str, int]:
    """Return the events of the overlap that were read already, with their times (unix seconds)."""
    return {name: int(at) for name, at in json.loads(_get(reader, _SEEN) or "{}").items()}


def note_events(journal: Journal, newest: int, seen: Mapping[str, int], now: datetime) -> None:
    """Store the position from which the next sync continues."""
    _put(journal, _CURSOR, str(newest), now)
    _put(journal, _SEEN, json.dumps(dict(seen)), now)


# Backfill ---------------------------------------------------------------------------------------------


def backfill(reader: Reader) -> tuple[EventsRead, datetime] | None:
    """Return the events before an unfinished backfill and its start (UTC), or None."""
    from seatctl.models.stripe_objects import EventsRead

    text = _get(reader, _BACKFILL)
    if text is None:
        return None
    values = json.loads(text)
    # A backfill begun by an earlier version has no names: it reads more again than it must.
    events = EventsRead(int(values["cursor"]), frozenset(values.get("events", ())))
    return events, parse_time(values["began"])


def begin_backfill(journal: Journal, before: EventsRead, until: int, now: datetime, first: int) -> None:
    """Store that every list must be read from its beginning; `before` are the events before that."""
    from seatctl.models.stripe_objects import Kind, Span

    begun = {"cursor": before.newest, "events": sorted(before.names), "began": format_time(now)}
    _put(journal, _BACKFILL, json.dumps(begun), now)
    _put(journal, _KINDS, json.dumps([kind.value for kind in Kind]), now)
    for kind in Kind:
        note_todo(journal, kind, [Span(first, until)], now)


def kinds_read(reader: Reader) -> frozenset[str]:
    """Return the kinds of objects that the latest backfill reads or has read."""
    return frozenset(json.loads(_get(reader, _KINDS) or "[]"))


def end_backfill(journal: Journal) -> None:
    """Store that every list was read and applied."""
    journal.execute(
        "DELETE FROM sync_state WHERE key = :whole OR substr(key, 1, :length) = :todo",
        {"whole": _BACKFILL, "todo": _TODO, "length": len(_TODO)},
    )


def todo(reader: Reader, kind: Kind) -> list[Span]:
    """Return the parts of a list that are still to be read."""
    from seatctl.models.stripe_objects import Span

    return [Span(*part) for part in json.loads(_get(reader, f"{_TODO}{kind}") or "[]")]


def note_todo(journal: Journal, kind: Kind, spans: Iterable[Span], now: datetime) -> None:
    """Store the parts of a list that are still to be read, in the same transaction as the objects read."""
    text = json.dumps([[span.first, span.last, span.after] for span in spans])
    _put(journal, f"{_TODO}{kind}", text, now)


# Skipped ----------------------------------------------------------------------------------------------


def note_skipped(journal: Journal, skipped: Unreadable, now: datetime) -> None:
    """Store an object that could not be read, until it can be read or was deleted."""
    text = json.dumps({"kind": skipped.kind, "reason": skipped.reason})
    _put(journal, f"{_SKIPPED}{skipped.id}", text, now)


def note_readable(journal: Journal, identifier: str) -> None:
    """Remove an object from the skipped ones: it can be read, or it was deleted."""
    journal.execute("DELETE FROM sync_state WHERE key = ?", (f"{_SKIPPED}{identifier}",))


def skipped(reader: Reader) -> list[Unreadable]:
    """Return the objects that could not be read, by id."""
    from seatctl.models.stripe_objects import Kind, Unreadable

    rows = reader.rows(
        "SELECT key, value FROM sync_state WHERE substr(key, 1, :length) = :skipped ORDER BY key",
        {"skipped": _SKIPPED, "length": len(_SKIPPED)},
    )
    entries = [(row["key"].removeprefix(_SKIPPED), json.loads(row["value"])) for row in rows]
    return [Unreadable(Kind(value["kind"]), key, value["reason"]) for key, value in entries]


def _get(reader: Reader, key: str) -> str | None:
    return reader.text("SELECT value FROM sync_state WHERE key = ?", (key,))


def _put(journal: Journal, key: str, value: str, now: datetime) -> None:
    journal.execute(
        "INSERT INTO sync_state (key, value, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (key, value, format_time(now)),
    )


def as_json(reader: Reader) -> dict[str, JsonValue]:
    """Return what `status` shows about the mirror: skipped objects, and whether a backfill is unfinished."""
    return {
        "skipped": [
            {"kind": str(entry.kind), "id": entry.id, "reason": entry.reason} for entry in skipped(reader)
        ],
        "backfill": backfill(reader) is not None,
    }
