"""Subscriptions: one row per licensed Stripe item, which is one pool of seats."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from seatctl.models.collection import OwedInvoice, Pause
from seatctl.models.plan import Policy


class SubscriptionStatus(StrEnum):
    """Stripe's statuses."""

    INCOMPLETE = "incomplete"
    INCOMPLETE_EXPIRED = "incomplete_expired"
    TRIALING = "trialing"
    ACTIVE = "active"
    PAST_DUE = "past_due"
    CANCELED = "canceled"
    UNPAID = "unpaid"
    PAUSED = "paused"

    @property
    def is_over(self) -> bool:
        """Whether it has ended for good: Stripe changes nothing of it any more."""
        return self in {SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED}


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Whether requests are approved by themselves while seats are free, and under which rules."""

    enabled: bool = False
    domains: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    daily_limit: int | None = None
    until: datetime | None = None
    keep_free: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """A pool of seats. `capacity` is what is paid for now, `assigned` what is taken; both are seats."""

    id: int
    name: str
    plan_id: int
    plan_slug: str
    customer_id: int
    stripe_subscription: str
    stripe_item: str
    status: SubscriptionStatus
    capacity: int
    assigned: int
    policy: Policy | None
    currency: str
    unit_amount: int
    """Minor units per seat and interval: the price at the start of this term."""
    term_start: datetime
    term_end: datetime
    owner_id: int | None
    owner_email: str | None
    auto_approval: AutoApproval
    cancel_at: datetime | None
    unpaid_since: datetime | None
    """Finalization of the oldest unpaid invoice, on account its due date, which may lie ahead; the grace
    runs from here."""
    home_ledger: str | None
    """The ledger id in Stripe's metadata (design rule 9); None belongs to nobody."""
    price_id: str = ""
    """The Stripe price of what is paid for now."""
    pause: Pause | None = None
    """Collection is paused: it entitles, and nobody pays."""
    owed: tuple[OwedInvoice, ...] = field(default=(), compare=False)
    """What is still to be paid for it, newest first; an invoice is no part of the subscription."""

    @property
    def free(self) -> int:
        """Seats that can still be assigned; never negative when over-assigned."""
        return max(0, self.capacity - self.assigned)
