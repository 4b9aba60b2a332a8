"""How a subscription stands: what is paid for now, what the next term holds, and its calendar."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from seatctl.models.collection import OwedInvoice, Pause
from seatctl.models.plan import Policy, Renewal
from seatctl.models.subscription import SubscriptionStatus


@dataclass(frozen=True, slots=True)
class TermContent:
    """Seats at a price: what runs now, or what the next term begins with."""

    price_id: str
    plan: str
    seats: int


@dataclass(frozen=True, slots=True)
class SubscriptionState:
    """Read from Stripe's subscription and its metadata; the only input of the rules of change.

    `now` is what is paid for until `term_end`; `next` is what Stripe's item holds. They differ while a
    decrease, a plan change or a paid renewal waits for the term's end. Times are aware UTC.
    """

    name: str
    status: SubscriptionStatus
    policy: Policy
    """What holds now: where a plan change waits, still the one of the running term."""
    now: TermContent
    next: TermContent
    term_start: datetime
    term_end: datetime
    """The end of what is paid for as `now`."""
    period_end: datetime
    """The end of Stripe's period: later than `term_end` once the next term is paid."""
    renewed: bool
    """The next term is paid already: the renewal window is closed until the next one."""
    ends_at: datetime | None
    """When Stripe ends the subscription unless something is done: with a period, or within one."""
    assigned: int
    next_policy: Policy | None = None
    """That of the next term; None is the same."""
    by_hand: bool = False
    """The running term was paid by a renewal by hand: a trial to Stripe, which prorates nothing in it."""
    pause: Pause | None = None
    """Collection is paused: what the subscription bills meanwhile is not paid."""
    owed: tuple[OwedInvoice, ...] = ()
    """What is still to be paid for it, newest first, as the ledger knows it."""

    @property
    def ends(self) -> bool:
        """Whether it ends with Stripe's period or before, so that no further term is billed."""
        return self.ends_at is not None and self.ends_at <= self.period_end

    def ends_before(self, moment: datetime) -> bool:
        """Whether nothing is left of it at that moment, as Stripe ends it first."""
        manual = self.policy.renewal is Renewal.MANUAL  # which ends at each term's end unless it is renewed
        return self.ends_at is not None and (self.ends_at < moment if manual else self.ends_at <= moment)

    @property
    def ends_early(self) -> bool:
        """Whether it ends before what is paid for does."""
        return self.ends_at is not None and self.ends_at < self.current_end

    @property
    def upcoming(self) -> Policy:
        """The policy that `next` has to fit."""
        return self.next_policy or self.policy

    @property
    def pending(self) -> bool:
        """Whether the next term begins with something else than runs now."""
        return self.now != self.next

    @property
    def current_end(self) -> datetime:
        """The end of the last term that is paid for: what windows and cut-offs count back from."""
        return self.period_end if self.renewed else self.term_end
