"""Requests for a seat: made by or for a user, decided by a person or a rule."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class RequestStatus(StrEnum):
    """`pending` and `waitlisted` are open; the others are final. Reads compute the expiry."""

    PENDING = "pending"
    WAITLISTED = "waitlisted"
    APPROVED = "approved"
    DENIED = "denied"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def is_open(self) -> bool:
        """Whether the request waits for a decision or a seat."""
        return self in {RequestStatus.PENDING, RequestStatus.WAITLISTED}


@dataclass(frozen=True, slots=True)
class SeatRequest:
    """A request. `subscription` None is a request for any suitable subscription."""

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
    """For a request for any subscription: the features that its seat must have."""


@dataclass(frozen=True, slots=True)
class SeatRequestOptions:
    """A new request; `subscription` None: any subscription with these features. `expires_at` is UTC."""

    email: str
    subscription: str | None = None
    note: str | None = None
    priority: int = 0
    expires_at: datetime | None = None
    features: tuple[str, ...] = ()
    create_users: bool = False
    """Add the user if the e-mail is not a user yet; the actor needs the role to manage users."""
