"""Checkout sessions: what the recordings of Stripe show, in our own words, and what else is known."""

from seatctl.sandbox.api import control
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


def one_time(stripe, amount):
    product = stripe.post("products", {"name": "Setup"})["id"]
    return stripe.post("prices", {"product": product, "currency": "usd", "unit_amount": amount})["id"]


def test_a_page_for_one_payment(stripe, customer):
    inline = {"currency": "usd", "unit_amount": 700, "product_data": {"name": "Poster"}}
    lines = [{"price": one_time(stripe, 900), "quantity": 2}, {"price_data": inline, "quantity": 1}]
    params = {"mode": "payment", "line_items": lines, "success_url": "https://shop.example/"}
    page = stripe.post("checkout/sessions", {**params, "customer": customer})
    assert holds(
        page,
        {"amount_total": 2500, "payment_status": "unpaid", "payment_method_collection": "if_required"},
        null="payment_intent subscription invoice",
    )
    control.complete_checkout(stripe.twin, page["id"])
    paid = stripe.get(f"checkout/sessions/{page['id']}", {"expand": ["payment_intent"]})
    assert (paid["payment_status"], paid["payment_intent"]["amount_received"]) == ("paid", 2500)


def test_a_page_takes_prices_that_fit_its_mode(stripe):
    back = {"success_url": "https://shop.example/"}
    once = [{"price": one_time(stripe, 900), "quantity": 1}]
    monthly = [{"price": stripe.price(1000), "quantity": 1}]
    error = stripe.refused("POST", "checkout/sessions", {"mode": "subscription", "line_items": once, **back})
    message = "You must provide at least one recurring price in `subscription` mode when using prices."
    assert refusal(error, 400, message)
    error = stripe.refused("POST", "checkout/sessions", {"mode": "payment", "line_items": monthly, **back})
    message = (
        "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or "
        "use only one-time prices."
    )
    assert refusal(error, 400, message)
    both = stripe.post("checkout/sessions", {"mode": "subscription", "line_items": monthly + once, **back})
    control.complete_checkout(stripe.twin, both["id"])
    bought = stripe.get(f"checkout/sessions/{both['id']}")["subscription"]
    assert stripe.invoice(bought)["amount_paid"] == both["amount_total"] == 1900


def test_a_page_that_is_not_open_cannot_expire(stripe):
    page = stripe.post(
        "checkout/sessions", {"mode": "setup", "currency": "usd", "success_url": "https://e.example/"}
    )
    stripe.post(f"checkout/sessions/{page['id']}/expire")
    error = stripe.refused("POST", f"checkout/sessions/{page['id']}/expire")
    message = (
        'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status '
        "of `expired`."
    )
    assert refusal(error, 400, message)
