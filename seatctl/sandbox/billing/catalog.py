"""Products, prices, and the items of a subscription that have them.

Products and prices are created by their own endpoints or inline with an item or an invoice.
"""

from __future__ import annotations

from seatctl.sandbox.errors import check_not_negative, invalid, missing_param
from seatctl.sandbox.metadata import merge_metadata, update_metadata
from seatctl.sandbox.objects import Obj, new_id, new_object, pick, public, sent, set_fields, token, unset
from seatctl.sandbox.session import Session

_PRODUCT_FIELDS = ("active", "description", "images", "marketing_features", "name", "shippable",
          "statement_descriptor", "unit_label", "url")  # fmt: skip


def create_product(session: Session, params: Obj) -> Obj:
    """Create a product, and its default price if the request describes one; both are written."""
    if params.get("id") and session.store.get_any(params["id"]):
        raise invalid("Product already exists.", "id", code="resource_already_exists")
    product = session.new(
        "product",
        params.get("id") or f"prod_{token(14)}",
        null=(
            "default_price description package_dimensions shippable statement_descriptor tax_code "
            "tax_details unit_label url"
        ),
        empty="attributes images marketing_features",
        active=True,
        metadata={},
        name="",
        type="service",
        updated=session.now,
    )
    set_product_fields(product, params)
    session.save(product)
    if params.get("default_price_data"):
        price = create_price(session, {**params["default_price_data"], "product": product["id"]})
        product["default_price"] = price["id"]
    return session.save_and_emit(product, "product.created")


def set_product_fields(product: Obj, params: Obj) -> None:
    """Set the fields of a product that a request sends, except the default price."""
    set_fields(product, params, *_PRODUCT_FIELDS)
    for name in ("images", "marketing_features"):
        product[name] = product[name] or []
    if "package_dimensions" in params:
        sizes = unset(params["package_dimensions"])
        product["package_dimensions"] = sizes and {name: float(size) for name, size in sizes.items()}
    if "tax_code" in params:
        code = unset(params["tax_code"])
        product["tax_code"] = code
        product["tax_details"] = code and {"performance_location": None, "tax_code": code}
    update_metadata(product, params)


def create_price(session: Session, params: Obj, *, active: bool = True) -> Obj:
    """Create a price from checked parameters; it is written."""
    recurring = params.get("recurring")
    whole, decimal = amounts(params)
    price: Obj = session.new(
        "price",
        new_id("price"),
        null="custom_unit_amount lookup_key",
        active=params.get("active", active),
        billing_scheme=params.get("billing_scheme", "per_unit"),
        currency=params["currency"].lower(),
        metadata=merge_metadata({}, params.get("metadata")),
        **sent(params, "nickname tiers_mode transform_quantity"),
        product=params["product"],
        recurring=recurring and _recurring(recurring),
        tax_behavior=params.get("tax_behavior", "unspecified"),
        type="recurring" if recurring else "one_time",
        unit_amount=whole,
        unit_amount_decimal=decimal,
        _tiers=[_tier(tier) for tier in params.get("tiers") or []],
        _options=params.get("currency_options") or {},
    )
    if params.get("lookup_key"):
        set_lookup_key(session, price, params)
    return session.save_and_emit(price, "price.created")


def create_inline_price(session: Session, data: Obj, param: str) -> Obj:
    """Create a price from `price_data`, for one use; `product_data` in it creates a product too."""
    if data.get("product_data"):
        data = {**data, "product": create_product(session, data["product_data"])["id"]}
    elif not data.get("product"):
        raise missing_param(f"{param}[product]")
    session.find("product", data["product"], f"{param}[product]")
    if not {"unit_amount", "unit_amount_decimal"} & set(data):
        raise missing_param(f"{param}[unit_amount]")
    return create_price(session, data, active=False)


def wrong_type(actual: str, expected: str) -> str:
    """Return the message of the refusal of a price of another type than an endpoint takes."""
    return (
        f"The price specified is set to `type={actual}` but this field only accepts prices with "
        f"`type={expected}`."
    )


def legacy_plan(price: Obj) -> Obj:
    """Return the price in the older form that subscriptions still show as `plan`."""
    recurring = price["recurring"] or {}
    return new_object(
        "plan",
        price["id"],
        null="transform_usage",
        **pick(price, "active", "billing_scheme", "created", "currency", "livemode", "metadata"),
        **pick(price, "nickname", "product", "tiers_mode"),
        **sent(recurring, "interval interval_count meter trial_period_days usage_type"),
        amount=price["unit_amount"],
        amount_decimal=price["unit_amount_decimal"],
    )


