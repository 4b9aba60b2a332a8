"""Plans from Stripe's products and prices, as the mirror keeps them; changes of plans are audited."""

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
from seatctl.rules.plan_mirror import as_in_stripe, new_plan


def without_product(reader: Reader) -> list[str]:
    """The products of plans on sale that the mirror does not hold: deleted in Stripe, or not told of yet."""
    sold = [plan.product_id for plan in plans.listing(reader, archived=False)]
    return [product for product in sold if stripe_objects.get(reader, product) is None]


def mirror_plans(tx: Transaction, gone: Iterable[str], but: frozenset[str]) -> int:
    """Bring every plan to what its product is in Stripe; how many were added or changed.

    `gone`: products that Stripe has deleted; their plans are no longer sold. `but`: slugs that an operation
    under way is changing; its own end takes Stripe's word over.
    """
    count = 0
    for stored in stripe_objects.listing(tx, Kind.PRODUCT):
        product = read_product(stored.data)
        known = find(tx, product.id)
        prices = _prices(tx, product.id)
        if known is None:
            made = new_plan(product, prices, lambda slug: plans.exists(tx, slug) or slug in but)
            count += int(made is not None and plans.add(tx, made) is not None)
        elif known.slug not in but:
            count += int(_save(tx, known, as_in_stripe(known, product, prices)))
    for product_id in gone:
        known = find(tx, product_id)
        if known is not None and known.slug not in but:
            count += int(_save(tx, known, replace(known, active=False)))
    return count


def plan_for(tx: Transaction, price: StripePrice) -> Plan:
    """The plan of a price that a subscription is billed by; made where nothing of it is sold any more."""
    known = find(tx, price.product_id)
    if known is not None:
        return known
    stored = stripe_objects.get(tx, price.product_id)
    product = (
        StripeProduct(price.product_id, price.lookup_key or price.product_id, False, None, {})
        if stored is None
        else read_product(stored.data)
    )
    # Only the price at hand says by what it is billed, where the product's own are not known.
    prices = [one for one in _prices(tx, product.id) if one.usage_type == "licensed"] or [price]
    made = new_plan(product, prices, lambda slug: plans.exists(tx, slug), in_use=True)
    if made is None:
        made = new_plan(product, [price], lambda slug: plans.exists(tx, slug), in_use=True)
    if made is None:
        raise UnreadableObject(f"price {price.id} is not a recurring one")
    return plans.add(tx, made)


def find(reader: Reader, product_id: str) -> Plan | None:
    """The plan of a product, None where there is none."""
    try:
        return plans.find(reader, product_id)
    except plans.UnknownPlan:
        return None


def _prices(reader: Reader, product_id: str) -> list[StripePrice]:
    return [read_price(stored.data) for stored in stripe_objects.prices_of(reader, product_id)]


def _save(tx: Transaction, before: Plan, after: Plan) -> bool:
    plans.save(tx, before, after)
    return before != after
