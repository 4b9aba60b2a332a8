"""Stripe's objects as frozen values, with the fields that seatctl uses, and as the mirror stores them.

`billing/objects.py` parses them.

Amounts are in minor units, times aware UTC. Nothing here depends on the SDK.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from seatctl.errors import JsonValue
from seatctl.models.collection import Pause
from seatctl.models.invoice import InvoiceLine, InvoiceStatus
from seatctl.models.plan import Interval
from seatctl.models.subscription_status import SubscriptionStatus


@dataclass(frozen=True, slots=True)
class Tier:
    """One tier of a tiered price: amounts in minor units as Stripe writes them, such as `0.5`."""

    up_to: int | None
    """None: the last tier."""
    unit_amount: str | None
    flat_amount: str | None


@dataclass(frozen=True, slots=True)
class StripePrice:
    """A recurring price; `unit_amount` is None if it is tiered, for packs of units, or fractional."""

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
    unit_amount_decimal: str | None = None
    """In minor units, for a pack if it is for packs."""
    tiers_mode: str | None = None
    """`graduated` or `volume`; None for a price without tiers."""
    tiers: tuple[Tier, ...] = ()
    """Empty also if Stripe was not asked for them."""
    pack: int | None = None
    """The number of units to which the amount applies (`transform_quantity`); None: one."""
    pack_rounds: str | None = None
    """`up` or `down`."""
    currency_options: Mapping[str, int | None] = field(default_factory=dict)
    """The unit amount in each currency, if Stripe was asked for them; None as for `unit_amount`."""


@dataclass(frozen=True, slots=True)
class StripeCard:
    """A saved payment method, with what a person recognises it by."""

    id: str
    brand: str
    last4: str
    type: str
    """`card`, or Stripe's name of another type."""


@dataclass(frozen=True, slots=True)
class StripeCustomer:
    """A customer; a deleted one has only its id."""

    id: str
    email: str | None
    name: str | None
    deleted: bool
    default_payment_method: str | None
    metadata: Mapping[str, str]
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    """Further values to show: the balance, and brand and last digits of the card if they were expanded."""


@dataclass(frozen=True, slots=True)
class StripeProduct:
    """A product, which is a plan in seatctl. `default_price` is an id."""

    id: str
    name: str
    active: bool
    default_price: str | None
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class StripeItem:
    """An item of a Stripe subscription; the period is the item's own."""

    id: str
    price: StripePrice
    quantity: int | None
    period_start: datetime
    period_end: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)
    created: int = 0
    """Unix seconds."""
    tax_rates: tuple[str, ...] = ()
    """The ids of the item's own tax rates, which take precedence over the subscription's."""

    @property
    def licensed(self) -> bool:
        """Whether it is billed by its quantity, which is a number of seats; metered items are not."""
        return self.price.usage_type == "licensed"


@dataclass(frozen=True, slots=True)
class StripeSubscription:
    """A Stripe subscription with its items in Stripe's order."""

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
    """Whether Stripe adds the tax of the customer's location to the invoices."""
    tax_turned_off: bool = False
    """Whether Stripe has turned automatic tax off: the address was missing when an invoice was finalized."""
    tax_rates: tuple[str, ...] = ()
    """The ids of the tax rates for items without their own."""
    discounts: tuple[str, ...] = ()
    """The ids of the discounts. An update that names any discounts replaces all of them."""
    pause: Pause | None = None
    """`pause_collection`: the status does not change, and invoices are not collected."""
    schedule: str | None = None
    """The id of a schedule. It resets the items at the beginning of each phase, despite earlier changes."""
    missing_payment_method: str = "create_invoice"
    """What the end of a trial without a payment method does: `create_invoice`, `pause` or `cancel`."""
    flexible: bool = True
    """The billing mode: flexible computes credits from what was billed, classic from the items."""
    payment_method_types: tuple[str, ...] = ()
    """The types of payment methods that it takes; empty: those of the account."""
    described_item: str | None = None
    """The item that its metadata describes, which may be gone; None if the ledger does not know."""


