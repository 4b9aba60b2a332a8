"""Policies: the presets, the stored form, and the combinations that are refused. Pure.

docs/architecture.md says what a policy is for; `policy_text.py` words one in sentences.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import fields, replace
from typing import Final

from seatctl.errors import BadInput, Code, JsonValue
from seatctl.models.plan import (
    Decrease,
    Discounts,
    Increase,
    Interval,
    OnAccount,
    PlanChange,
    Policy,
    Renewal,
)
from seatctl.rules.policy_values import PARSERS

FLEXIBLE: Final = Policy()

TERM: Final = Policy(
    pack_size=5,
    min_seats=5,
    increase=Increase.FULL_PRICE,
    decrease=Decrease.RENEWAL_WINDOW,
    plan_change=PlanChange.RENEWAL_WINDOW,
    renewal=Renewal.MANUAL,
    addon_cutoff_days=30,
    lock_price=True,
    discounts=Discounts.PURCHASE_AND_RENEWAL,
    on_account=OnAccount.PURCHASE_AND_RENEWAL,
    grace_days=0,
)

PRESETS: Final[Mapping[str, Policy]] = {"flexible": FLEXIBLE, "term": TERM}

METADATA_PREFIX: Final = "seatctl_policy_"

_LONGEST_VALUE: Final = 500
"""Stripe's limit for a metadata value."""

FIELDS: Final = tuple(field.name for field in fields(Policy))


class BadPolicy(BadInput):
    """A policy value is unknown or out of range, or a combination would charge twice."""

    kind = Code.BAD_POLICY


