"""What a subscription that ends now refunds, and on which invoices (docs/billing.md). Pure.

Amounts are minor units. For what the subscription itself billed, Stripe's preview says what is unused; an
invoice of our own refunds the unused share of the term that it paid for.
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
    """An invoice and what can still be refunded of it."""

    invoice: str
    number: str
    by_card: int
    """What the card paid and has not got back."""
    refundable: int
    """The card's part and what was taken from the customer's balance."""
    owed: int = 0
    """Of an open invoice: what is unpaid, and can be waived."""
    balance_debt: int = 0
    """A debt on the customer's balance that is still unpaid: the invoice was too small to be charged."""


@dataclass(frozen=True, slots=True)
class CreditShare:
    """What one invoice gives back: `refund` to the card, `credit` to the customer's balance.

    An open invoice gives nothing back; it is reduced by `less`.
    """

    invoice: str
    number: str
    refund: int
    credit: int
    less: int = 0
    tax: int | None = None
    """The tax in it, None if the invoice has none."""


def unused_share(amount: int, start: datetime, end: datetime, at: datetime, step: int = 1) -> int:
    """Return the part of `amount` for the time from `at` to `end`, to the second; halves favour the customer.

    `step` is the smallest amount in which the currency moves (ISK and UGX: 100; three decimals: 10).
    """
    return _round(amount * _rest(start, end, at), step)


def _rest(start: datetime, end: datetime, at: datetime) -> Fraction:
    """Return the share of a period that is left."""
    whole = int((end - start).total_seconds())
    left = min(whole, max(0, int((end - at).total_seconds())))
    return Fraction(left, whole) if whole > 0 else Fraction(1)


def _round(exact: Fraction, step: int) -> int:
    return floor(exact / step + Fraction(1, 2)) * step


def remaining_charge(
    amount: int, start: datetime, end: datetime, at: datetime, step: int = 1, until: datetime | None = None
) -> int:
    """Like `unused_share`, for a charge: halves are rounded down, as in Stripe's prorations.

    If the subscription ends within its term, only the time to `until` counts.
    """
    after = Fraction() if until is None or until >= end else _rest(start, end, max(at, until))
    return -_round(-amount * (_rest(start, end, at) - after), step)


def allocate(amount: int, invoices: Sequence[PaidInvoice]) -> tuple[CreditShare, ...]:
    """Distribute `amount` over the invoices: first waive what is owed, then refund the card, then credit.

    Within each step the invoices keep their order. What is owed is an open invoice or a debt on the balance:
    refunding that to the card would pay out more than was paid. No invoice gives back more than it took.
    """
    parts = {paid.invoice: CreditShare(paid.invoice, paid.number, 0, 0) for paid in invoices}
    left = amount
    for paid in invoices:
        less = min(left, paid.owed)
        parts[paid.invoice] = replace(parts[paid.invoice], less=less)
        left -= less
    for paid in invoices:
        settled = min(left, paid.balance_debt)
        parts[paid.invoice] = replace(parts[paid.invoice], credit=settled)
        left -= settled
    for paid in invoices:
        refund = min(left, paid.by_card)
        parts[paid.invoice] = replace(parts[paid.invoice], refund=refund)
        left -= refund
    for paid in invoices:
        part = parts[paid.invoice]
        from_balance = (
            0 if paid.owed else paid.refundable - paid.balance_debt - max(part.refund, paid.by_card)
        )
        credit = min(left, max(0, from_balance))
        parts[paid.invoice] = replace(part, credit=part.credit + credit)
        left -= credit
    return tuple(share for share in parts.values() if share.refund or share.credit or share.less)


def debt_created(total: int, starting: int, ending: int) -> int:
    """Return how much of an invoice over `total` became the customer's debt, from both balances.

    Stripe does not charge less than its minimum; a positive balance is what the customer owes.
    """
    return min(max(0, total), max(0, ending - max(0, starting)))


def unused_lines(lines: Iterable[InvoiceLine], total: int, at: datetime, step: int = 1) -> int:
    """Return the unused part of an invoice over `total`, by the periods of its lines.

    Lines are before discounts and taxes, the total is after them, so each line counts by its share of the
    lines. A negative total credited the customer for time that an earlier invoice had billed; then the unused
    part is negative too.
    """
    listed = [*lines]
    before = sum(line.amount for line in listed)
    if before == 0 or total == 0 or (before < 0) != (total < 0):
        return 0
    left = sum((line.amount * _rest(line.period_start, line.period_end, at) for line in listed), Fraction())
    unused = _round(left * total / before, step)
    return min(total, unused) if total > 0 else max(total, unused)


def total(shares: Iterable[CreditShare]) -> int:
    """Return the sum of refunds, credits and reductions."""
    return sum(share.refund + share.credit + share.less for share in shares)
