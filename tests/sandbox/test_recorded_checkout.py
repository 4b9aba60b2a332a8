"""Checkout sessions: what the recordings of Stripe show, in our own words."""

from tests.sandbox.assertions import holds, refusal


def test_a_page_of_checkout_as_it_is_created(stripe, customer):
    back = "https://shop.example/"
    buys = {"mode": "subscription", "line_items": [{"price": stripe.price(4999), "quantity": 1}]}
    new = stripe.post("checkout/sessions", {**buys, "success_url": back, "customer_email": "a@example.com"})
    assert holds(new, {"customer_creation": "always", "discounts": [], "payment_method_collection": "always"})
    coupon = stripe.coupon(percent_off=10)
    known = stripe.post(
        "checkout/sessions",
        {**buys, "success_url": back, "customer": customer, "discounts": [{"coupon": coupon}]},
    )
    assert known["customer_creation"] is None
    assert known["discounts"] == [{"coupon": coupon, "promotion_code": None}]
    setup = {"mode": "setup", "currency": "usd", "customer": customer, "success_url": back}
    assert holds(
        stripe.post("checkout/sessions", setup),
        {"payment_method_collection": "always"},
        null="customer_creation discounts amount_total",
    )


def test_an_id_that_is_too_long_for_a_page_of_checkout(stripe):
    error = stripe.refused("GET", f"checkout/sessions/cs_test_{'a' * 59}")
    message = "Invalid string: cs_t...aaaa; must be at most 66 characters"
    assert refusal(error, 404, message, param="session")
