"""Messages to people: what the outbox holds of one, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Template(StrEnum):
    """What a message says; each has a text and an HTML file of this name."""

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
    """`waiting` is tried again by itself; `failed` waits for a person; `held` was overtaken by events."""

    WAITING = "waiting"
    SENT = "sent"
    FAILED = "failed"
    HELD = "held"


@dataclass(frozen=True, slots=True)
class Message:
    """One row of the outbox. Times in the written form, UTC."""

    id: int
    template: str
    ids: Mapping[str, int]
    """What it is about: seat, request, subscription, invoice, user, or a number that the text needs."""
    state: MessageState
    attempts: int
    queued_at: str
    next_attempt: str | None
    sent_at: str | None
    last_error: str | None
    email: str | None
    """The recipient; None for one to many."""
    name: str | None
    recipients: int
    """More than one until it is spread out, when messages are sent."""
