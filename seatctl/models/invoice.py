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
    created_at: datetime
    due_date: datetime | None
    billing_reason: str | None
    hosted_url: str | None
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Taxes, discounts, payments, the PDF, who it is billed to (billing/invoice_details.py)."""


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
