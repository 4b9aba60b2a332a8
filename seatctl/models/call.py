"""Who asks, when, and how: the frozen `Call` that every change carries, and the time it speaks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class BatchRow(NamedTuple):
    """A line of a batch: it is marked as done in the very transaction of its change."""

    run: int
    n: int


class Call(NamedTuple):
    """One invocation of seatctl. `now` is aware UTC in whole seconds; in a sandbox it is the sandbox's."""

    actor: str
    """An e-mail address, `ci:NAME`, or `os:NAME` where nothing names one."""
    os_user: str
    command: str
    """The command line as typed, quoted for a shell; arguments never hold a key."""
    now: datetime
    dry_run: bool = False
    notify: bool = True
    run: int | None = None
    """The run this call belongs to, where one was opened before the change (an operation, a batch)."""
    batch_row: BatchRow | None = None
    rehearsed: bool = False
    """A line of a batch's dry run: its change is kept in a copy of the ledger, for the lines after it."""
    undo_window: int = 0
    """Minutes for which what several people's revoked seats would lead to waits for an undo."""


def format_time(moment: datetime) -> str:
    """The one written form of a time: `YYYY-MM-DDTHH:MM:SSZ`, UTC, whole seconds."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return f"{moment.isoformat()[:19]}Z"  # strftime takes twice as long, for each time of a page of Stripe's


def parse_time(text: str) -> datetime:
    """The aware UTC time that `format_time` wrote. Raises ValueError for any other form."""
    if len(text) != len("2026-01-31T00:00:00Z") or text[10] != "T" or text[-1] != "Z":
        raise ValueError(f"{text!r} is not of the form YYYY-MM-DDTHH:MM:SSZ")
    return datetime.fromisoformat(text)  # strptime would import the locale machinery at start-up


def optional_text(moment: datetime | None) -> str | None:
    """Return `format_time` of a time; None for None."""
    return None if moment is None else format_time(moment)


def optional_time(text: str | None) -> datetime | None:
    """Return `parse_time` of a text; None for None."""
    return None if text is None else parse_time(text)


def from_epoch(seconds: int) -> datetime:
    """Return Stripe's unix seconds as an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)
