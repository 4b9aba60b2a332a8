"""Subscriptions: one row per licensed item of a Stripe subscription."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from seatctl.models.collection import OwedInvoice, Pause
from seatctl.models.plan import Policy
from seatctl.models.subscription_status import SubscriptionStatus


@dataclass(frozen=True, slots=True)
class AutoApproval:
    """Whether requests are approved automatically while seats are free, and by which rules."""

    enabled: bool = False
    domains: tuple[str, ...] = ()
    groups: tuple[str, ...] = ()
    daily_limit: int | None = None
    until: datetime | None = None
    keep_free: int = 0


@dataclass(frozen=True, slots=True)
class Subscription:
    """A subscription. `capacity` is the number of seats paid for now, `assigned` the number in use."""

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
    """Minor units per seat and interval: the price since the start of this term."""
    term_start: datetime
    term_end: datetime
    owner_id: int | None
    owner_email: str | None
    auto_approval: AutoApproval
    cancel_at: datetime | None
    unpaid_since: datetime | None
    """When the oldest unpaid invoice was finalized; on account, its due date, which may be in the future. The
    grace period begins here."""
    home_ledger: str | None
    """The id of the ledger in Stripe's metadata; None: the subscription belongs to no ledger."""
    price_id: str = ""
    """The Stripe price of the running term."""
    pause: Pause | None = None
    """Collection is paused: seats can be used, but invoices are not collected."""
    owed: tuple[OwedInvoice, ...] = field(default=(), compare=False)
    """Unpaid invoices, newest first. They are not part of the subscription in comparisons."""

    @property
    def free(self) -> int:
        """Seats that can still be assigned; 0 if more people have seats than are paid for."""
        return max(0, self.capacity - self.assigned)
