"""The order of a subscription."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Order:
    """The order of `subs buy`: paid by card, with another subscription, on a hosted page, or by invoice."""

    plan: str
    seats: int
    name: str
    owner: str | None
    billing_email: str | None
    billing_name: str | None
    payment_method: str | None
    """A saved `pm_…` or a token `tok_…`; never a card number."""
    bill_to: str | None
    """A subscription whose customer and card also pay for this one."""
    max_spend: str | None
    """The most that may be charged now, as typed, in the plan's currency."""
    request_id: str | None
    checkout: bool = False
    """Paid on Stripe's hosted page, with a card that is entered there."""
    due_days: int | None = None
    """On account: days until the invoice is due. None: paid immediately."""
    discounts: tuple[tuple[str, str], ...] = ()
    """(`coupon` or `promotion_code`, its id)."""
    address: tuple[tuple[str, str], ...] = ()
    """The address of the new customer, as (Stripe's field name, text). Automatic tax needs one."""
    automatic_tax: bool = False
    """Whether Stripe adds the tax of the customer's location."""
