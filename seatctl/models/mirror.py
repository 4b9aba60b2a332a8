"""Stripe's objects as a sync reads them: which kinds there are, and one object as it came."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from seatctl.errors import JsonValue
from seatctl.models.stripe_objects import StripeCustomer, StripeInvoice


class Kind(StrEnum):
    """The objects that the ledger mirrors, in the order in which they rely on each other."""

    PRODUCT = "product"
    PRICE = "price"
    CUSTOMER = "customer"
    SUBSCRIPTION = "subscription"
    INVOICE = "invoice"
    REFUND = "refund"
    DISPUTE = "dispute"


@dataclass(frozen=True, slots=True)
class MirroredObject:
    """An object kept as Stripe's JSON. `parent`: a price's product, a refund's or dispute's payment."""

    kind: Kind
    id: str
    created: int
    """Unix seconds."""
    parent: str | None
    data: dict[str, JsonValue]


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An object that could not be read; it is skipped, counted and shown."""

    kind: Kind
    id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Gone:
    """An object that Stripe no longer has: a deleted product, price or draft."""

    kind: Kind
    id: str


Mirrored = MirroredObject | StripeCustomer | StripeInvoice | Unreadable | Gone
"""What one object of Stripe became."""


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a list that is still to be read: objects created from `first` to `last`, both included.

    Unix seconds; `after` is the id of the last one that was read, where the part is under way.
    """

    first: int
    last: int
    after: str | None = None
