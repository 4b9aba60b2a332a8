"""A policy in sentences that customers can rely on. Pure; dates are added by the caller."""

from __future__ import annotations

from seatctl.models.plan import Decrease, Discounts, Increase, OnAccount, PlanChange, Policy, Renewal

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


def sentences(policy: Policy) -> list[str]:
    """Return the policy as sentences, from buying to using."""
    return [text for text in (_sizes(policy), *_rules(policy), *_use(policy)) if text]


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


def _use(policy: Policy) -> list[str]:
    grace = (
        f"When a payment fails, seats stay usable for {policy.grace_days} days."
        if policy.grace_days
        else "When a payment fails, seats stop being usable at once."
    )
    return [
        grace,
        f"A seat includes: {', '.join(policy.features)}." if policy.features else "",
        f"Sign in at {policy.sign_in_url}." if policy.sign_in_url else "",
        f"For exceptions from these rules, ask {policy.support_contact}." if policy.support_contact else "",
    ]
