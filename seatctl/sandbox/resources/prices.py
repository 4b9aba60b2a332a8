"""Prices. What a price costs never changes."""

from __future__ import annotations

from seatctl.sandbox.billing.catalog import create_price, create_product, set_lookup_key
from seatctl.sandbox.errors import check_not_negative, invalid, missing_param, mutually_exclusive
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, set_fields, unset
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/prices."""
    if "product" in params and "product_data" in params:
        raise mutually_exclusive("product", "product_data")
    if "product" not in params and "product_data" not in params:
        raise invalid("You must specify either `product` or `product_data` when creating a price.")
    _check(session, params)
    if "product_data" in params:
        product = create_product(session, params["product_data"])
        params = {**params, "product": product["id"]}
    return create_price(session, params)


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
    check_not_negative(params.get("unit_amount", 0), "unit_amount")


def update(session: Session, params: Obj, price: Obj) -> Obj:
    """POST /v1/prices/ID."""
    behavior = params.get("tax_behavior", price["tax_behavior"])
    if price["tax_behavior"] not in ("unspecified", behavior):
        raise invalid("The `tax_behavior` of a price cannot be changed once it is set.", "tax_behavior")
    set_fields(price, params, "active", "nickname", "tax_behavior")
    if "currency_options" in params:
        price["_options"] = {**price.get("_options", {}), **(unset(params["currency_options"]) or {})}
    update_metadata(price, params)
    if params.get("lookup_key"):
        set_lookup_key(session, price, params)
    elif "lookup_key" in params:
        price["lookup_key"] = None
    return session.save_changed(price, "price.updated")
