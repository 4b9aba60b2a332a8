"""Messages in the outbox."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Template(StrEnum):
    """The kinds of messages; each has a text and an HTML template of this name."""

    SEAT_ASSIGNED = "seat_assigned"
    SEAT_REVOKED = "seat_revoked"
    RECLAIM_WARNING = "reclaim_warning"
    REQUEST_RECEIVED = "request_received"
    REQUEST_APPROVED = "request_approved"
    REQUEST_DENIED = "request_denied"
    REQUEST_WAITLISTED = "request_waitlisted"
    RECEIPT = "receipt"
    RENEWAL_REMINDER = "renewal_reminder"
    PAYMENT_FAILED = "payment_failed"
    OWNER_CHANGED = "owner_changed"
    TEST = "test"


class MessageState(StrEnum):
    """`waiting` is tried again automatically, `failed` is not; `held` is outdated and is never sent."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Message:
    """A row of the outbox. Times in the written form, UTC."""

    id: int
    template: str
    ids: Mapping[str, int]
    """What it is about: the ids of a seat, request, subscription, invoice or user, or other numbers."""
    state: MessageState
    attempts: int
    queued_at: str
    next_attempt: str | None
    sent_at: str | None
    last_error: str | None
    email: str | None
    """The recipient; None for a message to many."""
    name: str | None
    recipients: int
    """More than one until the message is expanded for sending."""
