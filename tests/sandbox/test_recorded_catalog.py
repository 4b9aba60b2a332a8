"""Products, prices and coupons: what the recordings of Stripe show, in our own words."""

import re

import pytest

from tests.sandbox.assertions import holds, missing, refusal

MONTHLY = {"recurring": {"interval": "month"}}


@pytest.fixture
def monthly(stripe, product):
    """A monthly price with the lookup key `pro`."""
    params = {"currency": "usd", "unit_amount": 999, "product": product, "lookup_key": "pro"}
    return stripe.post("prices", {**params, **MONTHLY})


def priced(stripe, product, amount=500, **more):
    return stripe.post("prices", {"currency": "usd", "unit_amount": amount, "product": product, **more})


def test_a_product_with_a_name_only(stripe):
    product = stripe.post("products", {"name": "Pro"})
    assert holds(
        product,
        {
            "object": "product",
            "name": "Pro",
            "active": True,
            "type": "service",
            "attributes": [],
            "images": [],
            "marketing_features": [],
            "metadata": {},
            "livemode": False,
            "updated": product["created"],
        },
        null="default_price description package_dimensions shippable statement_descriptor tax_code "
        "tax_details unit_label url",
        absent="features prices deleted",
        present="id created",
    )
    assert stripe.get(f"products/{product['id']}") == product


def test_an_update_of_a_product_changes_what_it_names_and_the_time_of_the_update(stripe):
    product = stripe.post("products", {"name": "Pro"})
    stripe.advance(seconds=60)
    changed = stripe.post(f"products/{product['id']}", {"description": "new", "metadata": {"a": "1"}})
    assert changed == {
        **product,
        "description": "new",
        "metadata": {"a": "1"},
        "updated": changed["updated"],
    }
    assert changed["updated"] == product["created"] + 60


def test_a_product_keeps_everything_that_was_sent(stripe):
    sent = {
        "name": "Full",
        "shippable": True,
        "statement_descriptor": "FULL DESC",
        "unit_label": "seat",
        "url": "https://example.com/full",
        "tax_code": "txcd_10103000",
        "description": "everything",
        "images": ["https://example.com/full.png"],
        "marketing_features": [{"name": "the first"}],
    }
    size = {"height": 1, "length": 2, "weight": 3, "width": 4}
    product = stripe.post("products", {**sent, "package_dimensions": size})
    assert holds(
        product,
        {**sent, "tax_details.tax_code": "txcd_10103000", "type": "service"},
        null="default_price tax_details.performance_location",
        present="id created updated",
    )
    assert product["package_dimensions"] == {name: float(value) for name, value in size.items()}


def test_a_default_price_is_made_with_its_product_and_is_an_ordinary_price(stripe):
    data = {"currency": "usd", "unit_amount": 1500, **MONTHLY}
    product = stripe.post("products", {"name": "Pro", "default_price_data": data})
    assert product["default_price"].startswith("price_")
    assert product["updated"] == product["created"]
    assert stripe.get(f"products/{product['id']}")["default_price"] == product["default_price"]
    (listed,) = stripe.get("prices", {"product": product["id"]})["data"]
    assert holds(
        listed,
        {
            "id": product["default_price"],
            "unit_amount": 1500,
            "unit_amount_decimal": "1500",
            "active": True,
            "type": "recurring",
            "recurring.interval": "month",
            "recurring.interval_count": 1,
            "recurring.usage_type": "licensed",
            "product": product["id"],
        },
        null="lookup_key nickname",
    )


def test_a_deleted_product_is_like_an_unknown_one(stripe, product):
    assert stripe.delete(f"products/{product}") == {"id": product, "object": "product", "deleted": True}
    assert missing(stripe.refused("GET", f"products/{product}"), "product", product, "id")
    listed = stripe.get("products", {"ids": [product, "prod_nope"]})
    assert listed == {"object": "list", "data": [], "has_more": False, "url": "/v1/products"}


def test_a_product_with_a_price_cannot_be_deleted(stripe, product):
    price = priced(stripe, product, 100)
    assert holds(price, {"type": "one_time", "unit_amount": 100, "product": product}, null="recurring")
    assert stripe.get(f"products/{product}")["default_price"] is None
    message = "This product cannot be deleted because it has one or more user-created prices."
    assert refusal(stripe.refused("DELETE", f"products/{product}"), 400, message)


