"""What stands in the way of a subscription's payments. Named tuples: `check` reads them on its way."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple


class Pause(NamedTuple):
    """Stripe's `pause_collection`: the subscription runs on, and its invoices are not collected."""

    behavior: str
    """`void`, `keep_as_draft` or `mark_uncollectible`: what becomes of the invoices made meanwhile."""
    resumes_at: datetime | None
    """When Stripe ends the pause by itself (UTC); None: never."""


class OwedInvoice(NamedTuple):
    """An invoice that still has to be paid, or a draft that nobody is asked to pay. Times are UTC."""

    handle: str
    """Its number; a draft's id."""
    draft: bool
    """Stripe neither finalizes nor collects it by itself: one of an unpaid subscription, or of a pause."""
    amount: int
    """Minor units."""
    currency: str
    due: datetime | None
    """None: it is charged to a card, at once."""
    since: datetime
    """When it was finalized; of a draft, made."""


class Trouble(NamedTuple):
    """Why a subscription is not as it should be, and the commands that help, the best one first."""

    reason: str
    """`past_due`, `unpaid`, `paused`, `incomplete`, `collection_paused`, `open_invoice`, `over_assigned`."""
    message: str
    ways_out: tuple[str, ...]