@dataclass(frozen=True, slots=True)
class StripePhase:
    """A phase of a subscription schedule: from `start` on the items have these seats, together."""

    start: datetime
    end: datetime
    seats: int


@dataclass(frozen=True, slots=True)
class StripeSchedule:
    """A subscription schedule with its phases in order."""

    id: str
    phases: tuple[StripePhase, ...]
    cancels: bool
    """Whether it ends the subscription after its last phase."""


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
    """Further values for `invoices show`: taxes, discounts, payments, the PDF, the billing address."""
    tax: int = 0
    """The taxes that are part of the total."""
    tax_status: str | None = None
    """As in `Preview`."""


@dataclass(frozen=True, slots=True)
class StripePayment:
    """A payment intent: one attempt to collect an invoice."""

    status: str
    """In Stripe's words: `processing` while a bank takes days."""
    type: str
    """The type of the payment method, empty if none was charged."""
    since: datetime
    """When the last charge was made, or the intent if there was none."""
    problem: str | None
    """Why the last charge failed, in Stripe's words."""

    @property
    def has_failed(self) -> bool:
        """Whether it was charged and failed, so that it waits for another payment method."""
        return self.status == "requires_payment_method" and self.problem is not None


@dataclass(frozen=True, slots=True)
class StripePage:
    """A page of Stripe Checkout, with the id of the subscription or setup intent that it created."""

    id: str
    status: str
    """`open`, `complete` or `expired`."""
    mode: str
    """`subscription`, or `setup` for a page that only saves a card."""
    url: str | None
    created_id: str | None


@dataclass(frozen=True, slots=True)
class Preview:
    """Stripe's preview of an invoice."""

    currency: str
    subtotal: int
    total: int
    amount_due: int
    lines: tuple[InvoiceLine, ...]
    discounts: tuple[int, ...] = ()
    """The amount of each discount. Discounts that do not apply (other currency or product) are missing."""
    carried_over: int = 0
    """An amount too small to be charged: it becomes a debit on the customer's balance, and is added to the
    next invoice."""
    tax_status: str | None = None
    """The status of Stripe's automatic tax: `complete`, or what is missing; None without automatic tax."""
    tax: int = 0
    """The taxes that are part of the total, added to the price or included in it."""

    @property
    def whole_total(self) -> int | None:
        """The total, None if it lacks a tax: then it is not to be shown as the price."""
        return self.total if self.tax_status in {None, "complete"} else None


class Kind(StrEnum):
    """The kinds of objects that the ledger mirrors, in the order in which they depend on each other."""

    PRODUCT = "product"
    PRICE = "price"
    CUSTOMER = "customer"
    SUBSCRIPTION = "subscription"
    INVOICE = "invoice"
    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class MirroredObject:
    """An object stored as Stripe's JSON. `parent`: a price's product, or a refund's or dispute's payment."""

    kind: Kind
    id: str
    created: int
    """Unix seconds."""
    parent: str | None
    data: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that could not be parsed; it is skipped, counted and shown."""

    kind: Kind
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """A product, price or draft that was deleted in Stripe."""

    kind: Kind
    id: str


Mirrored = MirroredObject | StripeCustomer | StripeInvoice | Unreadable | Gone
"""The result of reading one object of Stripe."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list that is still to be read: objects created from `first` to `last`, both inclusive.

    Unix seconds. `after` is the id of the last object that was read, if the part was begun.
    """

    first: int
    last: int
    after: str | None = None


@dataclass(frozen=True, slots=True)
class EventsRead:
    """The events of Stripe up to the newest one at a time, to tell later ones from them."""

    newest: int
    """Unix seconds, by Stripe's clock."""
    names: frozenset[str]
    """The ids of those events that were made in that second: others may follow in the same one."""

    def is_new(self, name: str, created: int) -> bool:
        """Whether an event may not have been among them."""
        return created >= self.newest and name not in self.names
