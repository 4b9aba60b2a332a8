"""What Stripe has asked for, against what was shown before: a difference is told with the way back. Pure.

Amounts are minor units. The preview and the change are two calls: a price, a balance, a discount or a line
that somebody adds in between makes the invoice another one, and an update charges inside the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.models.money import plain_amount
from seatctl.models.plan import Decrease, PlanChange, Renewal
from seatctl.models.subscription_state import SubscriptionState, TermContent
from seatctl.rules import hints


@dataclass(frozen=True, slots=True)
class ShownCharge:
    """What was shown of a charge before it was made, as the payload of an operation keeps it."""

    amount: int
    currency: str
    reverse: str
    """The command that takes the change back."""
    limit: int | None = None
    """`--max-spend`."""


def shown_fields(shown: ShownCharge) -> dict[str, JsonValue]:
    """The written form of what was shown."""
    return {
        "amount": shown.amount,
        "currency": shown.currency,
        "reverse": shown.reverse,
        "limit": shown.limit,
    }


def read_shown(value: JsonValue | None) -> ShownCharge | None:
    """The inverse of `agreed_fields`; None for an operation of which nothing was kept."""
    if not isinstance(value, dict) or not isinstance(value.get("amount"), int):
        return None
    limit = value.get("limit")
    return ShownCharge(
        int(str(value["amount"])),
        str(value["currency"]),
        str(value["reverse"]),
        limit if isinstance(limit, int) else None,
    )


@dataclass(frozen=True, slots=True)
class ChargeDifference:
    """An invoice that is not what was shown: in a sentence, with the way back, and as fields of the row."""

    sentence: str
    fields: Mapping[str, JsonValue]


def difference(shown: ShownCharge, charged: int) -> ChargeDifference | None:
    """How the invoices of a change differ from what was shown; None where they do not."""
    if charged == shown.amount:
        return None

    def money(amount: int) -> str:
        return f"{plain_amount(amount, shown.currency)} {shown.currency.upper()}"

    over = shown.limit is not None and charged > shown.limit
    limited = f", and more than the {money(shown.limit or 0)} of --max-spend" if over else ""
    sentence = f"Stripe asked for {money(charged)}, not for the {money(shown.amount)} that was shown{limited}"
    return ChargeDifference(
        sentence,
        {
            "shown": shown.amount,
            "charged": charged,
            "difference": charged - shown.amount,
            "over_max_spend": over,
            "reverse": shown.reverse,
        },
    )


def too_little(amount: int, currency: str) -> str:
    """What is said of an amount below the least that Stripe charges."""
    said = f"{plain_amount(amount, currency)} {currency.upper()}"
    return f"{said} is too little to charge, and is asked for with the next invoice"


def end_command(name: str) -> str:
    """The command that ends a subscription and gives back what is unused."""
    return hints.command("subs", "cancel", name, "--now", "--refund")


def back_command(standing: SubscriptionState, now: TermContent) -> str:
    """The command that takes a change to `now` back, as far as the policy lets it be taken back."""
    policy, before = standing.policy, standing.now
    by_hand = policy.renewal is Renewal.MANUAL  # then both are options of the renewal only
    if now.plan != before.plan and policy.plan_change is PlanChange.ANYTIME and not by_hand:
        return hints.command("subs", "change-plan", standing.name, before.plan)
    gives_back = policy.decrease is not Decrease.RENEWAL_WINDOW and not by_hand
    if now.seats < before.seats or (now.seats > before.seats and gives_back):
        return hints.command("subs", "set-seats", standing.name, before.seats)
    return end_command(standing.name)
