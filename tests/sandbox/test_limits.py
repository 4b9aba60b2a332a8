"""Values that are too long or too large are refused as on Stripe; values at the limit are accepted."""

import pytest

from tests.sandbox.assertions import refusal

METADATA = {"k" * 40: "v" * 500}


def test_metadata_that_just_fits_is_kept(stripe):
    full = METADATA | {f"key-{number}": "x" for number in range(49)}
    customer = stripe.post("customers", {"metadata": full})
    assert customer["metadata"] == full
    # At the limit, keys can still be changed and exchanged.
    changed = stripe.post(
        f"customers/{customer['id']}", {"metadata": {"key-0": "", "new": "y", "key-1": "z"}}
    )
    assert len(changed["metadata"]) == 50


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"k" * 41: "v"}, f"Invalid key: {'k' * 41} must be a string under 40 characters"),
        ({"k": "v" * 501}, f"Invalid val: {'v' * 501} must be a string under 500 characters"),
        (
            {str(number): "v" for number in range(51)},
            "Metadata can have at most 50 keys; this would make it 51.",
        ),
    ],
)
def test_metadata_that_does_not_fit_is_refused_at_any_depth(stripe, metadata, message):
    error = stripe.refused("POST", "customers", {"metadata": metadata})
    assert (error["status"], error["message"], error["param"]) == (400, message, "metadata")
    customer = stripe.post("customers", {})["id"]
    nested = {
        "mode": "setup",
        "currency": "usd",
        "customer": customer,
        "success_url": "https://example.com",
        "setup_intent_data": {"metadata": metadata},
    }
    assert stripe.refused("POST", "checkout/sessions", nested)["message"] == message


def test_existing_keys_count_too(stripe):
    customer = stripe.post("customers", {"metadata": {str(number): "v" for number in range(50)}})["id"]
    error = stripe.refused("POST", f"customers/{customer}", {"metadata": {"one more": "v"}})
    assert (error["status"], error["param"]) == (400, "metadata")
    assert len(stripe.get(f"customers/{customer}")["metadata"]) == 50


def test_an_unknown_currency_is_refused(stripe):
    product = stripe.post("products", {"name": "Pro"})["id"]
    error = stripe.refused("POST", "prices", {"product": product, "currency": "xyz", "unit_amount": 100})
    assert (error["status"], error["param"]) == (400, "currency")
    assert error["message"].startswith(
        "Invalid currency: xyz. Stripe currently supports these currencies: usd, aed,"
    )
    assert (
        stripe.post("prices", {"product": product, "currency": "EUR", "unit_amount": 100})["currency"]
        == "eur"
    )


@pytest.mark.parametrize(
    ("currency", "most", "shown"),
    [("usd", 99_999_999, "$999,999.99"), ("cop", 9_999_999_999, "99,999,999.99 COP")],
)
def test_an_amount_has_eight_digits_in_most_currencies(stripe, currency, most, shown):
    price = {"product": stripe.post("products", {"name": "Pro"})["id"], "currency": currency}
    assert stripe.post("prices", {**price, "unit_amount": most})["unit_amount"] == most
    error = stripe.refused("POST", "prices", {**price, "unit_amount": most + 1})
    assert (error["status"], error["code"], error["param"]) == (400, "amount_too_large", "unit_amount")
    assert error["message"] == f"Amount must be no more than {shown}"


def test_a_nested_amount_is_checked_too(stripe):
    customer, product = stripe.post("customers", {})["id"], stripe.post("products", {"name": "Pro"})["id"]
    price = {"currency": "usd", "product": product, "unit_amount": 100_000_000}
    error = stripe.refused("POST", "invoiceitems", {"customer": customer, "price_data": price})
    assert error["param"] == "price_data[unit_amount]"


def test_metadata_is_not_checked_as_parameters(stripe):
    text = {"currency": "xyz", "amount": "100000000000000"}
    assert stripe.post("customers", {"metadata": text})["metadata"] == text


def test_an_empty_string_is_refused_for_what_cannot_be_unset(stripe):
    for method, path, params in (
        ("POST", "subscriptions", {"customer": "", "items": [{"price": stripe.price()}]}),
        ("POST", "products", {"name": ""}),
        ("GET", "customers", {"starting_after": ""}),
    ):
        error = stripe.refused(method, path, params)
        assert (error["status"], error["code"]) == (400, "parameter_invalid_empty")
        assert error["param"] in params
        assert f"You passed an empty string for '{error['param']}'." in error["message"]


def test_an_invoice_is_due_in_the_future(stripe):
    params = {"customer": stripe.customer(), "collection_method": "send_invoice", "due_date": 1789999999}
    error = stripe.refused("POST", "invoices", params)
    assert (error["status"], error["param"]) == (400, "due_date")
    assert stripe.post("invoices", {**params, "due_date": 1790000001})["due_date"] == 1790000001


@pytest.mark.parametrize("email", ["ann", "ann@example", " ann@example.com", "ann＠example.com", "a@b..com"])
@pytest.mark.parametrize(
    ("path", "name", "more"),
    [
        ("customers", "email", {}),
        ("checkout/sessions", "customer_email", {"mode": "setup", "currency": "usd"}),
    ],
)
def test_an_address_that_is_not_one_is_refused(stripe, path, name, more, email):
    error = stripe.refused("POST", path, {name: email, **more})
    assert refusal(error, 400, f"Invalid email address: {email}", code="email_invalid", param=name)


@pytest.mark.parametrize("percent", ["0", "-5", "100.5"])
def test_a_coupon_takes_off_a_part_or_all(stripe, percent):
    error = stripe.refused("POST", "coupons", {"percent_off": percent, "duration": "once"})
    assert (error["status"], error["param"]) == (400, "percent_off")
