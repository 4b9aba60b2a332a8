"""A purchase as it is asked for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """What `subs buy` asks for. One of a card, another subscription, a hosted page, or an invoice pays."""

    plan: str
    seats: int
    name: str
    owner: str | None
    billing_email: str | None
    billing_name: str | None
    payment_method: str | None
    """A saved `pm_…` or a token `tok_…`; never a card number."""
    bill_to: str | None
    """A subscription whose customer and card pay for this one too."""
    max_spend: str | None
    """The most that may be charged now, as typed, in the plan's currency."""
    request_id: str | None
    checkout: bool = False
    """Paid on Stripe's hosted page, by a card that is typed there."""
    due_days: int | None = None
    """On account: days until the invoice is due. None is paid at once."""
    discounts: tuple[tuple[str, str], ...] = ()
    """(`coupon` or `promotion_code`, its id)."""
    address: tuple[tuple[str, str], ...] = ()
    """(part, text) under Stripe's names: of the customer who is made for it. Automatic tax needs one."""
    automatic_tax: bool = False
    """Whether Stripe adds the tax of the customer's place."""