def currency_options(price: Obj) -> Obj:
    """Return what a price costs in each currency, as `expand[]=currency_options` shows it."""
    options = {**price.get("_options", {}), price["currency"]: price}
    shown: Obj = {}
    for currency, option in options.items():
        whole, decimal = amounts(option)
        shown[currency] = {
            "custom_unit_amount": None,
            "tax_behavior": option.get("tax_behavior", "unspecified"),
            "unit_amount": whole,
            "unit_amount_decimal": decimal,
        }
    return shown


def amounts(params: Obj, unit: str = "unit_") -> tuple[int | None, str | None]:
    """Return `unit_amount` and `unit_amount_decimal`; the former is null if the amount has a fraction."""
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


def _tier(tier: Obj) -> Obj:
    """Return a tier as `expand[]=tiers` shows it; the last tier has no end."""
    whole, decimal = amounts(tier)
    flat, flat_decimal = amounts(tier, "flat_")
    return {
        "flat_amount": flat,
        "flat_amount_decimal": flat_decimal,
        "unit_amount": whole,
        "unit_amount_decimal": decimal,
        "up_to": None if tier["up_to"] == "inf" else int(tier["up_to"]),
    }


def _recurring(recurring: Obj) -> Obj:
    return {
        "interval": recurring["interval"],
        "interval_count": recurring.get("interval_count", 1),
        "meter": recurring.get("meter"),
        "trial_period_days": recurring.get("trial_period_days"),
        "usage_type": recurring.get("usage_type", "licensed"),
    }


def set_lookup_key(session: Session, price: Obj, params: Obj) -> None:
    """Give a price a lookup key; `transfer_lookup_key` takes the key away from the price that has it."""
    key = params["lookup_key"]
    holder = next((other for other in session.store.walk("price") if other["lookup_key"] == key), None)
    if holder is not None and holder["id"] != price["id"]:
        if not params.get("transfer_lookup_key"):
            raise invalid(f"A price (`{holder['id']}`) already uses that lookup key.", "lookup_key")
        session.save_changed({**holder, "lookup_key": None}, "price.updated")
    price["lookup_key"] = key


def prices_of_new_items(
    session: Session, entries: list[Obj], currency: str | None, *, one_interval: bool
) -> list[Obj]:
    """Return the prices of a new subscription's items, which the entries of a request name."""
    prices = [price_of(session, entry, f"items[{n}]", currency) for n, entry in enumerate(entries)]
    check_prices(prices, one_interval=one_interval)
    return prices


def check_prices(prices: list[Obj], *, one_interval: bool) -> None:
    """Refuse a price that is there twice, and prices of other currencies; if `one_interval`, of others."""
    seen: set[str] = set()
    for price in prices:
        if price["id"] in seen:
            message = "Cannot create a Subscription with multiple Subscription Items with the same Price: "
            raise invalid(message + price["id"], "plan")
        seen.add(price["id"])
    if len({price["currency"] for price in prices}) > 1:
        raise invalid("Price currencies must match across all subscription items.", "items")
    if one_interval and len({interval_of(price) for price in prices}) > 1:
        message = "Currency and interval fields must match across all plans on this subscription. "
        raise invalid(message + "Found mismatched interval field.", "items")


def interval_of(price: Obj) -> tuple[str, int]:
    """Return how often a price is billed, as interval and count."""
    return price["recurring"]["interval"], price["recurring"]["interval_count"]


def price_of(session: Session, entry: Obj, param: str, currency: str | None = None) -> Obj:
    """Return the active, recurring price that an entry names by its id or describes as `price_data`.

    It is billed in `currency`, None: its own one.
    """
    check_not_negative(entry.get("quantity", 1), f"{param}[quantity]")
    if entry.get("price_data"):
        inline = create_inline_price(session, entry["price_data"], f"{param}[price_data]")
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
        refusal = wrong_type("one_time", "recurring")
    if refusal:
        raise invalid(refusal, f"{param}[{name}]")
    return in_currency(price, currency, f"{param}[{name}]")


def in_currency(price: Obj, currency: str | None, param: str) -> Obj:
    """Return a price as it is billed in a currency; `_shown` is how it is shown, in its own one."""
    if currency in (None, price["currency"]):
        return price
    if currency not in price["_options"]:
        message = f"The price specified only supports `{price['currency']}`. This doesn't match the expected"
        raise invalid(f"{message} currency: `{currency}`.", param)
    whole, decimal = amounts(price["_options"][currency])
    billed = {"currency": currency, "unit_amount": whole, "unit_amount_decimal": decimal}
    return {**price, **billed, "_shown": public(price)}


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
        plan=legacy_plan(price.get("_shown") or price),
        price=public(price),
        _shown_price=price.get("_shown"),
        quantity=entry.get("quantity", 1),
        subscription=subscription["id"],
    )


def set_price(item: Obj, price: Obj) -> None:
    """Set the price of an item."""
    if price["id"] != item["price"]["id"]:
        item.update(plan=legacy_plan(price.get("_shown") or price), _shown_price=price.get("_shown"))
    item["price"] = public(price)
