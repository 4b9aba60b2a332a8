"""Which plan a Stripe product is: one plan per product, at its current price. Pure.

Old prices are not plans, nor is a product without a recurring price that is billed by quantity.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from seatctl.models.plan import Interval, Plan, Policy
from seatctl.models.stripe_objects import StripePrice, StripeProduct
from seatctl.rules.adoption import slug_from_product, unique
from seatctl.rules.metadata import SLUG
from seatctl.rules.policies import BadPolicy, from_metadata


def new_plan(
    product: StripeProduct,
    prices: Sequence[StripePrice],
    is_taken: Callable[[str], bool],
    *,
    in_use: bool = False,
) -> Plan | None:
    """Return the plan for a product, or None if it is not one. `prices` are the product's, oldest first.

    `in_use`: subscriptions are billed by it, so it becomes a plan even if it is no longer sold.
    """
    slug = product.metadata.get(SLUG)
    price = current_price(product, prices, slug, None)
    if price is None or not (price.active or in_use):
        return None
    wanted = slug_from_product(slug, price.lookup_key, product.name)
    return Plan(
        id=0,
        slug=unique(wanted, is_taken),
        name=product.name,
        product_id=product.id,
        price_id=price.id,
        currency=price.currency,
        unit_amount=price.unit_amount or 0,
        interval=price.interval or Interval.MONTH,
        interval_count=price.interval_count,
        policy=policy_of(product),
        active=product.active and price.active,
    )


def as_in_stripe(plan: Plan, product: StripeProduct, prices: Sequence[StripePrice]) -> Plan:
    """Return a known plan with Stripe's current values. The slug stays, because people type it."""
    price = current_price(product, prices, plan.slug, plan.price_id)
    updated = replace(
        plan, name=product.name, active=product.active, policy=policy_of(product) or plan.policy
    )
    if price is None:
        return replace(updated, active=False)
    return replace(
        updated,
        price_id=price.id,
        currency=price.currency,
        unit_amount=price.unit_amount or 0,
        interval=price.interval or Interval.MONTH,
        interval_count=price.interval_count,
        active=product.active and price.active,
    )


def current_price(
    product: StripeProduct, prices: Sequence[StripePrice], slug: str | None, known: str | None
) -> StripePrice | None:
    """Return the price at which a product is sold now.

    Active prices come first; among them the price with the slug as lookup key, then the product's default,
    the known one, the newest with a lookup key, and the newest.
    """
    sold = [price for price in prices if price.interval is not None and price.usage_type == "licensed"]

    def rank(place: int) -> tuple[bool, bool, bool, bool, bool, int]:
        price = sold[place]
        return (
            price.active,
            slug is not None and price.lookup_key == slug,
            price.id == product.default_price,
            price.id == known,
            price.lookup_key is not None,
            place,
        )

    best = max(range(len(sold)), key=rank, default=None)
    return None if best is None else sold[best]


def policy_of(product: StripeProduct) -> Policy | None:
    """Return the policy in the product's metadata; None if there is none or it is not valid."""
    try:
        return from_metadata(product.metadata)
    except BadPolicy:
        return None
