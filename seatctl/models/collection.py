"""Problems in the collection of payments. Named tuples, because `check` imports this module at start-up."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Pause(NamedTuple):
    """Stripe's `pause_collection`: the subscription stays active, but its invoices are not collected."""

    behavior: str
    """`void`, `keep_as_draft` or `mark_uncollectible`: what happens to new invoices during the pause."""
    resumes_at: datetime | None
    """When Stripe ends the pause automatically (UTC); None: never."""


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