def preset(name: str, interval: Interval, count: int) -> Policy:
    """Return the policy `flexible` or `term`, for a plan of `count` intervals.

    Raises BadPolicy for another name. A cut-off or window of the preset that is not shorter than the term
    becomes half of the term: with the 30 days of `term`, no seat could be added to a monthly contract.
    """
    from seatctl.rules.calendar import shortest_days

    if name not in PRESETS:
        raise BadPolicy(
            f"there is no policy {name!r}",
            hint="use --policy flexible or --policy term, and --set FIELD=VALUE to change a field",
            data={"policy": name, "allowed": list(PRESETS)},
        )
    policy, term = PRESETS[name], shortest_days(interval, count)
    too_long = {field: term // 2 for field, days in _days_before_the_end(policy).items() if days >= term}
    return with_fields(policy, dict[str, JsonValue](too_long))


def with_fields(policy: Policy, values: Mapping[str, JsonValue]) -> Policy:
    """Return `policy` with the named fields replaced, as text or typed, and checked. Raises BadPolicy."""
    changed = {name: _parse(name, value) for name, value in values.items()}
    return check(replace(policy, **changed))  # type: ignore[arg-type]  # _parse returns each field's type


def as_fields(policy: Policy) -> dict[str, JsonValue]:
    """Return the policy as JSON values, one per field, as stored in the ledger and in TOML."""
    return {name: _plain(getattr(policy, name)) for name in FIELDS}


def from_fields(values: Mapping[str, JsonValue]) -> Policy:
    """Return the policy that `as_fields` stored; missing fields have the default of `flexible`."""
    return with_fields(FLEXIBLE, {name: value for name, value in values.items() if name in FIELDS})


def as_metadata(policy: Policy) -> dict[str, str]:
    """Return the policy as Stripe metadata, one key per field (at most 500 characters per value)."""
    return {f"{METADATA_PREFIX}{name}": _text(getattr(policy, name)) for name in FIELDS}


def from_metadata(metadata: Mapping[str, str]) -> Policy | None:
    """Return the policy that `as_metadata` stored, or None if there is none. Raises BadPolicy."""
    stored = {
        name: metadata[f"{METADATA_PREFIX}{name}"]
        for name in FIELDS
        if metadata.get(f"{METADATA_PREFIX}{name}")
    }
    return with_fields(FLEXIBLE, dict(stored)) if stored else None


def check(policy: Policy) -> Policy:
    """Return the policy. Raises BadPolicy if it cannot be sold or would charge twice."""
    for problem, field, hint in _problems(policy):
        if problem:
            raise BadPolicy(f"this policy is not possible: {problem}", hint=hint, data={"field": field})
    return policy


def check_term(policy: Policy, interval: Interval, count: int) -> None:
    """Return if the days that count back from a term's end fit into the term.

    Raises BadPolicy for a cut-off or a renewal window that is not shorter than the interval. A window that no
    rule of the policy uses is not checked.
    """
    from seatctl.rules.calendar import shortest_days

    term = shortest_days(interval, count)
    days = _days_before_the_end(policy)
    wrong = [name for name, value in days.items() if value >= term]
    if wrong:
        named = " and ".join(f"{name}={days[name]}" for name in wrong)
        is_not = "is not" if len(wrong) == 1 else "are not"
        never = (
            "no seats could be added" if "addon_cutoff_days" in wrong else "every day would be in the window"
        )
        raise BadPolicy(
            f"this policy is not possible: {named} {is_not} shorter than a term, which may have only"
            f" {term} days: {never}",
            hint=f"use {term_options(wrong, term)}",
            data={"field": wrong[0], "fields": [*wrong], "days": term, "possible": term // 4},
        )


def _days_before_the_end(policy: Policy) -> dict[str, int]:
    """Return the fields that count back from a term's end, in days; 0 for a window that no rule uses."""
    return {
        "addon_cutoff_days": policy.addon_cutoff_days,
        "renewal_window_days": policy.renewal_window_days if _has_window(policy) else 0,
    }


def term_options(fields: Iterable[str], term: int) -> str:
    """Return the options that make these fields shorter than a term of `term` days."""
    return " ".join(f"--set {name}={term // 4}" for name in fields)


def _has_window(policy: Policy) -> bool:
    """Return whether a rule of the policy uses the renewal window."""
    return (
        policy.renewal is Renewal.MANUAL
        or policy.decrease is Decrease.RENEWAL_WINDOW
        or policy.plan_change is PlanChange.RENEWAL_WINDOW
    )


def _problems(policy: Policy) -> list[tuple[str | None, str, str]]:
    """Return every rule as (what is wrong or None, the field, the hint)."""
    low, high, pack = policy.min_seats, policy.max_seats, policy.pack_size
    full = policy.increase is Increase.FULL_PRICE
    negative = [
        name
        for name in ("renewal_window_days", "addon_cutoff_days", "grace_days")
        if getattr(policy, name) < 0
    ]
    return [
        (None if pack >= 1 else "a pack needs at least one seat", "pack_size", "use --set pack_size=1"),
        (None if low >= 1 else "min_seats is at least 1", "min_seats", "use --set min_seats=1"),
        (
            "min_seats is not a whole number of packs" if pack >= 1 and low % pack else None,
            "min_seats",
            f"use --set min_seats={-(-low // max(pack, 1)) * pack}",
        ),
        (
            "max_seats is below min_seats" if high is not None and high < low else None,
            "max_seats",
            "use --set max_seats=none",
        ),
        (
            f"{', '.join(negative)} cannot be negative" if negative else None,
            negative[0] if negative else "",
            "give days as 0 or more",
        ),
        # Stripe's proration does not know seats billed at full price: it would charge them again.
        (
            "increase=full_price with plan_change=anytime would charge seats twice"
            if full and policy.plan_change is not PlanChange.RENEWAL_WINDOW
            else None,
            "plan_change",
            "use --set plan_change=renewal_window",
        ),
        (
            "increase=full_price with decrease=now would refund amounts that were not prorated"
            if full and policy.decrease is Decrease.NOW
            else None,
            "decrease",
            "use --set decrease=renewal_window or --set decrease=at_renewal",
        ),
        (
            "features or sign_in_url is longer than the 500 characters that Stripe's metadata allows"
            if max(len(_text(policy.features)), len(policy.sign_in_url or "")) > _LONGEST_VALUE
            else None,
            "features",
            "use short names, such as meetings,recordings",
        ),
    ]


def _parse(name: str, value: JsonValue) -> object:
    if name not in FIELDS:
        from seatctl.rules.suggestions import did_you_mean

        raise BadPolicy(
            f"a policy has no field {name!r}",
            hint=did_you_mean(name, FIELDS, "for the fields: seatctl help policies"),
            data={"field": name},
        )
    text = (
        ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value).strip()
    )
    try:
        return PARSERS[name](text)
    except ValueError as error:
        raise BadPolicy(
            f"{name}={text} is not possible: {error}",
            hint="for the fields and their values: seatctl help policies",
            data={"field": name, "value": text},
        ) from None


def _plain(value: object) -> JsonValue:
    if isinstance(value, tuple):
        return [str(part) for part in value]
    if value is None or isinstance(value, bool | int):
        return value
    return str(value)


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ",".join(value) or "none"
    return "none" if value is None else str(value)
