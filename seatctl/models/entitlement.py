"""Entitlement: the seats of a person, and the answer of `check`."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from seatctl.models.collection import OwedInvoice, Pause, Trial


class Holding(NamedTuple):
    """An active seat of a person, with the values of its subscription that matter. Times are aware UTC."""

    subscription: str
    plan: str
    status: str
    until: datetime | None
    cancel_at: datetime | None
    unpaid_since: datetime | None
    grace_days: int
    features: tuple[str, ...]
    capacity: int = 1
    """Seats that are paid for now."""
    pause: Pause | None = None
    owed: tuple[OwedInvoice, ...] = ()
    sign_in_url: str | None = None
    """Where people with a seat sign in, from the policy."""
    trial: Trial | None = None
    """Its running trial; a database role that may not read everything does not see it."""


class OpenRequest(NamedTuple):
    """The open request of a person without a seat. `place` on the waitlist; None: it waits for approval."""

    number: int
    place: int | None
    subscription: str | None
    """None: any subscription."""


class EntitlementAnswer(NamedTuple):
    """The answer of `check`. `until` None: as long as the person has the seat and the subscription renews."""

    entitled: bool
    reason: str
    """`entitled`, `in_grace`, `unknown_user`, `suspended`, `unseated`, `past_due`, `unpaid`, `paused`,
    `incomplete`, `no_seats_paid` or `ended`."""
    message: str
    holding: Holding | None
    until: datetime | None
    ways_out: tuple[str, ...] = ()
    """The commands that solve the payment problem of the subscription."""
