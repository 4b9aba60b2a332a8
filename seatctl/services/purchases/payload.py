"""What every purchase stores, by whichever way it is paid."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.models.plan import Policy
from seatctl.services.charging.customer import PayerPayload


@dataclass(frozen=True, slots=True, kw_only=True)
class PurchasePayload(PayerPayload):
    """A purchase, by whichever way it is paid."""

    name: str
    owner: str | None = None
    """An e-mail."""
    seats: int
    plan_id: int
    price: str
    """The plan's price in Stripe."""
    currency: str
    policy: Policy | None = None
    discounts: tuple[JsonValue, ...] = ()
    """In Stripe's words."""
    automatic_tax: bool = False
    card: str | None = None
    """The card of the subscription whose customer pays; None: the customer's default."""
    due_days: int | None = None
    """Days until an invoice on account is due; None charges the card."""
