"""Subscriptions: one row per licensed item of a Stripe subscription; and its state, of two terms."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from seatctl.models.collection import OwedInvoice, Pause
from seatctl.models.plan import Policy, Renewal
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

    @property
    def pack_size(self) -> int:
        """How many seats are added together; 1 without a policy."""
        return 1 if self.policy is None else self.policy.pack_size

    def in_packs(self, seats: int) -> int:
        """Return the smallest number of seats that covers `seats` and can be added under the policy."""
        return -(-seats // self.pack_size) * self.pack_size


@dataclass(frozen=True, slots=True)
class TermContent:
    """The seats, price and plan of a term."""

    price_id: str
    plan: str
    seats: int


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """Derived from the Stripe subscription and its metadata; the only input of the rules for changes.

    `now` is paid for until `term_end`; `next` is what Stripe's item has. They differ while a decrease, a plan
    change or a paid renewal waits for the end of the term. Times are aware UTC.
    """

    name: str
    status: SubscriptionStatus
    policy: Policy
    """The policy of the running term, also while a plan change waits."""
    now: TermContent
    next: TermContent
    term_start: datetime
    term_end: datetime
    """The end of the running term."""
    period_end: datetime
    """The end of Stripe's period, which is later than `term_end` once the next term is paid."""
    renewed: bool
    """The next term is already paid; the renewal window is closed until the next term."""
    ends_at: datetime | None
    """When Stripe will end the subscription, at the end of a period or within one; None: it renews."""
    assigned: int
    next_policy: Policy | None = None
    """The policy of the next term; None: the same policy."""
    by_hand: bool = False
    """The running term was renewed manually. To Stripe it is a trial, in which nothing is prorated."""
    pause: Pause | None = None
    """Collection is paused: invoices are not collected meanwhile."""
    owed: tuple[OwedInvoice, ...] = ()
    """Unpaid invoices, newest first, from the ledger."""

    @property
    def ends(self) -> bool:
        """Whether it ends with Stripe's current period or earlier, so that no further term is billed."""
        return self.ends_at is not None and self.ends_at <= self.period_end

    def ends_before(self, moment: datetime) -> bool:
        """Return whether Stripe ends the subscription before `moment`."""
        manual = self.policy.renewal is Renewal.MANUAL  # ends with each term unless it is renewed
        return self.ends_at is not None and (self.ends_at < moment if manual else self.ends_at <= moment)

    @property
    def ends_early(self) -> bool:
        """Whether it ends before the end of what is paid for."""
        return self.ends_at is not None and self.ends_at < self.current_end

    @property
    def upcoming(self) -> Policy:
        """The policy that applies to `next`."""
        return self.next_policy or self.policy

    @property
    def pending(self) -> bool:
        """Whether the next term differs from the running one."""
        return self.now != self.next

    @property
    def current_end(self) -> datetime:
        """The end of the last paid term, from which windows and cut-offs count back."""
        return self.period_end if self.renewed else self.term_end
