"""Policies: the values of each field, the presets, the stored form, what is refused, and the wording. Pure.

docs/architecture.md says what a policy is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from enum import StrEnum
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
    TrialWithoutCard,
)
from seatctl.models.report import record_of
from seatctl.rules.payment_methods import ANY, TYPES, Accepted
from seatctl.rules.purchases import MOST_SEATS

_MOST_DAYS = 3650
"""Longer than any term, but too short for a date to overflow."""

_LONGEST_CONTACT = 200

_LONGEST_TRIAL = 730
"""Stripe's limit: two years."""

Parser = Callable[[str], object]
"""Reads the text of a field; a ValueError says which values are allowed."""


def _one_of(choices: type[StrEnum]) -> Parser:
    def parse(text: str) -> object:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"use one of {', '.join(choices)}") from None

    return parse


def _number_up_to(most: int) -> Parser:
    def parse(text: str) -> object:
        digits = text.removeprefix("-")
        if not (text.isascii() and digits.isdigit()):
            raise ValueError("use a whole number")
        if len(digits) > len(str(most)) or int(text) > most:
            raise ValueError(f"use at most {most}")
        return int(text)

    return parse


def _or_none(parse: Parser) -> Parser:
    return lambda text: None if text in {"", "none"} else parse(text)


def _flag(text: str) -> bool:
    if text.lower() not in {"yes", "no", "true", "false"}:
        raise ValueError("use yes or no")
    return text.lower() in {"yes", "true"}


def _names(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in text.split(","))
    return tuple(part for part in parts if part not in {"", "none"})


def _payment_methods(text: str) -> tuple[str, ...]:
    names = _names(text)
    if not names or ANY in names:
        return (ANY,)
    if not set(names) <= set(TYPES):
        raise ValueError(f"use {ANY}, or some of {', '.join(TYPES)}")
    return tuple(dict.fromkeys(names))


def _address(text: str) -> str:
    if not text.startswith(("https://", "http://")) or any(character.isspace() for character in text):
        raise ValueError("use a URL that begins with https://")
    return text


def _contact(text: str) -> str:
    if len(text) > _LONGEST_CONTACT or not text.isprintable():
        raise ValueError(f"use an address or a number on one line of at most {_LONGEST_CONTACT} characters")
    return text


_number, _days = _number_up_to(MOST_SEATS), _number_up_to(_MOST_DAYS)

_PARSERS: Final[Mapping[str, Parser]] = {
    "pack_size": _number,
    "min_seats": _number,
    "max_seats": _or_none(_number),
    "increase": _one_of(Increase),
    "decrease": _one_of(Decrease),
    "plan_change": _one_of(PlanChange),
    "renewal": _one_of(Renewal),
    "renewal_window_days": _days,
    "addon_cutoff_days": _days,
    "lock_price": _flag,
    "discounts": _one_of(Discounts),
    "on_account": _one_of(OnAccount),
    "payment_methods": _payment_methods,
    "seats_while_processing": _flag,
    "trial_days": _number_up_to(_LONGEST_TRIAL),
    "trial_without_card": _one_of(TrialWithoutCard),
    "grace_days": _days,
    "features": _names,
    "sign_in_url": _or_none(_address),
    "support_contact": _or_none(_contact),
}


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
    from seatctl.rules.dates import shortest_days

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
    return record_of(policy, " ".join(FIELDS))


def from_fields(values: Mapping[str, JsonValue]) -> Policy:
    """Return the policy that `as_fields` stored; missing fields have the default of `flexible`."""
    return with_fields(FLEXIBLE, {name: value for name, value in values.items() if name in FIELDS})


def as_metadata(policy: Policy) -> dict[str, str]:
    """Return the policy as Stripe metadata, one key per field (at most 500 characters per value)."""
    return {f"{METADATA_PREFIX}{name}": typed_form(getattr(policy, name)) for name in FIELDS}


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
    from seatctl.rules.dates import shortest_days

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
            hint=f"use {' '.join(f'--set {name}={term // 4}' for name in wrong)}",
            data={"field": wrong[0], "fields": [*wrong], "days": term, "possible": term // 4},
        )


def check_currency_of_methods(policy: Policy, currency: str) -> None:
    """Return if a payment method that the policy names can pay in the plan's currency. Raises BadPolicy."""
    methods = policy.payment_methods
    if ANY in methods or Accepted(methods, currency).listed:
        return
    raise BadPolicy(
        f"this policy is not possible: {', '.join(methods)} cannot pay {currency.upper()}",
        hint=f"use --set payment_methods={','.join(('card', *methods))}",
        data={"field": "payment_methods", "currency": currency},
    )


def _days_before_the_end(policy: Policy) -> dict[str, int]:
    """Return the fields that count back from a term's end, in days; 0 for a window that no rule uses."""
    return {
        "addon_cutoff_days": policy.addon_cutoff_days,
        "renewal_window_days": policy.renewal_window_days if _has_window(policy) else 0,
    }


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
        for name in ("renewal_window_days", "addon_cutoff_days", "trial_days", "grace_days")
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
        *_problems_of_trials(policy),
        (
            "features or sign_in_url is longer than the 500 characters that Stripe's metadata allows"
            if max(len(typed_form(policy.features)), len(policy.sign_in_url or "")) > _LONGEST_VALUE
            else None,
            "features",
            "use short names, such as meetings,recordings",
        ),
    ]


