"""Applies Stripe's products and prices, as the mirror has them, to plans."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from seatctl.billing.objects import UnreadableObject, read_price, read_product
from seatctl.ledger import plans
from seatctl.ledger.mirror import stripe_objects
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.mirror import Kind
from seatctl.models.plan import Plan
from seatctl.models.stripe_objects import StripePrice, StripeProduct
from seatctl.rules.adoption import as_in_stripe, new_plan


def products_not_stored(reader: Reader) -> list[str]:
    """The products of plans on sale that the mirror does not have: deleted in Stripe, or not read yet."""
    sold = [plan.product_id for plan in plans.listing(reader, archived=False)]
    return [product for product in sold if stripe_objects.get(reader, product) is None]


def apply_plans(tx: Transaction, deleted: Iterable[str], editing: frozenset[str]) -> int:
    """Make every plan what its product is in Stripe; return how many were added or changed.

    `deleted`: products that Stripe has deleted; their plans are no longer sold. `editing`: the slugs of plans
    with an open operation, whose own end applies what Stripe has.
    """
    count = 0
    for stored in stripe_objects.listing(tx, Kind.PRODUCT):
        product = read_product(stored.data)
        plan = plan_of_product(tx, product.id)
        prices = _prices(tx, product.id)
        if plan is None:
            added = new_plan(product, prices, lambda slug: plans.exists(tx, slug) or slug in editing)
            count += int(added is not None and plans.add(tx, added) is not None)
        elif plan.slug not in editing:
            count += int(_save(tx, plan, as_in_stripe(plan, product, prices)))
    for product_id in deleted:
        plan = plan_of_product(tx, product_id)
        if plan is not None and plan.slug not in editing:
            count += int(_save(tx, plan, replace(plan, active=False)))
    return count


def plan_for(tx: Transaction, price: StripePrice) -> Plan:
    """The plan of a price that bills a subscription; added if its product is not sold any more."""
    plan = plan_of_product(tx, price.product_id)
    if plan is not None:
        return plan
    stored = stripe_objects.get(tx, price.product_id)
    product = (
        StripeProduct(price.product_id, price.lookup_key or price.product_id, False, None, {})
        if stored is None
        else read_product(stored.data)
    )
    # If the prices of the product are not stored, this price alone says how the plan is billed.
    prices = [one for one in _prices(tx, product.id) if one.usage_type == "licensed"] or [price]
    added = new_plan(product, prices, lambda slug: plans.exists(tx, slug), in_use=True)
    if added is None:
        added = new_plan(product, [price], lambda slug: plans.exists(tx, slug), in_use=True)
    if added is None:
        raise UnreadableObject(f"price {price.id} is not a recurring price")
    return plans.add(tx, added)


def plan_of_product(reader: Reader, product_id: str) -> Plan | None:
    """The plan of a product, or None."""
    try:
        return plans.find(reader, product_id)
    except plans.UnknownPlan:
        return None


def _prices(reader: Reader, product_id: str) -> list[StripePrice]:
    return [read_price(stored.data) for stored in stripe_objects.prices_of(reader, product_id)]


def _save(tx: Transaction, before: Plan, after: Plan) -> bool:
    plans.save(tx, before, after)
    return before != after