def test_a_product_needs_a_name_and_a_default_price_that_exists(stripe, product):
    refused = stripe.refused("POST", "products", {})
    assert refusal(refused, 400, "Missing required param: name.", code="parameter_missing", param="name")
    refused = stripe.refused("POST", f"products/{product}", {"default_price": "price_nope"})
    assert missing(refused, "price", "price_nope", "default_price", 400)


def test_a_price_that_is_paid_once(stripe, product):
    price = priced(stripe, product, 2000, nickname="once", currency_options={"eur": {"unit_amount": 90}})
    assert holds(
        price,
        {
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "currency": "usd",
            "nickname": "once",
            "product": product,
            "tax_behavior": "unspecified",
            "type": "one_time",
            "unit_amount": 2000,
            "unit_amount_decimal": "2000",
            "metadata": {},
            "livemode": False,
        },
        null="recurring lookup_key custom_unit_amount tiers_mode transform_quantity",
        absent="currency_options tiers updated",
        present="id created",
    )


def test_a_monthly_price_with_a_lookup_key(monthly, product):
    assert holds(
        monthly,
        {
            "object": "price",
            "active": True,
            "billing_scheme": "per_unit",
            "currency": "usd",
            "lookup_key": "pro",
            "product": product,
            "recurring.interval": "month",
            "recurring.interval_count": 1,
            "recurring.usage_type": "licensed",
            "tax_behavior": "unspecified",
            "type": "recurring",
            "unit_amount": 999,
            "unit_amount_decimal": "999",
        },
        null="nickname recurring.meter recurring.trial_period_days tiers_mode "
        "transform_quantity custom_unit_amount",
        absent="recurring.aggregate_usage",
        present="id created",
    )


def test_a_lookup_key_belongs_to_one_price_even_an_inactive_one(stripe, product, monthly):
    def taken_by(holder):
        refused = stripe.refused(
            "POST",
            "prices",
            {"currency": "usd", "unit_amount": 500, "product": product, "lookup_key": "pro"},
        )
        message = f"A price (`{holder}`) already uses that lookup key."
        return refusal(refused, 400, message, param="lookup_key")

    assert taken_by(monthly["id"])
    taker = priced(stripe, product, 555, lookup_key="pro", transfer_lookup_key=True)
    assert holds(
        taker, {"lookup_key": "pro", "active": True, "type": "one_time"}, absent="transfer_lookup_key"
    )
    assert stripe.get(f"prices/{monthly['id']}") == {**monthly, "lookup_key": None}
    listed = stripe.get("prices", {"lookup_keys": ["pro"]})
    assert [price["id"] for price in listed["data"]] == [taker["id"]]
    url = f"prices/{taker['id']}"
    assert stripe.post(url, {"active": False}) == {**taker, "active": False}
    assert taken_by(taker["id"])
    assert stripe.post(url, {"active": True}) == taker
    assert stripe.post(url, {"lookup_key": ""}) == {**taker, "lookup_key": None}


