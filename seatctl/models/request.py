"""Requests for a seat: asked by or for a user, decided by an owner, an admin or a rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RequestStatus(StrEnum):
    """`pending` and `waitlisted` are open; the others are final. Expiry is computed at reading."""

    PENDING = "pending"
    WAITLISTED = "waitlisted"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELED = "canceled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """A request by its number. `subscription` None asks for any that fits."""

    number: int
    user_id: int
    email: str
    subscription_id: int | None
    subscription: str | None
    status: RequestStatus
    priority: int
    note: str | None
    created_at: datetime
    expires_at: datetime | None
    decided_by: str | None
    decided_at: datetime | None
    reason: str | None
    features: tuple[str, ...] = ()
    """Of one for any subscription: what its seat must grant."""
