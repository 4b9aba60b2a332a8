"""Problems in the collection of payments. Named tuples, because `check` imports this module at start-up."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple


class PauseBehavior(StrEnum):
    """What happens to new invoices while collection is paused, in Stripe's words."""

    KEEP_AS_DRAFT = "keep_as_draft"
    VOID = "void"
    MARK_UNCOLLECTIBLE = "mark_uncollectible"


class Pause(NamedTuple):
    """Stripe's `pause_collection`: the subscription stays active, but its invoices are not collected."""

    behavior: str
    """`void`, `keep_as_draft` or `mark_uncollectible`: what happens to new invoices during the pause."""
    resumes_at: datetime | None
    """When Stripe ends the pause automatically (UTC); None: never."""


class Trial(NamedTuple):
    """A free trial that runs. A term that was renewed by hand is a trial only to Stripe, not here."""

    ends: datetime
    then: str
    """`charge`, `invoice`, `end` if it is canceled; `pause`, `cancel`, `unpaid` without a payment method."""

    @property
    def stops(self) -> bool:
        """Whether nobody is entitled after its end, unless a payment method is given before."""
        return self.then in {"pause", "cancel"}


class OwedInvoice(NamedTuple):
    """An unpaid invoice, or a draft that Stripe does not collect. Times are UTC."""

    handle: str
    """The invoice number, or the Stripe id of a draft."""
    draft: bool
    """Stripe does not finalize or collect it: its subscription is unpaid, or collection is paused."""
    amount: int
    """Minor units."""
    currency: str
    due: datetime | None
    """None: it is charged to a card immediately."""
    since: datetime
    """When it was finalized, or created if it is a draft."""
    processing_until: datetime | None = None
    """Until about when a bank is processing its payment; None if none is under way."""


class Trouble(NamedTuple):
    """A problem with the payments of a subscription, and the commands that solve it, the best one first."""

    reason: str
    """`past_due`, `unpaid`, `paused`, `incomplete`, `collection_paused`, `open_invoice`,
    `payment_processing`, `over_assigned`."""
    message: str
    ways_out: tuple[str, ...]
