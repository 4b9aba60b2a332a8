"""Seats: who has a seat in which subscription, and when. A revoked seat is history and never reopened."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Seat:
    """The seat of a person. It is active while `revoked_at` is None and `until` is in the future."""

    id: int
    subscription: str
    email: str
    name: str | None
    assigned_at: datetime
    until: datetime | None
    claimed_at: datetime | None
    revoked_at: datetime | None


class DepartureRule(StrEnum):
    """Which people lose their seats if there are too many."""

    NEWEST = "newest"
    OLDEST = "oldest"
    SUSPENDED = "suspended"
    """Suspended users, newest seats first."""
    UNCLAIMED = "unclaimed"
    """Users who never used an activation code, newest seats first."""
