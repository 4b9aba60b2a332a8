"""Which plan a Stripe product is: one plan a product, at its current price. Pure.

Old prices make no plan; a product without a recurring price billed by quantity makes none either.
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
    """The plan that a product becomes, None where it is none. `prices` are the product's, oldest first.

    `in_use`: subscriptions are billed by it, so that it is a plan even where nothing of it is sold any more.
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
    """A known plan as Stripe has it now. Its slug stays: people type it."""
    price = current_price(product, prices, plan.slug, plan.price_id)
    found = replace(plan, name=product.name, active=product.active, policy=policy_of(product) or plan.policy)
    if price is None:
        return replace(found, active=False)
    return replace(
        found,
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
    """The price at which a product is sold now.

    The holder of the slug as lookup key, else the product's default, else the one known, else the newest
    that has a lookup key, else the newest; an active one before any that is not.
    """
    sold = [one for one in prices if one.interval is not None and one.usage_type == "licensed"]

    def rank(place: int) -> tuple[bool, bool, bool, bool, bool, int]:
        one = sold[place]
        return (
            one.active,
            slug is not None and one.lookup_key == slug,
            one.id == product.default_price,
            one.id == known,
            one.lookup_key is not None,
            place,
        )

    best = max(range(len(sold)), key=rank, default=None)
    return None if best is None else sold[best]


def policy_of(product: StripeProduct) -> Policy | None:
    """The policy that the product's metadata holds; None where there is none, or none that can be."""
    try:
        return from_metadata(product.metadata)
    except BadPolicy:
        return None
