"""Subscription items: built with a subscription, and the endpoints that change one of them."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.api.errors import ApiError, invalid, missing_param
from seatctl.sandbox.api.lists import listing
from seatctl.sandbox.api.session import Session
from seatctl.sandbox.api.views import items_of, public, view
from seatctl.sandbox.resources import prices
from seatctl.sandbox.wire import Obj, merge_metadata, new_id


def check_new(session: Session, wanted: list[Obj]) -> list[Obj]:
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
        made = prices.inline(session, wanted["price_data"], f"{param}[price_data]")
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


def build(session: Session, subscription: Obj, price: Obj, wanted: Obj, period: tuple[int, int]) -> Obj:
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
        "plan": prices.plan(price),
        "price": public(price),
        "quantity": wanted.get("quantity", 1),
        "subscription": subscription["id"],
        "tax_rates": [],
        "_billed": [],
    }


def set_price(item: Obj, price: Obj) -> None:
    """Give an item another price."""
    item["price"] = public(price)
    item["plan"] = prices.plan(price)


def _find(session: Session, identifier: str) -> Obj:
    found = session.store.get("subscription_item", identifier)
    if found is None:
        raise invalid(f"Invalid subscription_item id: {identifier}", status=404)
    return found


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscription_items: the item takes the running period."""
    subscription = session.find("subscription", params["subscription"], "subscription")
    known = {item["id"] for item in items_of(session, subscription["id"])}
    _changed(session, subscription, {**_change(params), "items": [_item(params)]})
    made = next(item for item in items_of(session, subscription["id"]) if item["id"] not in known)
    return view(session, made)


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/subscription_items/ID."""
    item = _find(session, identifier)
    subscription = session.find("subscription", item["subscription"], "subscription")
    _changed(session, subscription, {**_change(params), "items": [{**_item(params), "id": identifier}]})
    return view(session, _find(session, identifier))


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/subscription_items/ID; the last one stays."""
    item = _find(session, identifier)
    subscription = session.find("subscription", item["subscription"], "subscription")
    _changed(session, subscription, {**_change(params), "items": [{"id": identifier, "deleted": True}]})
    return {"id": identifier, "object": "subscription_item", "deleted": True}


def _changed(session: Session, subscription: Obj, params: Obj) -> None:
    """Change one item; a refusal names its parameters as this endpoint has them."""
    from seatctl.sandbox.resources.subscription_update import change

    try:
        change(session, subscription, params)
    except ApiError as error:
        head, _, rest = (error.param or "").removeprefix("items[0][").partition("]")
        if error.param and error.param.startswith("items[0]["):
            error.message = error.message.replace(f"param: {error.param}.", f"param: {head}{rest}.")
            error.param = head + rest
        raise


def _change(params: Obj) -> Obj:
    names = ("payment_behavior", "proration_behavior", "proration_date")
    return {name: params[name] for name in names if name in params}


def _item(params: Obj) -> Obj:
    names = ("price", "plan", "price_data", "quantity", "metadata")
    return {name: params[name] for name in names if name in params}


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/subscription_items/ID."""
    return view(session, _find(session, identifier))


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/subscription_items: oldest first, unlike other lists; the url keeps the query."""
    subscription: Any = params["subscription"]
    session.find("subscription", subscription, "subscription")
    url = f"/v1/subscription_items?subscription={subscription}"
    return listing(session, "subscription_item", params, url, parent=subscription, oldest_first=True)
