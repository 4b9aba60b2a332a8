"""Where the mirror of Stripe stands: cursors, what is still to be read, what was skipped, the last success.

A failed sync notes no success. What a page brought and the place after it are written in one transaction.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import format_time, parse_time

if TYPE_CHECKING:  # `check` asks when the last sync was; the models of a sync are 15 ms of start-up
    from seatctl.models.mirror import Kind, Span, Unreadable

_LAST_SUCCESS = "last_success"
_CURSOR = "events_cursor"
_SEEN = "events_seen"
_BACKFILL = "backfill"
_KINDS = "kinds"
_TODO = "todo:"
_SKIPPED = "skipped:"


def note_success(journal: Journal, now: datetime) -> None:
    """The ledger agreed with Stripe at `now` (UTC)."""
    _put(journal, _LAST_SUCCESS, format_time(now), now)


def last_success(reader: Reader) -> str | None:
    """When the ledger last agreed with Stripe, in the written form; None before the first sync."""
    found = last_success_at(reader)
    return None if found is None else format_time(found)


def last_success_at(reader: Reader) -> datetime | None:
    """The same as a time (UTC)."""
    found = _get(reader, _LAST_SUCCESS)
    return None if found is None else parse_time(found)


# Events -----------------------------------------------------------------------------------------------


def cursor(reader: Reader) -> int | None:
    """The time (unix seconds) of the newest event taken over; None before the first backfill."""
    found = _get(reader, _CURSOR)
    return None if found is None else int(found)


def cursor_noted_at(reader: Reader) -> datetime | None:
    """When the cursor was last noted (UTC): everything before had been taken over by then."""
    found = reader.value("SELECT updated_at FROM sync_state WHERE key = ?", (_CURSOR,))
    return parse_time(found) if isinstance(found, str) else None


def seen_events(reader: Reader) -> dict[str, int]:
    """The events of the overlap that were taken over already, with their times (unix seconds)."""
    return {name: int(at) for name, at in json.loads(_get(reader, _SEEN) or "{}").items()}


def note_events(journal: Journal, newest: int, seen: Mapping[str, int], now: datetime) -> None:
    """The place from which the next increment goes on."""
    _put(journal, _CURSOR, str(newest), now)
    _put(journal, _SEEN, json.dumps(dict(seen)), now)


# Backfill ---------------------------------------------------------------------------------------------


def backfill(reader: Reader) -> tuple[int, datetime] | None:
    """The events cursor (unix seconds) of a backfill under way and when it began (UTC), if there is one."""
    found = _get(reader, _BACKFILL)
    if found is None:
        return None
    values = json.loads(found)
    return int(values["cursor"]), parse_time(values["began"])


def begin_backfill(journal: Journal, newest: int, until: int, now: datetime, first: int) -> None:
    """Begin to read every list anew; `newest` is the cursor taken before anything was read."""
    from seatctl.models.mirror import Kind, Span

    _put(journal, _BACKFILL, json.dumps({"cursor": newest, "began": format_time(now)}), now)
    _put(journal, _KINDS, json.dumps([kind.value for kind in Kind]), now)
    for kind in Kind:
        note_todo(journal, kind, [Span(first, until)], now)


def kinds_read(reader: Reader) -> frozenset[str]:
    """The kinds of objects that the latest backfill reads, or has read."""
    return frozenset(json.loads(_get(reader, _KINDS) or "[]"))


def end_backfill(journal: Journal) -> None:
    """Every list was read and taken over."""
    journal.execute(
        "DELETE FROM sync_state WHERE key = :whole OR substr(key, 1, :length) = :todo",
        {"whole": _BACKFILL, "todo": _TODO, "length": len(_TODO)},
    )


def todo(reader: Reader, kind: Kind) -> list[Span]:
    """The parts of a list that are still to be read."""
    from seatctl.models.mirror import Span

    return [Span(*part) for part in json.loads(_get(reader, f"{_TODO}{kind}") or "[]")]


def note_todo(journal: Journal, kind: Kind, spans: Iterable[Span], now: datetime) -> None:
    """What is still to be read of a list; written together with what was read."""
    text = json.dumps([[span.first, span.last, span.after] for span in spans])
    _put(journal, f"{_TODO}{kind}", text, now)


# Skipped ----------------------------------------------------------------------------------------------


def note_skipped(journal: Journal, skipped: Unreadable, now: datetime) -> None:
    """An object that could not be read; it stays noted until it can be, or is gone."""
    text = json.dumps({"kind": skipped.kind, "reason": skipped.reason})
    _put(journal, f"{_SKIPPED}{skipped.id}", text, now)


def note_readable(journal: Journal, identifier: str) -> None:
    """An object that can be read, or is gone."""
    journal.execute("DELETE FROM sync_state WHERE key = ?", (f"{_SKIPPED}{identifier}",))


def skipped(reader: Reader) -> list[Unreadable]:
    """What could not be read, by id."""
    from seatctl.models.mirror import Kind, Unreadable

    rows = reader.rows(
        "SELECT key, value FROM sync_state WHERE substr(key, 1, :length) = :skipped ORDER BY key",
        {"skipped": _SKIPPED, "length": len(_SKIPPED)},
    )
    found = [(row["key"].removeprefix(_SKIPPED), json.loads(row["value"])) for row in rows]
    return [Unreadable(Kind(value["kind"]), key, value["reason"]) for key, value in found]


def _get(reader: Reader, key: str) -> str | None:
    found = reader.value("SELECT value FROM sync_state WHERE key = ?", (key,))
    return found if isinstance(found, str) else None


def _put(journal: Journal, key: str, value: str, now: datetime) -> None:
    journal.execute(
        "INSERT INTO sync_state (key, value, updated_at) VALUES (?, ?, ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, updated_at = excluded.updated_at",
        (key, value, format_time(now)),
    )


def as_json(reader: Reader) -> dict[str, JsonValue]:
    """Everything that `status` tells of the mirror: what was skipped and whether a backfill is under way."""
    return {
        "skipped": [{"kind": str(one.kind), "id": one.id, "reason": one.reason} for one in skipped(reader)],
        "backfill": backfill(reader) is not None,
    }
