"""Deciding requests: which may still be decided, automatic approval, and where one for any subscription goes.

Pure: literals in, a verdict out. The written form of the rules is `approval_rules.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from seatctl.models.request import RequestStatus
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.rules.assignment import USABLE
from seatctl.rules.emails import email_key

AUTOMATIC = "auto"
"""Who decided, where a rule did."""

OPEN = frozenset((RequestStatus.PENDING, RequestStatus.WAITLISTED))


class Outcome(StrEnum):
    """What becomes of a request now."""

    SEAT = "seat"
    WAIT = "wait"
    """Approved, but no seat is free: the waitlist."""
    ASK = "ask"
    """A person decides."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks, as automatic approval sees it; `approved_today` counts what it approved this day."""

    email: str
    group: str | None
    now: datetime
    approved_today: int = 0


def automatically(rules: AutoApproval, asking: Asking, free: int) -> tuple[Outcome, str]:
    """What the subscription's rules make of a request, and which rule says so."""
    refusal = _refusal(rules, asking)
    if refusal is not None:
        return Outcome.ASK, refusal
    if not free:
        return Outcome.WAIT, "no seat is free"
    if free <= rules.keep_free:
        return Outcome.ASK, f"{rules.keep_free} seats are kept free"
    return Outcome.SEAT, "requests are approved automatically"


def _refusal(rules: AutoApproval, asking: Asking) -> str | None:
    """The first rule that leaves the decision to a person, or None."""
    if not rules.enabled:
        return "automatic approval is off"
    if rules.until is not None and asking.now >= rules.until:
        return f"automatic approval ended on {rules.until:%Y-%m-%d}"
    domain = email_key(asking.email).rpartition("@")[2]
    if rules.domains and domain not in {wanted.lstrip("@").lower() for wanted in rules.domains}:
        return f"{domain} is not among the domains that are approved automatically"
    if rules.groups and asking.group not in rules.groups:
        return "the user's group is not among those that are approved automatically"
    if rules.daily_limit is not None and asking.approved_today >= rules.daily_limit:
        return f"{rules.daily_limit} were approved today already"
    return None


def choose(pools: Iterable[Subscription], features: Collection[str] = ()) -> Subscription | None:
    """Where a request for any goes: the features wanted, then most seats free, then latest renewal."""
    wanted = set(features)
    fitting = [
        pool
        for pool in pools
        if pool.status in USABLE and pool.free and wanted <= set(pool.policy.features if pool.policy else ())
    ]
    return max(fitting, key=lambda pool: (pool.free, pool.term_end, -pool.id), default=None)
