"""The `Call`: who runs the command, when, and with which global options; and the text form of times."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple


class BatchRow(NamedTuple):
    """A line of a batch; it is marked as done in the transaction of its change."""

    run: int
    n: int


class Call(NamedTuple):
    """One invocation of seatctl. `now` is aware UTC in whole seconds; in a sandbox, the sandbox's time."""

    actor: str
    """An e-mail address, `ci:NAME`, or `os:NAME` if neither is configured."""
    os_user: str
    command: str
    """The command line as typed, quoted for a shell, without the password of a ledger's URL. It contains no
    keys: they are never arguments."""
    now: datetime
    dry_run: bool = False
    notify: bool = True
    run: int | None = None
    """The run of this call, if it was opened before the transaction (by an operation or a batch)."""
    batch_row: BatchRow | None = None
    rehearsed: bool = False
    """A line in the dry run of a batch: its change is committed to a copy of the ledger, for later lines."""
    undo_window: int = 0
    """Minutes for which the waitlist does not get seats revoked from several people, to allow an undo."""
    origin: str | None = None
    """The machine and the CI job, as compact JSON; part of the hashed audit entry."""


def format_time(moment: datetime) -> str:
    """Return the written form of a time: `YYYY-MM-DDTHH:MM:SSZ`, UTC, whole seconds."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return (
        f"{moment.isoformat()[:19]}Z"  # strftime takes twice as long, which counts when syncing many objects
    )


def parse_time(text: str) -> datetime:
    """Return the aware UTC time of a text in the written form. Raises ValueError for any other form."""
    if len(text) != len("2026-01-31T00:00:00Z") or text[10] != "T" or text[-1] != "Z":
        raise ValueError(f"{text!r} does not have the form YYYY-MM-DDTHH:MM:SSZ")
    return datetime.fromisoformat(text)  # strptime would import locale modules at start-up


def optional_text(moment: datetime | None) -> str | None:
    """Return `format_time` of a time; None for None."""
    return None if moment is None else format_time(moment)


def optional_time(text: str | None) -> datetime | None:
    """Return `parse_time` of a text; None for None."""
    return None if text is None else parse_time(text)


def from_epoch(seconds: int) -> datetime:
    """Return Stripe's unix seconds as an aware UTC time."""
    return datetime.fromtimestamp(seconds, UTC)
