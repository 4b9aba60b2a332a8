"""Decisions about requests: automatic approval, and the subscription for a request that names none.

Pure. The rules of automatic approval are stored as JSON in the ledger and as one metadata value in Stripe.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.call import parse_time
from seatctl.models.report import record_of
from seatctl.models.request import RequestStatus
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.rules.emails import check_email, domain_key, email_key
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


def checked_domains(typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the domains normalised like those of e-mail keys, without duplicates.

    Raises `bad_rule`, which names every bad domain.
    """
    domains = [text.strip().removeprefix("@") for text in typed]
    checked = [(text, check_email(f"x@{domain}")) for text, domain in zip(typed, domains, strict=True)]
    bad = [(text, wrong) for text, wrong in checked if wrong]
    if bad:
        raise refuse(
            Code.BAD_RULE,
            "; ".join(f"{text!r} is not a domain: {wrong}" for text, wrong in bad),
            hint="give the part after the @ of an address, such as example.com",
            data={"domain": bad[0][0], "domains": [text for text, _ in bad]},
        )
    return tuple(dict.fromkeys(map(domain_key, domains)))


def checked_groups(typed: tuple[str, ...]) -> tuple[str, ...]:
    """Return the groups without outer spaces or duplicates, as first spelled.

    Raises `bad_rule` if one is empty.
    """
    groups: dict[str, str] = {}
    for group in typed:
        groups.setdefault(group_key(group), group.strip())
    if "" in groups:
        raise refuse(Code.BAD_RULE, "the name of a group is empty", hint="--reset removes all rules")
    return tuple(groups.values())


def auto_approval_fields(rules: AutoApproval) -> dict[str, JsonValue]:
    """Return the rules as JSON values; `until` is UTC."""
    return record_of(rules, "enabled domains groups daily_limit until keep_free")


def read_auto_approval(fields: Mapping[str, JsonValue]) -> AutoApproval:
    """Return the rules stored by `auto_approval_fields`; a missing field means off or unlimited."""
    daily, until, keep_free = fields.get("daily_limit"), fields.get("until"), fields.get("keep_free")
    return AutoApproval(
        enabled=fields.get("enabled") is True,
        domains=_texts(fields.get("domains")),
        groups=_texts(fields.get("groups")),
        daily_limit=daily if isinstance(daily, int) else None,
        until=parse_time(until) if isinstance(until, str) else None,
        keep_free=keep_free if isinstance(keep_free, int) else 0,
    )


def _texts(value: JsonValue | None) -> tuple[str, ...]:
    return tuple(part for part in value if isinstance(part, str)) if isinstance(value, list) else ()
