"""Runs, audit entries and change rows: who did what, and what it changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RunState(StrEnum):
    """A `pending` run is in progress or was killed; in that case the next `sync` finishes or reverts it."""

    PENDING = "pending"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Run:
    """A command that changed something."""

    number: int
    command: str
    actor: str
    os_user: str
    state: RunState
    started_at: datetime
    summary: str | None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """The audit entry of one transaction. `digest` covers its change rows, and `hash` chains the entries."""

    seq: int
    run: int
    at: datetime
    actor: str
    os_user: str
    command_hash: str
    """SHA-256 of the command line. The text is in the run, where it can be erased."""
    digest: str
    prev_hash: str | None
    """None, as `hash` and `place`, while the entry is not linked."""
    hash: str | None
    place: int | None
    """The position in the chain, from 1."""
    origin: str | None
    """JSON: the machine and the CI job that the change came from; None for entries of earlier versions."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change row: JSON before and after; None if the entity did not exist, or was erased."""

    entry: int
    n: int
    entity: str
    entity_id: int
    before: str | None
    after: str | None
    erased_at: datetime | None
    hash: str
