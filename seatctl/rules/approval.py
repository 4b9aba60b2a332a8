"""Decisions about requests: automatic approval, and the subscription for a request that names none.

Pure. `approval_rules.py` reads and writes the rules.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from seatctl.models.request import RequestStatus
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.rules.emails import domain_key, email_key
from seatctl.rules.names import group_key

AUTOMATIC = "auto"
"""The `decided_by` of a request that was approved automatically."""

OPEN = frozenset((RequestStatus.PENDING, RequestStatus.WAITLISTED))


class ApprovalOutcome(StrEnum):
    """What happens to a request now."""

    SEAT = "seat"
    WAIT = "wait"
    """Approved, but no seat is free: the request joins the waitlist."""
    ASK = "ask"
    """A person decides."""


@dataclass(frozen=True, slots=True)
class Requester:
    """The requester as automatic approval sees them."""

    email: str
    group: str | None
    now: datetime
    approved_today: int = 0


class ApprovalVerdict(NamedTuple):
    """The outcome for a request, the rule that decided, and the reason in words."""

    outcome: ApprovalOutcome
    rule: str
    why: str


def decide_automatically(rules: AutoApproval, asking: Requester, free: int) -> ApprovalVerdict:
    """Return what the subscription's approval rules decide for this requester, and by which rule."""
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
    """Return the first rule that leaves the decision to a person, with the reason, or None."""
    if not rules.enabled:
        return "enabled", "automatic approval is off"
    if rules.until is not None and asking.now >= rules.until:
        return "until", f"automatic approval ended on {rules.until:%Y-%m-%d}"
    domain = email_key(asking.email).rpartition("@")[2]
    # Rules read from Stripe's metadata may have domains as somebody typed them there: `@Example.com`.
    if rules.domains and domain not in {domain_key(text.strip().removeprefix("@")) for text in rules.domains}:
        return "domain", f"{domain} is not one of the domains that are approved automatically"
    if rules.groups and group_key(asking.group or "") not in map(group_key, rules.groups):
        return "group", "the user's group is not one of those that are approved automatically"
    if rules.daily_limit is not None and asking.approved_today >= rules.daily_limit:
        return "daily_limit", f"the daily limit of {rules.daily_limit} is reached"
    return None


def choose(subscriptions: Iterable[Subscription], features: Collection[str] = ()) -> Subscription | None:
    """Return the best subscription for a request that names none, or None.

    It has to grant the features. Most free seats come first, then the latest renewal, then the oldest.
    """
    return max(_fitting(subscriptions, features), key=_rank, default=None)


def why_chosen(
    chosen: Subscription,
    subscriptions: Iterable[Subscription],
    features: Collection[str] = (),
    *,
    left_out: Iterable[Subscription] = (),
) -> str:
    """Return why `choose` chose this subscription: what it grants, or how it compares with the second best.

    `left_out`: subscriptions that were not considered, because they do not approve requests automatically.
    """
    others = [
        subscription for subscription in _fitting(subscriptions, features) if subscription.id != chosen.id
    ]
    by_rule = bool(_fitting(left_out, features))
    if not others:
        return f"the only subscription with a free seat{_that(features, by_rule, 's')}"
    second = max(others, key=_rank)
    if chosen.free > second.free:
        traits = _that(features, by_rule, "")
        of_those = f" of those{traits}" if traits else ""
        return f"most seats free{of_those}: {chosen.free}, {second.name} has {second.free}"
    if chosen.term_end > second.term_end:
        return f"as many seats free as {second.name}, and it renews later: {chosen.term_end:%Y-%m-%d}"
    return f"as many seats free as {second.name}, and it is the older subscription"


def _that(features: Collection[str], by_rule: bool, s: str) -> str:
    """Return the criteria of the choice as a relative clause; `s` is the ending of its verbs."""
    traits = [f"grant{s} {', '.join(features)}"] if features else []
    traits += [f"approve{s} requests automatically"] if by_rule else []
    return f" that {' and '.join(traits)}" if traits else ""


def fits(subscription: Subscription, features: Collection[str]) -> bool:
    """Return whether the subscription's seats can be used and grant all these features."""
    return subscription.status.is_running and set(features) <= set(
        subscription.policy.features if subscription.policy else ()
    )


def _fitting(subscriptions: Iterable[Subscription], features: Collection[str]) -> list[Subscription]:
    return [
        subscription for subscription in subscriptions if subscription.free and fits(subscription, features)
    ]


def _rank(subscription: Subscription) -> tuple[int, datetime, int]:
    return subscription.free, subscription.term_end, -subscription.id
