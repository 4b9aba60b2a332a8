"""Prices and their lookup keys; a key has one holder."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.api.errors import invalid, missing_param, only_one
from seatctl.sandbox.api.lists import listing, matches
from seatctl.sandbox.api.session import Session, changed
from seatctl.sandbox.api.views import view
from seatctl.sandbox.wire import Obj, merge_metadata, new_id, unset


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/prices."""
    if "product" in params and "product_data" in params:
        raise only_one("product", "product_data")
    if "product" not in params and "product_data" not in params:
        raise invalid("You must specify either `product` or `product_data` when creating a price.")
    _check(session, params)
    if "product_data" in params:
        from seatctl.sandbox.resources.products import create as create_product

        product = create_product(session, params["product_data"])
        params = {**params, "product": product["id"]}
    return make(session, params)


def _check(session: Session, params: Obj) -> None:
    if "product" in params:
        session.find("product", params["product"], "product")
    recurring = params.get("recurring")
    if params.get("billing_scheme") == "tiered":
        if not recurring:
            raise invalid("Prices with `type=one_time` are not supported with tiered billing.", "interval")
        if not params.get("tiers"):
            raise missing_param("tiers")
    elif not {"unit_amount", "unit_amount_decimal", "custom_unit_amount"} & set(params):
        raise invalid("Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.")
    if recurring and recurring.get("usage_type") == "metered" and not recurring.get("meter"):
        version = "2025-03-31.basil"
        raise invalid(f"Starting with Stripe version `{version}`, metered prices must be backed by meters.")
    if params.get("unit_amount", 0) < 0:
        raise invalid("Invalid non-negative integer", "unit_amount", code="parameter_invalid_integer")


def inline(session: Session, data: Obj, param: str) -> Obj:
    """A price from `price_data`, for one use; some endpoints also make its product."""
    if data.get("product_data"):
        from seatctl.sandbox.resources.products import create as create_product

        data = {**data, "product": create_product(session, data["product_data"])["id"]}
    elif not data.get("product"):
        raise missing_param(f"{param}[product]")
    session.find("product", data["product"], f"{param}[product]")
    if not {"unit_amount", "unit_amount_decimal"} & set(data):
        raise missing_param(f"{param}[unit_amount]")
    return make(session, data, active=False)


def make(session: Session, params: Obj, *, active: bool = True) -> Obj:
    """A price from checked parameters; also for `default_price_data` and inline `price_data`."""
    recurring = params.get("recurring")
    whole, decimal = amounts(params)
    price: Obj = {
        "id": new_id("price"),
        "object": "price",
        "active": params.get("active", active),
        "billing_scheme": params.get("billing_scheme", "per_unit"),
        "created": session.now,
        "currency": params["currency"].lower(),
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": merge_metadata({}, params.get("metadata")),
        "nickname": params.get("nickname"),
        "product": params["product"],
        "recurring": recurring and _recurring(recurring),
        "tax_behavior": params.get("tax_behavior", "unspecified"),
        "tiers_mode": params.get("tiers_mode"),
        "transform_quantity": params.get("transform_quantity"),
        "type": "recurring" if recurring else "one_time",
        "unit_amount": whole,
        "unit_amount_decimal": decimal,
        "_tiers": [_tier(each) for each in params.get("tiers") or []],
        "_options": params.get("currency_options") or {},
    }
    if params.get("lookup_key"):
        _take_key(session, price, params)
    session.save(price, parent=price["product"])
    session.emit("price.created", view(session, price))
    return view(session, price)


def _tier(sent: Obj) -> Obj:
    """A tier as `expand[]=tiers` shows it; the last one has no end."""
    whole, decimal = amounts(sent)
    flat, flat_decimal = amounts(sent, "flat_")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": flat_decimal,
        "unit_amount": whole,
        "unit_amount_decimal": decimal,
        "up_to": None if sent["up_to"] == "inf" else int(sent["up_to"]),
    }


