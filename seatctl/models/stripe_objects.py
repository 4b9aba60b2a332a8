"""What seatctl reads of Stripe's objects, as frozen values. `billing/objects.py` parses them.

Amounts are minor units, times aware UTC. Only the fields that are used; nothing of the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from seatctl.errors import JsonValue
from seatctl.models.collection import Pause
from seatctl.models.invoice import InvoiceLine, InvoiceStatus
from seatctl.models.plan import Interval
from seatctl.models.subscription import SubscriptionStatus


@dataclass(frozen=True, slots=True)
class StripePrice:
    """A recurring price; `unit_amount` is None where it is tiered or fractional."""

    id: str
    product_id: str
    currency: str
    unit_amount: int | None
    interval: Interval | None
    interval_count: int
    usage_type: str
    lookup_key: str | None
    active: bool
    tax_behavior: str | None = None


@dataclass(frozen=True, slots=True)
class StripeCard:
    """A saved payment method, as far as a person recognises it."""

    id: str
    brand: str
    last4: str
    type: str
    """`card`, or what it is instead, in Stripe's words."""


@dataclass(frozen=True, slots=True)
class StripeCustomer:
    """A customer; a deleted one has nothing but its id."""

    id: str
    email: str | None
    name: str | None
    deleted: bool
    default_payment_method: str | None
    metadata: Mapping[str, str]
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """What is shown besides: the card's brand and last digits where they were expanded, the balance."""


@dataclass(frozen=True, slots=True)
class StripeProduct:
    """A product: a plan is one. `default_price` is an id."""

    id: str
    name: str
    active: bool
    default_price: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StripeItem:
    """One item of a subscription; the period is the item's own."""

    id: str
    price: StripePrice
    quantity: int | None
    period_start: datetime
    period_end: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    """Unix seconds."""
    tax_rates: tuple[str, ...] = ()
    """The ids of its own, which go before the subscription's."""

    @property
    def licensed(self) -> bool:
        """Whether it is billed by its quantity, which is a number of seats; metered ones are not."""
        return self.price.usage_type == "licensed"


@dataclass(frozen=True, slots=True)
class StripeSubscription:
    """A subscription with its items in Stripe's order."""

    id: str
    customer_id: str
    status: SubscriptionStatus
    items: tuple[StripeItem, ...]
    metadata: Mapping[str, str]
    cancel_at: datetime | None
    cancel_at_period_end: bool
    collection_method: str
    latest_invoice: str | None
    created_at: datetime
    billing_cycle_anchor: datetime
    default_payment_method: str | None
    automatic_tax: bool = False
    """Whether Stripe adds the tax of the customer's place to its invoices."""
    tax_rates: tuple[str, ...] = ()
    """The ids of those that count for items without their own."""
    discounts: tuple[str, ...] = ()
    """Their ids: an update that names any replaces them all."""
    pause: Pause | None = None
    """`pause_collection`: the status stays as it was, and invoices are not collected."""
    schedule: str | None = None
    """What sets its items at the beginning of each phase, whatever they were changed to before."""
    flexible: bool = True
    """Billing mode: credits go by what was billed, not by what its items hold (classic)."""
    speaks_of: str | None = None
    """The item that its metadata speaks of, which may be gone; None: the ledger tells nothing of that."""


@dataclass(frozen=True, slots=True)
class StripeInvoice:
    """An invoice with the lines of its first page."""

    id: str
    number: str | None
    status: InvoiceStatus
    customer_id: str | None
    subscription_id: str | None
    currency: str
    subtotal: int
    total: int
    amount_due: int
    amount_paid: int
    amount_remaining: int
    billing_reason: str | None
    hosted_url: str | None
    created_at: datetime
    due_date: datetime | None
    finalized_at: datetime | None
    paid_at: datetime | None
    lines: tuple[InvoiceLine, ...]
    metadata: Mapping[str, str]
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Taxes, discounts, payments, the PDF, who it is billed to: what `invoices show` tells besides."""


@dataclass(frozen=True, slots=True)
class StripePage:
    """A page of Checkout, with the id of the subscription or the setup intent that it has led to."""

    id: str
    status: str
    """`open`, `complete` or `expired`."""
    mode: str
    """`subscription`, or `setup` for one that only collects a card."""
    url: str | None
    led_to: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """What Stripe says a purchase costs: due now, and in full."""

    currency: str
    subtotal: int
    total: int
    amount_due: int
    lines: tuple[InvoiceLine, ...]
    discounts: tuple[int, ...] = ()
    """What each discount takes off; one that does not apply (another currency or product) is not there."""
    carried_over: int = 0
    """Too little to be charged: it becomes a debt on the customer's balance, and is asked for with the next
    invoice."""
    tax_status: str | None = None
    """How Stripe's reckoning of the tax went: `complete`, or what it lacks; None: it reckons none."""