def test_a_tiered_price_shows_neither_its_tiers_nor_an_amount(stripe, product):
    tiers = [{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount": 400}]
    sent = {"currency": "usd", "product": product, "billing_scheme": "tiered", "tiers": tiers}
    price = stripe.post("prices", {**sent, "tiers_mode": "graduated", **MONTHLY})
    assert holds(
        price,
        {
            "object": "price",
            "billing_scheme": "tiered",
            "tiers_mode": "graduated",
            "type": "recurring",
            "recurring.interval": "month",
            "recurring.interval_count": 1,
            "recurring.usage_type": "licensed",
            "product": product,
        },
        null="unit_amount unit_amount_decimal lookup_key",
        absent="tiers",
    )


def test_a_price_with_a_fraction_of_a_cent_has_no_whole_amount(stripe, product):
    price = stripe.post("prices", {"currency": "usd", "product": product, "unit_amount_decimal": "123.45"})
    expected = {"object": "price", "type": "one_time", "billing_scheme": "per_unit"}
    assert holds(price, {**expected, "unit_amount_decimal": "123.45"}, null="unit_amount recurring")
    assert stripe.get(f"prices/{price['id']}") == price


def test_a_price_can_create_its_product(stripe):
    price = stripe.post(
        "prices", {"currency": "eur", "unit_amount": 1000, "product_data": {"name": "inline"}}
    )
    expected = {"currency": "eur", "type": "one_time", "unit_amount": 1000, "unit_amount_decimal": "1000"}
    assert holds(
        price, {**expected, "active": True}, null="recurring lookup_key nickname", absent="product_data"
    )
    assert stripe.get(f"products/{price['product']}")["name"] == "inline"


@pytest.mark.parametrize(
    ("sent", "message", "param"),
    [
        (
            {"product": None, "unit_amount": 1000},
            "You must specify either `product` or `product_data` when creating a price.",
            None,
        ),
        ({}, "Prices require an `unit_amount` or `unit_amount_decimal` parameter to be set.", None),
        (
            {"unit_amount": 1000, "product_data": {"name": "x"}},
            "You may only specify one of these parameters: product, product_data.",
            "product",
        ),
        (
            {
                "billing_scheme": "tiered",
                "tiers_mode": "volume",
                "tiers": [{"up_to": "inf", "unit_amount": 5}],
            },
            "Prices with `type=one_time` are not supported with tiered billing.",
            "interval",
        ),
        (
            {"unit_amount": 5, "recurring": {"interval": "month", "usage_type": "metered"}},
            "Starting with Stripe version `2025-03-31.basil`, metered prices must be backed by meters.",
            None,
        ),
    ],
)
def test_a_price_is_refused(stripe, product, sent, message, param):
    whole = {"currency": "usd", "product": product, **sent}
    params = {name: value for name, value in whole.items() if value is not None}
    assert refusal(stripe.refused("POST", "prices", params), 400, message, param=param)


def test_a_price_needs_a_product_that_exists(stripe):
    params = {"currency": "usd", "product": "prod_nope", "unit_amount": 100}
    assert missing(stripe.refused("POST", "prices", params), "product", "prod_nope", "product", 400)


@pytest.mark.parametrize("kind", [{"type": "recurring"}, MONTHLY])
def test_recurring_prices_are_listed_newest_first_and_a_full_last_page_has_no_more(stripe, product, kind):
    price = [priced(stripe, product, amount, **MONTHLY) for amount in (100, 200, 300)]
    priced(stripe, product)
    listed = stripe.get("prices", {"product": product, "limit": 3, **kind})
    assert listed.pop("data") == price[::-1]
    assert listed == {"object": "list", "has_more": False, "url": "/v1/prices"}


def test_a_percentage_coupon_for_one_invoice(stripe):
    coupon = stripe.post("coupons", {"percent_off": 22.5, "duration": "once"})
    assert holds(
        coupon,
        {
            "object": "coupon",
            "percent_off": 22.5,
            "duration": "once",
            "times_redeemed": 0,
            "valid": True,
            "metadata": {},
        },
        null="amount_off currency duration_in_months max_redemptions name redeem_by",
        present="created",
    )
    assert re.fullmatch(r"[A-Za-z0-9]{8}", coupon["id"])
    url = f"coupons/{coupon['id']}"
    assert stripe.delete(url) == {"id": coupon["id"], "object": "coupon", "deleted": True}
    assert missing(stripe.refused("GET", url), "coupon", coupon["id"], "coupon")


def test_a_coupon_has_a_percentage_or_an_amount(stripe):
    refused = stripe.refused("POST", "coupons", {"duration": "once"})
    assert refusal(refused, 400, "Must provide percent_off or amount_off.", code="parameter_missing")
    amount = {"amount_off": 500, "currency": "usd", "duration": "once"}
    refused = stripe.refused("POST", "coupons", {**amount, "percent_off": 10})
    both = "Received both percent_off and amount_off parameters. Please pass in only one."
    assert refusal(refused, 400, both)
    refused = stripe.refused("POST", "coupons", {**amount, "currency_options": 5})
    assert refusal(refused, 400, "Invalid object", param="currency_options")


def test_a_nested_parameter_is_named_with_brackets(stripe):
    params = {"promotion": {"type": "coupon", "coupon": "NOPE1234"}}
    refused = stripe.refused("POST", "promotion_codes", params)
    assert missing(refused, "coupon", "NOPE1234", "promotion[coupon]", 400)
