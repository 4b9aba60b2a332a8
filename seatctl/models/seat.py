"""Seats: who sits where, since when, until when. A revoked seat is history and never reopened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Seat:
    """One person in one subscription. Active while `revoked_at` is None and `until` lies ahead."""

    id: int
    subscription: str
    email: str
    name: str | None
    assigned_at: datetime
    until: datetime | None
    claimed_at: datetime | None
    revoked_at: datetime | None


class DepartureRule(StrEnum):
    """Which people give up their seats where there are too many."""

    NEWEST = "newest"
    OLDEST = "oldest"
    SUSPENDED = "suspended"
    """Suspended users, the newest seats among them first."""
    UNCLAIMED = "unclaimed"
    """Who never used an activation code, the newest seats among them first."""
