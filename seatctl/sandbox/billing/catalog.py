"""Making products and prices: for their own endpoints, and inline for an item or an invoice."""

from __future__ import annotations

from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, token, unset
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

_PRODUCT_FIELDS = ("active", "description", "images", "marketing_features", "name", "shippable",
          "statement_descriptor", "unit_label", "url")  # fmt: skip


def create_product(session: Session, params: Obj) -> Obj:
    """Make a product, and its default price if it has one; both are written and announced."""
    if params.get("id") and session.store.get_any(params["id"]):
        raise invalid("Product already exists.", "id", code="resource_already_exists")
    product = _blank_product(session.now, params.get("id"))
    set_product_fields(product, params)
    session.save(product)
    if params.get("default_price_data"):
        price = create_price(session, {**params["default_price_data"], "product": product["id"]})
        product["default_price"] = price["id"]
        session.save(product)
    shown = view(session, product)
    session.emit("product.created", shown)
    return shown


def _blank_product(now: int, identifier: str | None = None) -> Obj:
    """A product with every field at its default."""
    return {
        "id": identifier or f"prod_{token(14)}",
        "object": "product",
        "active": True,
        "attributes": [],
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": now,
        "url": None,
    }


def set_product_fields(product: Obj, params: Obj) -> None:
    """Apply what a request sets on a product; the default price is not among it."""
    for name in _PRODUCT_FIELDS:
        if name in params:
            product[name] = unset(params[name])
    for name in ("images", "marketing_features"):
        product[name] = product[name] or []
    if "package_dimensions" in params:
        sizes = unset(params["package_dimensions"])
        product["package_dimensions"] = sizes and {name: float(size) for name, size in sizes.items()}
    if "tax_code" in params:
        code = unset(params["tax_code"])
        product["tax_code"] = code
        product["tax_details"] = code and {"performance_location": None, "tax_code": code}
    if "metadata" in params:
        product["metadata"] = merge_metadata(product["metadata"], params["metadata"])


def create_price(session: Session, params: Obj, *, active: bool = True) -> Obj:
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
        set_lookup_key(session, price, params)
    session.save(price, parent=price["product"])
    session.emit("price.created", view(session, price))
    return view(session, price)


def create_inline_price(session: Session, data: Obj, param: str) -> Obj:
    """A price from `price_data`, for one use; some endpoints also make its product."""
    if data.get("product_data"):
        data = {**data, "product": create_product(session, data["product_data"])["id"]}
    elif not data.get("product"):
        raise missing_param(f"{param}[product]")
    session.find("product", data["product"], f"{param}[product]")
    if not {"unit_amount", "unit_amount_decimal"} & set(data):
        raise missing_param(f"{param}[unit_amount]")
    return create_price(session, data, active=False)


def legacy_plan(price: Obj) -> Obj:
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


def currency_options(price: Obj) -> Obj:
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


def _recurring(sent: Obj) -> Obj:
    return {
        "interval": sent["interval"],
        "interval_count": sent.get("interval_count", 1),
        "meter": sent.get("meter"),
        "trial_period_days": sent.get("trial_period_days"),
        "usage_type": sent.get("usage_type", "licensed"),
    }


def set_lookup_key(session: Session, price: Obj, params: Obj) -> None:
    """Give a price a lookup key; `transfer_lookup_key` takes the key away from the price that has it."""
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
