"""Rules for who loses a seat."""

from __future__ import annotations

from enum import StrEnum


class DepartureRule(StrEnum):
    """Which people lose their seats if there are too many."""

    NEWEST = "newest"
    OLDEST = "oldest"
    SUSPENDED = "suspended"
    """Suspended users, newest seats first."""
    UNCLAIMED = "unclaimed"
    """Users who never used an activation code, newest seats first."""
