"""How many seats one command may revoke: `--max-revoke`, counted for each subscription. Pure.

It protects against a broken export: a file that has lost half its rows must not cost half a company its
access.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, UsageError, refuse
from seatctl.rules.typed_values import MOST, whole_number

DEFAULT = "10%"


class RevocationLimit(NamedTuple):
    """At most this many seats of a subscription, or this percentage of the assigned ones, rounded up."""

    number: int
    percent: bool

    def allows(self, taken: int) -> int:
        """Return how many of `taken` seats may be revoked. Ten percent of nine is one, of none none."""
        return -(-self.number * taken // 100) if self.percent else self.number


class RevocationCount(NamedTuple):
    """How many of the `taken` seats of a subscription would be revoked."""

    subscription: str
    taken: int
    leaving: int


def limit(text: str) -> RevocationLimit:
    """Parse `12` or `25%`. Raises UsageError."""
    typed = text.strip()
    percent = typed.endswith("%")
    number = whole_number(typed.removesuffix("%"), 100 if percent else MOST)
    if number is None:
        raise UsageError(
            f"--max-revoke takes a number of seats or a percentage, not {text!r}",
            hint="use --max-revoke SEATS or --max-revoke PERCENT%",
        )
    return RevocationLimit(number, percent)


def check(most: RevocationLimit, subscriptions: Sequence[RevocationCount], look: str) -> None:
    """Raise `max_revoke_exceeded` if a subscription would lose more seats than the limit.

    `look` is the option that lists whose seats would be revoked.
    """
    beyond = [
        subscription
        for subscription in subscriptions
        if subscription.leaving > most.allows(subscription.taken)
    ]
    if not beyond:
        return
    first = beyond[0]
    message = f"{first.leaving:,} of {first.taken:,} seats of {first.subscription} would be revoked"
    if len(beyond) > 1:
        message += f", and too many of {len(beyond) - 1} more subscriptions"
    counts: list[JsonValue] = [
        {
            "subscription": subscription.subscription,
            "seats": subscription.taken,
            "revoked": subscription.leaving,
            "allowed": most.allows(subscription.taken),
        }
        for subscription in beyond
    ]
    raise refuse(
        Code.MAX_REVOKE_EXCEEDED,
        f"{message}; --max-revoke allows {most.allows(first.taken):,}",
        hint=f"{look} shows whose; --max-revoke {max(one.leaving for one in beyond)} allows it",
        data={"subscriptions": counts},
    )
