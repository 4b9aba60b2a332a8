"""Objects of the mirror of Stripe, as a sync reads and stores them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from seatctl.errors import JsonValue
from seatctl.models.stripe_objects import StripeCustomer, StripeInvoice


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
