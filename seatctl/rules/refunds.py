"""What a subscription that ends now gives back, and on which invoices (billing.md, "Cancel"). Pure.

Amounts are minor units. Stripe's preview says what is unused of what the subscription itself billed; an
invoice of our own gives back the unused share of the term that it paid for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Paid:
    """A paid invoice and what can still be given back of it."""

    invoice: str
    number: str
    by_card: int
    """What the card paid and nobody has given back."""
    in_all: int
    """The card's part, and what was taken from the customer's balance."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one invoice gives back: to the card, and to the customer's balance what came from there."""

    invoice: str
    number: str
    refund: int
    credit: int


def unused_share(amount: int, start: datetime, end: datetime, at: datetime, step: int = 1) -> int:
    """The part of `amount` for the time from `at` to `end`, in whole seconds; halves go to the customer.

    In multiples of `step`, the least that the currency moves by (ISK and UGX: 100; three decimals: 10).
    """
    whole = int((end - start).total_seconds())
    left = min(whole, max(0, int((end - at).total_seconds())))
    if whole <= 0:
        return amount
    return (2 * amount * left + whole * step) // (2 * whole * step) * step


def still_to_come(amount: int, start: datetime, end: datetime, at: datetime, step: int = 1) -> int:
    """As `unused_share`, where it is charged: halves go down, as Stripe's prorations do."""
    return -unused_share(-amount, start, end, at, step)


def spread(amount: int, paid: Sequence[Paid]) -> tuple[Share, ...]:
    """`amount` over the invoices in their order: to the card first, then to the balance.

    No invoice gives back more than it took; what is left over was never paid.
    """
    refunds, left = [], amount
    for one in paid:
        refunds.append(min(left, one.by_card))
        left -= refunds[-1]
    shares = []
    for one, refund in zip(paid, refunds, strict=True):
        credit = min(left, max(0, one.in_all - max(refund, one.by_card)))
        left -= credit
        shares.append(Share(one.invoice, one.number, refund, credit))
    return tuple(share for share in shares if share.refund or share.credit)


def total(shares: Iterable[Share]) -> int:
    """What all of them give back, to the card and to the balance."""
    return sum(share.refund + share.credit for share in shares)
