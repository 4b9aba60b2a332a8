"""What a subscription that ends now gives back, and on which invoices (billing.md, "Cancel"). Pure.

Amounts are minor units. Stripe's preview says what is unused of what the subscription itself billed; an
invoice of our own gives back the unused share of the term that it paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from math import floor

from seatctl.models.invoice import InvoiceLine


@dataclass(frozen=True, slots=True)
class PaidInvoice:
    """An invoice and what can still be given back of it."""

    invoice: str
    number: str
    by_card: int
    """What the card paid and nobody has given back."""
    in_all: int
    """The card's part, and what was taken from the customer's balance."""
    owed: int = 0
    """Of one that is still open: what it asks for, and need not ask for any more."""
    on_balance: int = 0
    """Of the part without a card: what nobody has paid yet. Too small to be charged, it became a debt on the
    customer's balance, and still is one."""


@dataclass(frozen=True, slots=True)
class CreditShare:
    """What one invoice gives back: to the card, and to the customer's balance what came from there.

    One that is still open gives nothing back: it asks for less.
    """

    invoice: str
    number: str
    refund: int
    credit: int
    less: int = 0


def unused_share(amount: int, start: datetime, end: datetime, at: datetime, step: int = 1) -> int:
    """The part of `amount` for the time from `at` to `end`, in whole seconds; halves go to the customer.

    In multiples of `step`, the least that the currency moves by (ISK and UGX: 100; three decimals: 10).
    """
    return _round(amount * _rest(start, end, at), step)


def _rest(start: datetime, end: datetime, at: datetime) -> Fraction:
    """The part of a period that is left."""
    whole = int((end - start).total_seconds())
    left = min(whole, max(0, int((end - at).total_seconds())))
    return Fraction(left, whole) if whole > 0 else Fraction(1)


def _round(exact: Fraction, step: int) -> int:
    return floor(exact / step + Fraction(1, 2)) * step


def still_to_come(
    amount: int, start: datetime, end: datetime, at: datetime, step: int = 1, until: datetime | None = None
) -> int:
    """As `unused_share`, where it is charged: halves go down, as Stripe's prorations do.

    Of a subscription that ends within its term, only the time to `until`.
    """
    after = Fraction() if until is None or until >= end else _rest(start, end, max(at, until))
    return -_round(-amount * (_rest(start, end, at) - after), step)


def spread(amount: int, bills: Sequence[PaidInvoice]) -> tuple[CreditShare, ...]:
    """`amount` over the invoices: what is owed need not be paid, then to the card, then to the balance.

    Within each in their order. What is owed stands on an open invoice, or as a debt on the balance: giving
    the card back what it has not paid would be more than was paid. No invoice gives back more than it took.
    """
    parts = {one.invoice: CreditShare(one.invoice, one.number, 0, 0) for one in bills}
    left = amount
    for one in bills:
        less = min(left, one.owed)
        parts[one.invoice] = replace(parts[one.invoice], less=less)
        left -= less
    for one in bills:
        settled = min(left, one.on_balance)
        parts[one.invoice] = replace(parts[one.invoice], credit=settled)
        left -= settled
    for one in bills:
        refund = min(left, one.by_card)
        parts[one.invoice] = replace(parts[one.invoice], refund=refund)
        left -= refund
    for one in bills:
        part = parts[one.invoice]
        from_balance = 0 if one.owed else one.in_all - one.on_balance - max(part.refund, one.by_card)
        credit = min(left, max(0, from_balance))
        parts[one.invoice] = replace(part, credit=part.credit + credit)
        left -= credit
    return tuple(share for share in parts.values() if share.refund or share.credit or share.less)


def debt_made(total: int, starting: int, ending: int) -> int:
    """How much of an invoice over `total` became the customer's debt, by the balance before and after it.

    Stripe charges no less than its least amount; a balance above 0 is what the customer owes.
    """
    return min(max(0, total), max(0, ending - max(0, starting)))


def unused_lines(lines: Iterable[InvoiceLine], total: int, at: datetime, step: int = 1) -> int:
    """The unused part of an invoice over `total`, by the periods of its lines.

    Lines are before discounts and taxes, the total is after them: each counts by its part of the lines. A
    total below 0 gave the customer credit for time that an earlier invoice had billed: less than 0 is unused.
    """
    kept = [*lines]
    before = sum(line.amount for line in kept)
    if before == 0 or total == 0 or (before < 0) != (total < 0):
        return 0
    left = sum((line.amount * _rest(line.period_start, line.period_end, at) for line in kept), Fraction())
    unused = _round(left * total / before, step)
    return min(total, unused) if total > 0 else max(total, unused)


def total(shares: Iterable[CreditShare]) -> int:
    """What all of them come to: given back to the card and to the balance, and not asked for any more."""
    return sum(share.refund + share.credit + share.less for share in shares)
