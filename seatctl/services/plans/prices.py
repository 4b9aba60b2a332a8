"""The prices of plans in Stripe: shown as they are, in each currency, and refused if seats cannot be bought.

The ledger holds 0 for a price that is not one amount per seat; what it says is in the mirror.
"""

from __future__ import annotations

from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.objects import in_currency, read_price
from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.mirror import stripe_objects
from seatctl.ledger.transaction import Reader
from seatctl.models.plan import Plan
from seatctl.models.report import Record
from seatctl.models.stripe_objects import Kind, StripePrice, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules import hints
from seatctl.rules.prices import kind_of_price, price_sentences
from seatctl.rules.purchases import check_currency
from seatctl.services.plans.spec import plan_row


def mirrored_price(reader: Reader, price_id: str) -> StripePrice | None:
    """Return a price as the last sync has read it, None if it has not."""
    stored = stripe_objects.get(reader, price_id)
    return None if stored is None or stored.kind is not Kind.PRICE else read_price(stored.data)


def shown_amount(reader: Reader, price_id: str, amount: int) -> int | None:
    """Return what a seat costs, or None if the price is not one amount per seat."""
    price = None if amount else mirrored_price(reader, price_id)
    return amount if price is None else price.unit_amount


def priced(reader: Reader, row: Record, subscription: Subscription) -> Record:
    """Return a row of a subscription: without an amount if its price is not one amount per seat."""
    if subscription.unit_amount:
        return row
    return {**row, "unit_amount": shown_amount(reader, subscription.price_id, 0)}


def priced_row(reader: Reader, plan: Plan) -> Record:
    """Return a plan as a row of a list: without an amount if its price is not one amount per seat."""
    return {**plan_row(plan), "unit_amount": shown_amount(reader, plan.price_id, plan.unit_amount)}


def priced_page(reader: Reader, plan: Plan) -> Record:
    """Return a plan as a row, with what its price says beyond one amount."""
    price, row = mirrored_price(reader, plan.price_id), priced_row(reader, plan)
    others: dict[str, JsonValue] = {} if price is None else {**price.currency_options}
    return {
        **row,
        "currency_options": {plan.currency: row["unit_amount"], **others},
        "pricing": [] if price is None else [*price_sentences(price)],
    }


def require_seat_price(billing: Billing, plan: Plan) -> None:
    """Raise `no_unit_price` if the plan's price depends on the number of seats: tiers, volumes, packs."""
    if not plan.unit_amount:
        check_seat_price(plan.slug, read_price(billing.read(endpoints.price(plan.price_id))))


def check_seat_price(plan: str, price: StripePrice) -> None:
    """Raise `no_unit_price` if a price depends on the number of seats."""
    if price.tiers_mode is not None or price.pack is not None:
        raise no_unit_price(plan, price)


def no_unit_price(plan: str, price: StripePrice, name: str | None = None) -> SeatctlError:
    """Return the refusal of a purchase at a price that is not one amount per seat."""
    return refuse(
        Code.NO_UNIT_PRICE,
        f"the price of {plan} is {kind_of_price(price)}, so a number of seats cannot be bought at it here",
        hint=hints.command("plans", "show", plan),
        data={"plan": plan, "price": price.id, **({"subscription": name} if name else {})},
    )


def in_currency_of(reader: Reader, plan: Plan, wanted: str | None) -> tuple[Plan, str | None]:
    """Return the plan as it is sold in a currency, and the currency to name to Stripe, if it has several.

    Stripe would choose one by the customer or, on its page, by the country. Raises `plan_currency`.
    """
    price = mirrored_price(reader, plan.price_id)
    others = set() if price is None else {*price.currency_options} - {plan.currency}
    if wanted is None:
        return plan, plan.currency if others else None
    sold = sold_in(reader, plan, check_currency(wanted))
    if sold.currency != wanted.lower():
        raise refuse(
            Code.PLAN_CURRENCY,
            f"plan {plan.slug} is sold in {', '.join(sorted({plan.currency, *others})).upper()}, not in "
            f"{wanted.upper()}",
            hint=hints.command("plans", "show", plan.slug),
            data={"plan": plan.slug, "currencies": [*sorted({plan.currency, *others})]},
        )
    return sold, sold.currency if others else None


def sold_in(reader: Reader, plan: Plan, currency: str) -> Plan:
    """Return the plan as it is sold in a currency; unchanged if it is not sold in it."""
    if plan.currency == currency:
        return plan
    price = mirrored_price(reader, plan.price_id)
    amount = None if price is None else price.currency_options.get(currency)
    return plan if amount is None else replace(plan, currency=currency, unit_amount=amount)


def with_amounts(reader: Reader, subscription: StripeSubscription) -> StripeSubscription:
    """Return a Stripe subscription whose prices say what a seat costs in its currency.

    Stripe shows the price of an item in the price's own currency; the mirror has the others.
    """
    if all(item.price.unit_amount is not None for item in subscription.items):
        return subscription
    items = []
    for item in subscription.items:
        price = item.price if item.price.unit_amount is not None else mirrored_price(reader, item.price.id)
        items.append(item if price is None else replace(item, price=in_currency(price, item.price.currency)))
    return replace(subscription, items=tuple(items))