def options(price: Obj) -> Obj:
    """What it costs in each currency, as `expand[]=currency_options` shows it."""
    known = {**price.get("_options", {}), price["currency"]: price}
    shown: Obj = {}
    for currency, sent in known.items():
        whole, decimal = amounts(sent)
        shown[currency] = {
            "custom_unit_amount": None,
            "tax_behavior": sent.get("tax_behavior", "unspecified"),
            "unit_amount": whole,
            "unit_amount_decimal": decimal,
        }
    return shown


def amounts(params: Obj, unit: str = "unit_") -> tuple[int | None, str | None]:
    """`unit_amount` and `unit_amount_decimal`: a fraction leaves the whole number null."""
    whole = params.get(f"{unit}amount")
    if whole is not None:
        return whole, str(whole)
    decimal = params.get(f"{unit}amount_decimal")
    if decimal is None:
        return None, None
    text = str(decimal)
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return (int(text) if "." not in text else None), text


def _recurring(sent: Obj) -> Obj:
    return {
        "interval": sent["interval"],
        "interval_count": sent.get("interval_count", 1),
        "meter": sent.get("meter"),
        "trial_period_days": sent.get("trial_period_days"),
        "usage_type": sent.get("usage_type", "licensed"),
    }


def _take_key(session: Session, price: Obj, params: Obj) -> None:
    key = params["lookup_key"]
    holder = next((other for other in session.store.walk("price") if other["lookup_key"] == key), None)
    if holder is not None and holder["id"] != price["id"]:
        if not params.get("transfer_lookup_key"):
            raise invalid(f"A price (`{holder['id']}`) already uses that lookup key.", "lookup_key")
        before = view(session, holder)
        holder = {**holder, "lookup_key": None}
        session.save(holder)
        session.emit("price.updated", view(session, holder), before)
    price["lookup_key"] = key


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/prices/ID."""
    return view(session, session.find("price", identifier, "price", status=404))


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/prices/ID: what it costs never changes."""
    price = session.find("price", identifier, "price", status=404)
    before = view(session, session.find("price", identifier, None))
    for name in ("active", "nickname", "tax_behavior"):
        if name in params:
            price[name] = unset(params[name])
    if "currency_options" in params:
        price["_options"] = {**price.get("_options", {}), **(unset(params["currency_options"]) or {})}
    if "metadata" in params:
        price["metadata"] = merge_metadata(price["metadata"], params["metadata"])
    if params.get("lookup_key"):
        _take_key(session, price, params)
    elif "lookup_key" in params:
        price["lookup_key"] = None
    session.save(price)
    shown = view(session, price)
    if changed(before, shown):
        session.emit("price.updated", shown, before)
    return shown


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/prices."""
    recurring = params.get("recurring") or {}

    def keep(price: Any) -> bool:
        if "lookup_keys" in params and price["lookup_key"] not in params["lookup_keys"]:
            return False
        if recurring and not (price["recurring"] and matches(price["recurring"], recurring, *recurring)):
            return False
        return matches(price, params, "active", "currency", "type")

    return listing(session, "price", params, "/v1/prices", parent=params.get("product"), keep=keep)


def plan(price: Obj) -> Obj:
    """The price in the older shape that subscriptions still carry as `plan`."""
    recurring = price["recurring"] or {}
    return {
        "id": price["id"],
        "object": "plan",
        "active": price["active"],
        "amount": price["unit_amount"],
        "amount_decimal": price["unit_amount_decimal"],
        "billing_scheme": price["billing_scheme"],
        "created": price["created"],
        "currency": price["currency"],
        "interval": recurring.get("interval"),
        "interval_count": recurring.get("interval_count"),
        "livemode": False,
        "metadata": price["metadata"],
        "meter": recurring.get("meter"),
        "nickname": price["nickname"],
        "product": price["product"],
        "tiers_mode": price["tiers_mode"],
        "transform_usage": None,
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring.get("usage_type"),
    }
