"""Items of a subscription: checking the prices that a request names, and building an item."""

from __future__ import annotations

from seatctl.sandbox.billing import catalog
from seatctl.sandbox.errors import check_not_negative, invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, new_object, public
from seatctl.sandbox.session import Session


def prices_of_new_items(session: Session, entries: list[Obj]) -> list[Obj]:
    """Return the prices of a new subscription's items, which the entries of a request name."""
    prices = [price_of(session, entry, f"items[{position}]") for position, entry in enumerate(entries)]
    check_prices(prices)
    return prices


def check_prices(prices: list[Obj]) -> None:
    """Refuse a price that is there twice, and prices of different currencies."""
    seen: set[str] = set()
    for price in prices:
        if price["id"] in seen:
            message = "Cannot create a Subscription with multiple Subscription Items with the same Price: "
            raise invalid(message + price["id"], "plan")
        seen.add(price["id"])
    if len({price["currency"] for price in prices}) > 1:
        raise invalid("Price currencies must match across all subscription items.", "items")


def price_of(session: Session, entry: Obj, param: str) -> Obj:
    """Return the active, recurring price that an entry names by its id or describes as `price_data`."""
    check_not_negative(entry.get("quantity", 1), f"{param}[quantity]")
    if entry.get("price_data"):
        inline = catalog.create_inline_price(session, entry["price_data"], f"{param}[price_data]")
        return session.find("price", inline["id"], None)
    name = "plan" if "plan" in entry and "price" not in entry else "price"
    if not entry.get(name):
        raise missing_param(f"{param}[price]")
    price = session.find("price", entry[name], f"{param}[{name}]")
    refusal = ""
    if not price["active"]:
        refusal = "The price specified is inactive. This field only accepts active prices."
    elif price["billing_scheme"] == "tiered" or price["transform_quantity"]:
        refusal = "The sandbox takes tiered and packed prices, but does not bill them."
    elif price["recurring"] is None:
        refusal = catalog.wrong_type("one_time", "recurring")
    if refusal:
        raise invalid(refusal, f"{param}[{name}]")
    return price


def build_item(session: Session, subscription: Obj, price: Obj, entry: Obj, period: tuple[int, int]) -> Obj:
    """Return a new item for `period`; not yet written."""
    return new_object(
        "subscription_item",
        f"si_{new_id('x')[2:16]}",
        null="billing_thresholds current_trial",
        empty="discounts tax_rates _billed",
        created=session.now,
        current_period_end=period[1],
        current_period_start=period[0],
        metadata=merge_metadata({}, entry.get("metadata")),
        plan=catalog.legacy_plan(price),
        price=public(price),
        quantity=entry.get("quantity", 1),
        subscription=subscription["id"],
    )


def set_price(item: Obj, price: Obj) -> None:
    """Set the price of an item."""
    item["price"] = public(price)
    item["plan"] = catalog.legacy_plan(price)
