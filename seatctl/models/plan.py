"""Plans and their policies: what is sold, and under which rules."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Interval(StrEnum):
    """Stripe's billing intervals."""

    DAY = "day"
    WEEK = "week"
    MONTH = "month"
    YEAR = "year"


class Increase(StrEnum):
    """How added seats are paid for."""

    PRORATE_NOW = "prorate_now"
    PRORATE_NEXT_INVOICE = "prorate_next_invoice"
    FULL_PRICE = "full_price"


class Decrease(StrEnum):
    """When the number of seats can be reduced."""

    NOW = "now"
    AT_RENEWAL = "at_renewal"
    RENEWAL_WINDOW = "renewal_window"


class PlanChange(StrEnum):
    """When the plan can be changed."""

    ANYTIME = "anytime"
    RENEWAL_WINDOW = "renewal_window"


class Renewal(StrEnum):
    """Whether a term renews automatically."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"


class Discounts(StrEnum):
    """When a discount is allowed."""

    ANYTIME = "anytime"
    PURCHASE_AND_RENEWAL = "purchase_and_renewal"


class OnAccount(StrEnum):
    """Whether seats can be paid by invoice; `purchase_and_renewal` excludes seats added within a term."""

    YES = "yes"
    NO = "no"
    PURCHASE_AND_RENEWAL = "purchase_and_renewal"


class TrialWithoutCard(StrEnum):
    """Whether a trial may begin without a card, and what its end without one does."""

    NO = "no"
    PAUSE = "pause"
    CANCEL = "cancel"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of a plan; the defaults are those of the preset `flexible` (rules/policies.py)."""

    pack_size: int = 1
    min_seats: int = 1
    max_seats: int | None = None
    increase: Increase = Increase.PRORATE_NOW
    decrease: Decrease = Decrease.AT_RENEWAL
    plan_change: PlanChange = PlanChange.ANYTIME
    renewal: Renewal = Renewal.AUTOMATIC
    renewal_window_days: int = 30
    addon_cutoff_days: int = 0
    lock_price: bool = False
    discounts: Discounts = Discounts.ANYTIME
    on_account: OnAccount = OnAccount.YES
    payment_methods: tuple[str, ...] = ("any",)
    """The types of payment methods that are taken, in Stripe's words; `any`: what the account allows."""
    seats_while_processing: bool = False
    """Whether new seats are usable while a bank processes their payment for days."""
    trial_days: int = 0
    """The days of a free trial with which a purchase begins; 0: none."""
    trial_without_card: TrialWithoutCard = TrialWithoutCard.NO
    grace_days: int = 7
    features: tuple[str, ...] = ()
    sign_in_url: str | None = None
    support_contact: str | None = None
    """The contact for decisions that the policy leaves open, such as fewer seats within a term."""


@dataclass(frozen=True, slots=True)
class Plan:
    """A Stripe product with its current price; `unit_amount` is in minor units per seat and interval."""

    id: int
    slug: str
    name: str
    product_id: str
    price_id: str
    currency: str
    unit_amount: int
    interval: Interval
    interval_count: int
    policy: Policy | None
    """None: adopted from Stripe without a policy; purchases are refused until `plans edit` sets one."""
    active: bool = True


class TaxBehavior(StrEnum):
    """Whether the tax is added to a price or is part of it."""

    EXCLUSIVE = "exclusive"
    INCLUSIVE = "inclusive"


@dataclass(frozen=True, slots=True)
class PlanTax:
    """How Stripe taxes a plan; None: as the account is set, or as it is already."""

    behavior: TaxBehavior | None = None
    code: str | None = None
    """Stripe's code of what is sold, `txcd_…`."""


@dataclass(frozen=True, slots=True)
class PlanSpec:
    """A plan to be created, before it has ids from Stripe; `unit_amount` in minor units."""

    slug: str
    name: str
    currency: str
    unit_amount: int
    interval: Interval
    interval_count: int
    policy: Policy
    tax: PlanTax = PlanTax()
