"""How many seats of a subscription may be assigned, and how many one command may revoke. Pure.

`--max-revoke`, counted for each subscription, protects against a broken export: a file that has lost half its
rows must not cost half a company its access.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, NotAllowed, Refused, UsageError, refuse
from seatctl.models.plan import Renewal
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.payment_states import (
    is_cut_off,
    over_assigned,
    payment_command,
    payments_of,
    why_not_running,
)
from seatctl.rules.typed_values import MOST, whole_number


class NoSeatsLeft(Refused):
    """Fewer seats are free than are needed."""

    kind = Code.NO_SEATS_LEFT


class ForeignLedger(NotAllowed):
    """The home of the subscription is another ledger, or it has none; this ledger may not change it."""

    kind = Code.FOREIGN_LEDGER


def require_home(subscription: Subscription, ledger_id: str) -> None:
    """Raise ForeignLedger unless Stripe's metadata, as mirrored, names this ledger as the home."""
    if subscription.home_ledger == ledger_id:
        return
    owner = (
        f"belongs to another ledger ({subscription.home_ledger})"
        if subscription.home_ledger
        else "does not belong to a ledger yet"
    )
    raise ForeignLedger(
        f"{subscription.name} {owner}; it cannot be changed from this one ({ledger_id})",
        hint=hints.to(
            "use that ledger, or make this one its home",
            hints.command("ledger", "adopt", subscription.name),
        ),
        data={
            "subscription": subscription.name,
            "home_ledger": subscription.home_ledger,
            "ledger": ledger_id,
        },
    )


def require_usable(subscription: Subscription) -> None:
    """Raise `subscription_not_active` unless the subscription is running.

    The hint is the command that gets it running again.
    """
    if subscription.status.is_running:
        return
    why, hint = why_not_running(payments_of(subscription), subscription.plan_slug)
    raise refuse(
        Code.SUBSCRIPTION_NOT_ACTIVE,
        f"{why}; no seats can be assigned",
        hint=hint,
        data={"subscription": subscription.name, "status": subscription.status.value},
    )


def seats_to_take(subscription: Subscription, needed: int, *, fill: bool) -> int:
    """Return how many of the `needed` seats to assign: all, or with `fill` as many as are free.

    Raises `over_assigned`, and NoSeatsLeft if they do not fit; `shortage` builds its full message.
    """
    if not needed or needed <= subscription.free:
        return needed
    if subscription.assigned > subscription.capacity:
        over = subscription.assigned - subscription.capacity
        raise refuse(
            Code.OVER_ASSIGNED,
            over_assigned(subscription),
            hint=hints.to(
                f"revoke {over} first",
                hints.command("seats", "revoke", subscription.name, hints.Blank.EMAILS),
            ),
            data={
                "subscription": subscription.name,
                "capacity": subscription.capacity,
                "assigned": subscription.assigned,
            },
        )
    if fill:
        return subscription.free
    raise shortage(subscription, needed, ())


def shortage(
    subscription: Subscription,
    needed: int,
    without: Sequence[dict[str, JsonValue]],
    at: datetime | None = None,
) -> NoSeatsLeft:
    """Return the refusal: how many seats are free and needed, who would get none, and how to buy more.

    `without` are rows with `email`. `at` (UTC): whether the policy still sells seats then.
    """
    missing = needed - subscription.free
    free = f"{subscription.free or 'no'} seat{'' if subscription.free == 1 else 's'}"
    message = f"{subscription.name} has {free} free, {needed} {'is' if needed == 1 else 'are'} needed"
    if without:
        named = ", ".join(str(row["email"]) for row in without[:3])
        rest = f" and {len(without) - 3} more" if len(without) > 3 else ""
        message += f"; {named}{rest} would not get a seat"
    hint = _more_seats(subscription, subscription.in_packs(missing), at)
    return NoSeatsLeft(
        message,
        hint=f"{hint}, or --fill assigns the free seats" if subscription.free else hint,
        data={
            "subscription": subscription.name,
            "free": subscription.free,
            "needed": needed,
            "missing": missing,
            "rows": [*without],
        },
    )


def _more_seats(subscription: Subscription, seats: int, at: datetime | None) -> str:
    """Return the command that buys the seats, after the command that pays a debt or ends a pause, if any."""
    buy = hints.command("subs", "add-seats", subscription.name, seats)
    if subscription.pause is not None:
        return hints.then(hints.command("subs", "resume", subscription.name), buy)
    if subscription.status is SubscriptionStatus.PAST_DUE:
        return hints.then(payment_command(payments_of(subscription)), buy)
    if subscription.policy is not None and at is not None and is_cut_off(subscription, at):
        opens = subscription.term_end - timedelta(days=subscription.policy.renewal_window_days)
        if subscription.policy.renewal is Renewal.MANUAL and at >= opens:
            return hints.then(hints.command("subs", "renew", subscription.name), buy)
        return hints.command("subs", "show", subscription.name)
    return buy


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


def read_revocation_limit(text: str) -> RevocationLimit:
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


def check_revocations(most: RevocationLimit, subscriptions: Sequence[RevocationCount], look: str) -> None:
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
