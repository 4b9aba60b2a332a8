"""Compares what Stripe charged with what was shown before; a difference names the way back. Pure.

Amounts are minor units. The preview and the change are two calls: if a price, a balance, a discount or a line
changes in between, the invoice differs, and an update charges inside the call.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.models.money import format_money
from seatctl.models.plan import Decrease, PlanChange, Renewal
from seatctl.models.subscription_state import SubscriptionState, TermContent
from seatctl.rules import hints


@dataclass(frozen=True, slots=True)
class ShownCharge:
    """What was shown of a charge before it was made, as stored in the payload of an operation."""

    amount: int
    currency: str
    reverse: str
    """The command that reverses the change."""
    limit: int | None = None
    """`--max-spend`."""


@dataclass(frozen=True, slots=True)
class ChargeDifference:
    """An invoice that differs from what was shown: as a sentence, and as fields of the report's row."""

    sentence: str
    fields: Mapping[str, JsonValue]


def difference(shown: ShownCharge, charged: int) -> ChargeDifference | None:
    """Return how the charged amount differs from what was shown, or None if it does not."""
    if charged == shown.amount:
        return None

    def money(amount: int) -> str:
        return format_money(amount, shown.currency)

    over = shown.limit is not None and charged > shown.limit
    limited = f", and more than the {money(shown.limit or 0)} of --max-spend" if over else ""
    sentence = f"Stripe charged {money(charged)} instead of the {money(shown.amount)} that was shown{limited}"
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
    """Return the sentence about an amount below Stripe's minimum charge."""
    money = format_money(amount, currency)
    return f"{money} is below Stripe's minimum charge and is added to the next invoice"


def end_command(name: str) -> str:
    """Return the command that ends a subscription and refunds what is unused."""
    return hints.command("subs", "cancel", name, "--now", "--refund")


def reverse_command(state: SubscriptionState, now: TermContent) -> str:
    """Return the command that reverses a change to `now`, as far as the policy allows it."""
    policy, before = state.policy, state.now
    by_hand = policy.renewal is Renewal.MANUAL  # then plan and seats are changed only by renewing
    if now.plan != before.plan and policy.plan_change is PlanChange.ANYTIME and not by_hand:
        return hints.command("subs", "change-plan", state.name, before.plan)
    gives_back = policy.decrease is not Decrease.RENEWAL_WINDOW and not by_hand
    if now.seats < before.seats or (now.seats > before.seats and gives_back):
        return hints.command("subs", "set-seats", state.name, before.seats)
    return end_command(state.name)
