"""Subscription items: check the prices that a request names, and build an item of one."""

from __future__ import annotations

from seatctl.sandbox.billing import catalog
from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import public


def prices_of_new_items(session: Session, wanted: list[Obj]) -> list[Obj]:
    """The prices of a new subscription's items: each there once, active, recurring, of one interval."""
    found = [price_of(session, each, f"items[{place}]") for place, each in enumerate(wanted)]
    check_prices(found)
    return found


def check_prices(found: list[Obj]) -> None:
    """No price twice, one currency, one interval."""
    seen: set[str] = set()
    for price in found:
        if price["id"] in seen:
            message = "Cannot create a Subscription with multiple Subscription Items with the same Price: "
            raise invalid(message + price["id"], "plan")
        seen.add(price["id"])
    if len({price["currency"] for price in found}) > 1:
        raise invalid("Price currencies must match across all subscription items.", "items")


def price_of(session: Session, wanted: Obj, param: str) -> Obj:
    """The price an item asks for: by id, or made from inline data."""
    if wanted.get("quantity", 1) < 0:
        raise invalid("Invalid non-negative integer", f"{param}[quantity]", code="parameter_invalid_integer")
    if wanted.get("price_data"):
        made = catalog.create_inline_price(session, wanted["price_data"], f"{param}[price_data]")
        return session.find("price", made["id"], None)
    name = "plan" if "plan" in wanted and "price" not in wanted else "price"
    if not wanted.get(name):
        raise missing_param(f"{param}[price]")
    price = session.find("price", wanted[name], f"{param}[{name}]")
    if not price["active"]:
        raise invalid(
            "The price specified is inactive. This field only accepts active prices.", f"{param}[{name}]"
        )
    if price["billing_scheme"] == "tiered" or price["transform_quantity"]:
        raise invalid(
            "The sandbox takes tiered and packed prices, but does not bill them.", f"{param}[{name}]"
        )
    if price["recurring"] is None:
        message = (
            "The price specified is set to `type=one_time` but this field only accepts prices with "
            "`type=recurring`."
        )
        raise invalid(message, f"{param}[{name}]")
    return price


def build_item(session: Session, subscription: Obj, price: Obj, wanted: Obj, period: tuple[int, int]) -> Obj:
    """A new item for `period`; not yet written."""
    return {
        "id": f"si_{new_id('x')[2:16]}",
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": session.now,
        "current_period_end": period[1],
        "current_period_start": period[0],
        "current_trial": None,
        "discounts": [],
        "metadata": merge_metadata({}, wanted.get("metadata")),
        "plan": catalog.legacy_plan(price),
        "price": public(price),
        "quantity": wanted.get("quantity", 1),
        "subscription": subscription["id"],
        "tax_rates": [],
        "_billed": [],
    }


def set_price(item: Obj, price: Obj) -> None:
    """Give an item another price."""
    item["price"] = public(price)
    item["plan"] = catalog.legacy_plan(price)