def _problems_of_trials(policy: Policy) -> list[tuple[str | None, str, str]]:
    no_trial = "use --set trial_days=0"
    return [
        (
            "a term that is renewed by hand ends with its trial"
            if policy.trial_days and policy.renewal is Renewal.MANUAL
            else None,
            "trial_days",
            no_trial,
        ),
        # Stripe charges nothing for seats added in a trial; an invoice of our own would.
        (
            "increase=full_price would charge the seats that are added in a free trial"
            if policy.trial_days and policy.increase is Increase.FULL_PRICE
            else None,
            "trial_days",
            no_trial,
        ),
        (
            f"trial_without_card={policy.trial_without_card} needs a trial"
            if policy.trial_without_card is not TrialWithoutCard.NO and not policy.trial_days
            else None,
            "trial_without_card",
            "use --set trial_days=14, or --set trial_without_card=no",
        ),
    ]


def _parse(name: str, value: JsonValue) -> object:
    if name not in FIELDS:
        from seatctl.rules.typed_values import did_you_mean

        raise BadPolicy(
            f"a policy has no field {name!r}",
            hint=did_you_mean(name, FIELDS, "for the fields: seatctl help policies"),
            data={"field": name},
        )
    text = (
        ",".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value).strip()
    )
    try:
        return _PARSERS[name](text)
    except ValueError as error:
        raise BadPolicy(
            f"{name}={text} is not possible: {error}",
            hint="for the fields and their values: seatctl help policies",
            data={"field": name, "value": text},
        ) from None


def typed_form(value: object) -> str:
    """Return the value of a field as it is typed after `--set FIELD=`."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ",".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


# The wording ----------------------------------------------------------------------------------------

_INCREASE = {
    Increase.PRORATE_NOW: "Added seats are charged at once, for the rest of the period.",
    Increase.PRORATE_NEXT_INVOICE: "Added seats are charged with the next invoice.",
    Increase.FULL_PRICE: "Added seats are charged at once, at the full price of the term.",
}
_DECREASE = {
    Decrease.NOW: "Seats can be removed at any time; the rest of the period is credited.",
    Decrease.AT_RENEWAL: "Seats can be removed at any time, with effect from the next renewal.",
    Decrease.RENEWAL_WINDOW: "Seats can be removed only in the renewal window, before the renewal is paid.",
}
_PLAN_CHANGE = {
    PlanChange.ANYTIME: "The plan can be changed at any time.",
    PlanChange.RENEWAL_WINDOW: "The plan can be changed only in the renewal window, before it is renewed.",
}
_RENEWAL = {
    Renewal.AUTOMATIC: "It renews automatically until it is canceled.",
    Renewal.MANUAL: "It ends unless it is renewed by hand.",
}
_DISCOUNTS = {
    Discounts.ANYTIME: "A discount can be given at any time.",
    Discounts.PURCHASE_AND_RENEWAL: "A discount can be given only on a purchase or a renewal.",
}
_ON_ACCOUNT = {
    OnAccount.YES: "It can be bought on account.",
    OnAccount.NO: "It is paid by card, not on account.",
    OnAccount.PURCHASE_AND_RENEWAL: "It can be bought and renewed on account; added seats are paid by card.",
}


_WITHOUT_CARD = {
    TrialWithoutCard.NO: "a card is required at once",
    TrialWithoutCard.PAUSE: "without a card it is paused when the trial ends",
    TrialWithoutCard.CANCEL: "without a card it ends with the trial",
}


def sentences(policy: Policy) -> list[str]:
    """Return the policy as sentences, from buying to using."""
    return [text for text in (_sizes(policy), _trial(policy), *_rules(policy), *_use(policy)) if text]


def _trial(policy: Policy) -> str:
    if not policy.trial_days:
        return ""
    without_card = _WITHOUT_CARD[policy.trial_without_card]
    return f"A purchase begins with a free trial of {policy.trial_days} days; {without_card}."


def _sizes(policy: Policy) -> str:
    pack = f"in packs of {policy.pack_size}" if policy.pack_size > 1 else "one by one"
    most = f" and at most {policy.max_seats}" if policy.max_seats is not None else ""
    return f"Seats are sold {pack}, at least {policy.min_seats}{most}."


def _rules(policy: Policy) -> list[str]:
    window = f"The renewal window is the last {policy.renewal_window_days} days of a term."
    cutoff = (
        f"No seats can be added in the last {policy.addon_cutoff_days} days of a term, until it is renewed."
    )
    lock = "Added seats cost what a seat cost when the term began."
    return [
        _INCREASE[policy.increase],
        lock if policy.lock_price else "",
        cutoff if policy.addon_cutoff_days else "",
        _DECREASE[policy.decrease],
        _PLAN_CHANGE[policy.plan_change],
        _RENEWAL[policy.renewal],
        window,
        _DISCOUNTS[policy.discounts],
        _ON_ACCOUNT[policy.on_account],
    ]


def _payment(policy: Policy) -> str:
    if policy.payment_methods == ("card",):
        return ""
    taken = "" if ANY in policy.payment_methods else f"It is paid by {' or '.join(policy.payment_methods)}. "
    usable = "at once" if policy.seats_while_processing else "once it is paid"
    return f"{taken}If a bank takes days to pay, new seats are usable {usable}."


def _use(policy: Policy) -> list[str]:
    grace = (
        f"When a payment fails, seats stay usable for {policy.grace_days} days."
        if policy.grace_days
        else "When a payment fails, seats stop being usable at once."
    )
    return [
        _payment(policy),
        grace,
        f"A seat includes: {', '.join(policy.features)}." if policy.features else "",
        f"Sign in at {policy.sign_in_url}." if policy.sign_in_url else "",
        f"For exceptions from these rules, ask {policy.support_contact}." if policy.support_contact else "",
    ]
