"""Deciding requests: which may still be decided, automatic approval, and where one for any subscription goes.

Pure: literals in, a verdict out. The written form of the rules is `approval_rules.py`'s.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from seatctl.models.request import RequestStatus
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.rules.assignment import USABLE
from seatctl.rules.emails import domain_key, email_key
from seatctl.rules.names import group_key

AUTOMATIC = "auto"
"""Who decided, where a rule did."""

OPEN = frozenset((RequestStatus.PENDING, RequestStatus.WAITLISTED))


class ApprovalOutcome(StrEnum):
    """What becomes of a request now."""

    SEAT = "seat"
    WAIT = "wait"
    """Approved, but no seat is free: the waitlist."""
    ASK = "ask"
    """A person decides."""


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, as automatic approval sees it; `approved_today` counts what it approved this day."""

    email: str
    group: str | None
    now: datetime
    approved_today: int = 0


class ApprovalVerdict(NamedTuple):
    """What becomes of a request, the rule that decides it, and that rule in words."""

    outcome: ApprovalOutcome
    rule: str
    why: str


def automatically(rules: AutoApproval, asking: Requester, free: int) -> ApprovalVerdict:
    """What the subscription's rules make of a request, and which rule says so."""
    refusal = _refusal(rules, asking)
    if refusal is not None:
        return ApprovalVerdict(ApprovalOutcome.ASK, *refusal)
    if not free:
        return ApprovalVerdict(ApprovalOutcome.WAIT, "free_seats", "no seat is free")
    if free <= rules.keep_free:
        kept = f"{rules.keep_free} seat{' is' if rules.keep_free == 1 else 's are'} kept free"
        return ApprovalVerdict(ApprovalOutcome.ASK, "keep_free", kept)
    return ApprovalVerdict(
        ApprovalOutcome.SEAT, "enabled", "requests are approved automatically, and a seat is free"
    )


def _refusal(rules: AutoApproval, asking: Requester) -> tuple[str, str] | None:
    """The first rule that leaves the decision to a person, or None."""
    if not rules.enabled:
        return "enabled", "automatic approval is off"
    if rules.until is not None and asking.now >= rules.until:
        return "until", f"automatic approval ended on {rules.until:%Y-%m-%d}"
    domain = email_key(asking.email).rpartition("@")[2]
    # A rule that Stripe's metadata brought may have its domains as somebody typed them there: `@Example.com`.
    if rules.domains and domain not in {domain_key(one.strip().removeprefix("@")) for one in rules.domains}:
        return "domain", f"{domain} is not among the domains that are approved automatically"
    if rules.groups and group_key(asking.group or "") not in map(group_key, rules.groups):
        return "group", "the user's group is not among those that are approved automatically"
    if rules.daily_limit is not None and asking.approved_today >= rules.daily_limit:
        return "daily_limit", f"{rules.daily_limit} were approved today already"
    return None


def choose(subscriptions: Iterable[Subscription], features: Collection[str] = ()) -> Subscription | None:
    """Where a request for any goes: the features wanted, then most seats free, then latest renewal."""
    return max(_fitting(subscriptions, features), key=_rank, default=None)


def why_chosen(
    chosen: Subscription,
    subscriptions: Iterable[Subscription],
    features: Collection[str] = (),
    *,
    left_out: Iterable[Subscription] = (),
) -> str:
    """Why `choose` took this one: what it grants, or how it compares with the next best.

    `left_out`: those that were not to be chosen from, because no rule gives a seat there.
    """
    others = [
        subscription for subscription in _fitting(subscriptions, features) if subscription.id != chosen.id
    ]
    by_rule = bool(_fitting(left_out, features))
    if not others:
        return f"the only one with a free seat{_that(features, by_rule, 's')}"
    second = max(others, key=_rank)
    if chosen.free > second.free:
        traits = _that(features, by_rule, "")
        of_those = f" of those{traits}" if traits else ""
        return f"most seats free{of_those}: {chosen.free}, {second.name} has {second.free}"
    if chosen.term_end > second.term_end:
        return f"as many seats free as {second.name}, and it renews later: {chosen.term_end:%Y-%m-%d}"
    return f"as many seats free as {second.name}, and it is the older one"


def _that(features: Collection[str], by_rule: bool, s: str) -> str:
    """What the choice was narrowed to; `s` is the ending of the verbs."""
    traits = [f"grant{s} {', '.join(features)}"] if features else []
    traits += [f"approve{s} requests automatically"] if by_rule else []
    return f" that {' and '.join(traits)}" if traits else ""


def fits(subscription: Subscription, features: Collection[str]) -> bool:
    """Whether its seats can be used and grant all these features."""
    return subscription.status in USABLE and set(features) <= set(
        subscription.policy.features if subscription.policy else ()
    )


def _fitting(subscriptions: Iterable[Subscription], features: Collection[str]) -> list[Subscription]:
    return [
        subscription for subscription in subscriptions if subscription.free and fits(subscription, features)
    ]


def _rank(subscription: Subscription) -> tuple[int, datetime, int]:
    return subscription.free, subscription.term_end, -subscription.id
