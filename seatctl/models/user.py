"""Users: the people who can sit in seats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class UserStatus(StrEnum):
    """A suspended user keeps the seat and loses the entitlement; a removed one is history."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class User:
    """A person known by e-mail. `email` is as typed, its key (rules/emails.py) decides sameness."""

    id: int
    email: str
    name: str | None
    group: str | None
    status: UserStatus
    last_active: datetime | None
    created_at: datetime
    exempt: bool = False
    """`seats reclaim` leaves the seats of such a user alone."""
