"""What may be bought: quantities, limits, payment methods; and whether Stripe charged what was shown. Pure.

The preview and the change are two calls: if a price, a balance, a discount or a line changes in between, the
invoice differs, and an update charges inside the call.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from seatctl.errors import Code, JsonValue, refuse
from seatctl.models.money import accepted_form, format_money, parse_amount, plain_amount
from seatctl.models.plan import Interval, Policy

_TEST_CARD: Final = "pm_card_"
"""The prefix of Stripe's test cards: each time one is read, Stripe makes another payment method."""

_TYPED_CARD_DIGITS = 12

UNUSED_DISCOUNT = "the coupon gives no discount: it is for another currency or product"

MOST_SEATS = 1_000_000
"""The limit for one subscription: what the ledger is built for, far below where amounts would overflow."""

_THREE_YEARS: Mapping[Interval, int] = {
    Interval.DAY: 1095,
    Interval.WEEK: 156,
    Interval.MONTH: 36,
    Interval.YEAR: 3,
}
"""Stripe's longest billing period, in each interval."""


def check_quantity(plan: str, policy: Policy, seats: int, *, use: str = "use --seats") -> int:
    """Return the number of seats.

    Raises `pack_size`, `too_few_seats` or `too_many_seats` with the nearest possible number. `use` is what
    the number is typed after.
    """
    fitting = fit(policy, seats)
    data: dict[str, JsonValue] = {"plan": plan, "seats": seats, "possible": fitting}
    if seats < policy.min_seats:
        raise refuse(
            Code.TOO_FEW_SEATS,
            f"plan {plan} needs at least {policy.min_seats} seats",
            hint=f"{use} {fitting}",
            data=data,
        )
    limit = most(policy)
    if seats > limit:
        raise refuse(
            Code.TOO_MANY_SEATS,
            f"plan {plan} allows at most {limit} seats",
            hint=f"{use} {fitting}",
            data=data,
        )
    if seats % policy.pack_size:
        raise refuse(
            Code.PACK_SIZE,
            f"plan {plan} is sold in packs of {policy.pack_size}: {seats} is not a whole number of packs",
            hint=f"{use} {fitting}",
            data={**data, "pack_size": policy.pack_size},
        )
    return seats


def fit(policy: Policy, seats: int) -> int:
    """Return the smallest possible quantity of at least `seats`, or the largest possible one below."""
    packs = -(-max(seats, policy.min_seats, 1) // policy.pack_size)
    wanted = packs * policy.pack_size
    limit = most(policy)
    return wanted if wanted <= limit else limit - limit % policy.pack_size


def most(policy: Policy) -> int:
    """Return the most seats that a subscription may have under the policy."""
    return MOST_SEATS if policy.max_seats is None else min(policy.max_seats, MOST_SEATS)


def check_currency(text: str) -> str:
    """Return the code in lower case, as Stripe writes it. Stripe decides whether it exists.

    Raises `bad_currency`.
    """
    code = text.strip().lower()
    if not (len(code) == 3 and code.isascii() and code.isalpha()):
        raise refuse(
            Code.BAD_CURRENCY,
            f"{text!r} is not a currency",
            hint="use a three-letter code, such as usd",
            data={"currency": text},
        )
    return code


def check_interval_count(interval: Interval, count: int) -> int:
    """Return the count. Raises `bad_interval` for less than 1 and for more than Stripe's three years."""
    if not 1 <= count <= _THREE_YEARS[interval]:
        raise refuse(
            Code.BAD_INTERVAL,
            f"every {count} {interval}s is not a billing period that Stripe supports",
            hint=f"use --every 1 to {_THREE_YEARS[interval]} with --interval {interval}",
            data={"interval": str(interval), "interval_count": count},
        )
    return count


def check_spend(due_now: int, currency: str, max_spend: str | None) -> None:
    """Return if `due_now` (minor units) is within the limit. Raises `max_spend_exceeded`, `bad_amount`."""
    if max_spend is None:
        return
    limit = amount_of(max_spend, currency)
    if due_now > limit:
        code = currency.upper()
        due, most = plain_amount(due_now, currency), plain_amount(limit, currency)
        raise refuse(
            Code.MAX_SPEND_EXCEEDED,
            f"this would charge {due} {code} now, more than the {most} {code} of --max-spend",
            hint=f"use --max-spend {due} to allow it",
            data={"due_now": due_now, "max_spend": limit, "currency": currency},
        )


def unused_discount_warning(wanted: int, taken: Iterable[int], left: int) -> tuple[str, ...]:
    """Return a warning if one of `wanted` discounts takes nothing off although `left` is still to be paid.

    `taken` is what each discount takes off; amounts are minor units. Stripe omits those that do not apply.
    """
    return (UNUSED_DISCOUNT,) if wanted > sum(amount > 0 for amount in taken) and left > 0 else ()


def amount_of(text: str, currency: str) -> int:
    """Return a typed amount in minor units. Raises `bad_amount`."""
    try:
        return parse_amount(text, currency)
    except ValueError as error:
        form = f"write amounts in {currency.upper()} as {accepted_form(currency)}"
        raise refuse(Code.BAD_AMOUNT, str(error), hint=form, data={"amount": text}) from None


def check_payment_method(given: str) -> str:
    """Return the id. Raises `bad_payment_method` without repeating the value, which may be a card number."""
    digits = sum(character.isdigit() for character in given)
    known = given.startswith(("pm_", "tok_", "card_", "src_")) and given.replace("_", "").isalnum()
    if known:
        return given
    what = "card numbers are not accepted" if digits >= _TYPED_CARD_DIGITS else "this is not a payment method"
    raise refuse(
        Code.BAD_PAYMENT_METHOD,
        f"{what}: give the id of a saved payment method",
        hint="use --payment-method pm_… or tok_…",
    )


def is_looked_up(payment_method: str) -> bool:
    """Return whether this is a saved payment method, whose type has to be read from Stripe."""
    return payment_method.startswith(("pm_", "src_")) and not payment_method.startswith(_TEST_CARD)


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
