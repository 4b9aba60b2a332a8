"""Users: the people who can have seats."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class UserStatus(StrEnum):
    """A suspended user keeps the seat but is not entitled; a removed user is history."""

    ACTIVE = "active"
    SUSPENDED = "suspended"
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class User:
    """A person with an e-mail address. `email` is as typed; its key (rules/emails.py) identifies the user."""

    id: int
    email: str
    name: str | None
    group: str | None
    status: UserStatus
    last_active: datetime | None
    created_at: datetime
    exempt: bool = False
    """`seats reclaim` never revokes the seats of this user."""
