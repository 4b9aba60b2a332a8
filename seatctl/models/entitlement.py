"""Whether a person may use what a seat grants: what is held, and the answer."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from seatctl.models.collection import OwedInvoice, Pause


class Holding(NamedTuple):
    """An active seat of a person, with what its subscription says about it. Times are aware UTC."""

    subscription: str
    plan: str
    status: str
    until: datetime | None
    cancel_at: datetime | None
    unpaid_since: datetime | None
    grace_days: int
    features: tuple[str, ...]
    capacity: int = 1
    """Seats that the subscription pays for now."""
    pause: Pause | None = None
    owed: tuple[OwedInvoice, ...] = ()
    sign_in_url: str | None = None
    """Where its people sign in, as the policy says."""


class OpenRequest(NamedTuple):
    """The open request of a person without a seat. `place` None: it awaits approval, else the waitlist's."""

    number: int
    place: int | None
    subscription: str | None
    """None: any."""


class EntitlementAnswer(NamedTuple):
    """The answer of `check`. `until` None: as long as the seat is held and the subscription renews."""

    entitled: bool
    reason: str
    """`entitled`, `in_grace`, `unknown_user`, `suspended`, `unseated`, `past_due`, `unpaid`, `paused`,
    `incomplete`, `no_seats_paid` or `ended`."""
    message: str
    holding: Holding | None
    until: datetime | None
    ways_out: tuple[str, ...] = ()
    """The commands that would end what is wrong with the payments of the subscription."""
