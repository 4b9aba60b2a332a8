"""Invoices from Stripe. Amounts are in minor units of `currency`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from seatctl.errors import JsonValue
from seatctl.models.call import parse_time

PROCESSING_UNTIL = "processing_until"
"""The detail that says until about when a bank is processing the payment (the written form, UTC)."""


class InvoiceStatus(StrEnum):
    """Stripe's statuses of invoices."""

    DRAFT = "draft"
    OPEN = "open"
    PAID = "paid"
    UNCOLLECTIBLE = "uncollectible"
    VOID = "void"

    @property
    def owes(self) -> bool:
        """Whether the remaining amount may still be collected. Void invoices are not owed, and uncollectible
        ones
        are written off, but Stripe leaves the amounts of both unchanged."""
        return self not in {InvoiceStatus.VOID, InvoiceStatus.UNCOLLECTIBLE}


@dataclass(frozen=True, slots=True)
class Invoice:
    """The mirror of a Stripe invoice."""

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
    """The amount still to be paid; 0 for void and uncollectible invoices."""
    created_at: datetime
    due_date: datetime | None
    finalized_at: datetime | None
    billing_reason: str | None
    hosted_url: str | None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Taxes, discounts, payments, the PDF, the billing address (billing/objects.py)."""
    refunds: tuple[Refund, ...] = ()
    """All refunds to the card or bank, oldest first."""
    disputes: tuple[Dispute, ...] = ()
    """Payments that the cardholder's bank disputes or has taken back, oldest first."""

    @property
    def processing_until(self) -> datetime | None:
        """Until about when a bank is processing the payment; None if none is under way."""
        until = self.details.get(PROCESSING_UNTIL)
        return parse_time(until) if isinstance(until, str) else None

    @property
    def tax(self) -> int | None:
        """The taxes that are part of the total, added to the prices or included in them; None without tax."""
        taxes = self.details.get("taxes")
        if not isinstance(taxes, list):
            return None
        amounts = [tax.get("amount") for tax in taxes if isinstance(tax, dict)]
        return sum(amount for amount in amounts if isinstance(amount, int))

    @property
    def net(self) -> int | None:
        """The total without the taxes; None without tax."""
        return None if self.tax is None else self.total - self.tax

    @property
    def disputed(self) -> int:
        """The amount in dispute or lost, in minor units; disputes that were won do not count."""
        return sum(dispute.amount for dispute in self.disputes if not dispute.is_over)

    @property
    def refunded(self) -> int:
        """The refunded amount, in minor units; failed refunds do not count."""
        return sum(refund.amount for refund in self.refunds if refund.status not in {"failed", "canceled"})

    def days_late(self, at: datetime) -> int | None:
        """Return the full days since the invoice was due, or None if it is not overdue at `at` (UTC).

        An invoice on account has a due date; an invoice charged to a card was due when it was finalized. An
        invoice whose payment a bank is processing is not overdue.
        """
        due = self.due_date or self.finalized_at
        if self.status is not InvoiceStatus.OPEN or not self.amount_remaining or due is None or at <= due:
            return None
        if self.processing_until is not None:
            return None
        return (at - due).days


_WITHOUT_LOSS = ("won", "warning_closed", "prevented")
DECIDED_DISPUTES = (*_WITHOUT_LOSS, "lost")


@dataclass(frozen=True, slots=True)
class Dispute:
    """A payment that the cardholder's bank disputes. Minor units of its currency, times aware UTC."""

    amount: int
    currency: str
    status: str
    reason: str
    at: datetime
    answer_by: datetime | None
    """Until when the bank accepts evidence."""

    @property
    def is_over(self) -> bool:
        """Whether it ended without a loss."""
        return self.status in _WITHOUT_LOSS

    @property
    def is_open(self) -> bool:
        """Whether it is still undecided."""
        return self.status not in DECIDED_DISPUTES

    @property
    def wants_answer(self) -> bool:
        """Whether the bank waits for evidence."""
        return self.status.endswith("needs_response")


@dataclass(frozen=True, slots=True)
class Refund:
    """A refund in minor units of the invoice's currency. `at` is aware UTC."""

    amount: int
    status: str
    at: datetime


@dataclass(frozen=True, slots=True)
class InvoiceLine:
    """A line of an invoice; the period is aware UTC."""

    stripe_id: str
    description: str | None
    quantity: int | None
    amount: int
    currency: str
    period_start: datetime
    period_end: datetime
    proration: bool
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Unit price, discounts and taxes of this line."""
