"""Invoices as Stripe has them; amounts are minor units of `currency`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from seatctl.errors import JsonValue


class InvoiceStatus(StrEnum):
    """Stripe's statuses."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"

    @property
    def owes(self) -> bool:
        """Whether what remains of such an invoice may still be collected: a void one is owed by nobody, an
        uncollectible one was written off. Stripe leaves the amounts of both as they were."""
        return self not in {InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}


@dataclass(frozen=True, slots=True)
class Invoice:
    """The mirror of one Stripe invoice."""

    id: int
    stripe_id: str
    number: str | None
    subscription: str | None
    status: InvoiceStatus
    currency: str
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    """What is still to be paid: nothing of a void or uncollectible invoice."""
    created_at: datetime
    due_date: datetime | None
    finalized_at: datetime | None
    billing_reason: str | None
    hosted_url: str | None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Taxes, discounts, payments, the PDF, who it is billed to (billing/invoice_details.py)."""
    refunds: tuple[Refund, ...] = ()
    """What went back to the card or bank, by whatever way, oldest first."""
    disputes: tuple[Dispute, ...] = ()
    """Payments that the cardholder's bank questions or has taken back, oldest first."""

    @property
    def disputed(self) -> int:
        """What is in question or lost, in minor units; a dispute that was won took nothing."""
        return sum(one.amount for one in self.disputes if not one.is_over)

    @property
    def refunded(self) -> int:
        """What was given back in all, in minor units; a refund that failed gave nothing back."""
        return sum(one.amount for one in self.refunds if one.status not in {"failed", "canceled"})

    def days_late(self, at: datetime) -> int | None:
        """Full days since it had to be paid, None for an invoice that is not late at `at` (UTC).

        An invoice on account has its due date; one that is charged to a card was due when it was finalized.
        """
        due = self.due_date or self.finalized_at
        if self.status is not InvoiceStatus.OPEN or not self.amount_remaining or due is None or at <= due:
            return None
        return (at - due).days


_OVER_FOR_GOOD = frozenset(("won", "warning_closed", "prevented"))


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that the cardholder's bank questions. Minor units of its currency, times aware UTC."""

    amount: int
    currency: str
    status: str
    reason: str
    at: datetime
    answer_by: datetime | None
    """Until when the bank takes evidence."""

    @property
    def is_over(self) -> bool:
        """Whether it ended without taking anything."""
        return self.status in _OVER_FOR_GOOD

    @property
    def is_open(self) -> bool:
        """Whether it is not decided yet."""
        return not self.is_over and self.status != "lost"

    @property
    def wants_answer(self) -> bool:
        """Whether the bank waits for evidence."""
        return self.status.endswith("needs_response")


@dataclass(frozen=True, slots=True)
class Refund:
    """Money that was given back, in minor units of the invoice's currency. `at` is aware UTC."""

    amount: int
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """One line of an invoice; the period is aware UTC."""

    stripe_id: str
    description: str | None
    quantity: int | None
    amount: int
    currency: str
    period_start: datetime
    period_end: datetime
    proration: bool
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """The unit price, the discounts and the taxes of this line."""
