"""Customers, their cards, malformed requests: what the recordings of Stripe show, in our own words."""

import re
from datetime import UTC, datetime

import pytest

from tests.sandbox.assertions import holds, missing, refusal

GIVEN = {"email": "pay@example.com", "description": "pays", "name": "Six", "metadata": {"team": "a"}}


@pytest.fixture
def customer(stripe):
    return stripe.post("customers", GIVEN)["id"]


@pytest.fixture
def visa(stripe, customer):
    """A card of this customer."""
    card = stripe.card()
    stripe.post(f"payment_methods/{card}/attach", {"customer": customer})
    return card


def test_a_new_customer(stripe):
    new_customer = stripe.post("customers", GIVEN)
    assert holds(
        new_customer,
        {
            **GIVEN,
            "object": "customer",
            "balance": 0,
            "delinquent": False,
            "livemode": False,
            "next_invoice_sequence": 1,
            "preferred_locales": [],
            "tax_exempt": "none",
        },
        null="address currency customer_account default_source discount invoice_settings.custom_fields "
        "invoice_settings.default_payment_method invoice_settings.footer invoice_settings.rendering_options "
        "phone shipping test_clock",
        absent="sources subscriptions tax_ids account_balance default_currency deleted updated",
        present="id created",
    )
    assert re.fullmatch(r"[A-Z0-9]{8}", new_customer["invoice_prefix"])
    assert stripe.get(f"customers/{new_customer['id']}") == new_customer
    assert holds(stripe.post("customers", {"email": "pay@example.com"}), null="name description")


def test_an_update_of_a_customer_keeps_what_was_not_sent(stripe, customer):
    before = stripe.get(f"customers/{customer}")
    stripe.advance(seconds=60)
    changed = stripe.post(f"customers/{customer}", {"name": "Seven", "email": "new@example.com"})
    assert changed == {**before, "name": "Seven", "email": "new@example.com"}


def test_a_new_card(stripe):
    method = stripe.post("payment_methods", {"type": "card", "card": {"token": "tok_visa"}})
    assert holds(
        method,
        {
            "object": "payment_method",
            "type": "card",
            "allow_redisplay": "unspecified",
            "card.brand": "visa",
            "card.display_brand": "visa",
            "card.last4": "4242",
            "card.country": "US",
            "card.funding": "credit",
            "card.checks.cvc_check": "unchecked",
            "card.networks.available": ["visa"],
            "card.regulated_status": "unregulated",
            "card.three_d_secure_usage.supported": True,
            "livemode": False,
            "metadata": {},
        },
        null="customer customer_account billing_details.address.country billing_details.email "
        "billing_details.name billing_details.phone billing_details.tax_id card.checks.address_line1_check "
        "card.checks.address_postal_code_check card.generated_from card.networks.preferred card.wallet",
        present="id created card.fingerprint",
    )
    today = datetime.fromtimestamp(method["created"], UTC)
    assert (method["card"]["exp_month"], method["card"]["exp_year"]) == (today.month, today.year + 1)
    assert stripe.get(f"payment_methods/{method['id']}") == method
    again = stripe.get(f"payment_methods/{stripe.card()}")
    assert again["card"]["fingerprint"] == method["card"]["fingerprint"]


def test_a_method_that_is_not_a_card(stripe):
    method = stripe.post("payment_methods", {"type": "klarna"})
    expected = {"object": "payment_method", "type": "klarna", "klarna": {}, "allow_redisplay": "unspecified"}
    assert holds(method, {**expected, "metadata": {}}, null="customer", absent="card", present="id created")
    assert stripe.get(f"payment_methods/{method['id']}") == method


def test_attaching_a_card_checks_it_and_again_changes_nothing(stripe, customer):
    method = stripe.get(f"payment_methods/{stripe.card()}")
    url = f"payment_methods/{method['id']}/attach"
    attached = stripe.post(url, {"customer": customer})
    method["card"]["checks"]["cvc_check"] = "pass"
    assert attached == {**method, "customer": customer}
    assert stripe.post(url, {"customer": customer}) == attached
    expanded = stripe.get(f"payment_methods/{method['id']}", {"expand": ["customer"]})
    assert expanded["customer"] == stripe.get(f"customers/{customer}")
    assert expanded["customer"]["invoice_settings"]["default_payment_method"] is None


def test_a_declining_card_is_created_and_refused_when_it_is_attached(stripe, customer):
    token = {"token": "tok_visa_chargeDeclined"}
    method = stripe.post("payment_methods", {"type": "card", "card": token})
    declined = method["id"]
    expected = {"card.brand": "visa", "card.last4": "0002", "card.funding": "credit", "livemode": False}
    assert holds(method, {**expected, "card.checks.cvc_check": "unchecked"}, null="customer")
    refused = stripe.refused("POST", f"payment_methods/{declined}/attach", {"customer": customer})
    message = "Your card was declined."
    assert refusal(refused, 402, message, code="card_declined", param="", kind="card_error")
    assert holds(
        refused,
        {
            "decline_code": "generic_decline",
            "advice_code": "try_again_later",
            "network_decline_code": "01",
        },
        absent="charge payment_method payment_intent",
        present="request_log_url",
    )
    refused = stripe.refused("GET", f"customers/{customer}/payment_methods/{declined}")
    assert refusal(refused, 404, "Invalid request", param="customer")


def test_cards_are_listed_for_a_customer_only(stripe, customer, visa):
    card = stripe.get(f"payment_methods/{visa}")
    stripe.card("tok_visa_chargeDeclined")
    whole = {"object": "list", "has_more": False, "data": [card], "url": "/v1/payment_methods"}
    of_customer = {"customer": customer, "type": "card", "limit": 5}
    assert stripe.get("payment_methods", of_customer) == whole
    nested = f"customers/{customer}/payment_methods"
    assert stripe.get(nested, {"type": "card"}) == {**whole, "url": f"/v1/{nested}"}
    assert stripe.get(f"{nested}/{visa}") == card
    assert stripe.get("payment_methods", {"limit": 3}) == {**whole, "data": []}


def test_a_missing_customer_is_400_as_a_parameter_and_404_in_the_path(stripe):
    refused = stripe.refused("GET", "payment_methods", {"customer": "cus_nope"})
    assert missing(refused, "customer", "cus_nope", "customer", 400)
    refused = stripe.refused("GET", "customers/cus_nope/payment_methods", {"type": "card"})
    assert missing(refused, "customer", "cus_nope", "id")


def test_details_of_a_card_can_be_changed_and_filtered_by(stripe, customer, visa):
    before = stripe.get(f"payment_methods/{visa}")
    sent = {"allow_redisplay": "limited", "billing_details": {"name": "Seven"}}
    changed = stripe.post(f"payment_methods/{visa}", sent)
    billing = {**before["billing_details"], "name": "Seven"}
    assert changed == {**before, "allow_redisplay": "limited", "billing_details": billing}
    other = stripe.card()
    stripe.post(f"payment_methods/{other}/attach", {"customer": customer})
    listed = stripe.get("payment_methods", {"customer": customer, "allow_redisplay": "limited"})
    assert listed["data"] == [changed]


def test_a_card_is_detached_once(stripe, visa):
    card = stripe.get(f"payment_methods/{visa}")
    assert stripe.post(f"payment_methods/{visa}/detach") == {**card, "customer": None}
    refused = stripe.refused("POST", f"payment_methods/{visa}/detach")
    message = "The payment method you provided is not attached to a customer so detachment is impossible."
    assert refusal(refused, 400, message)
    assert refused["request_log_url"]


def test_a_deleted_customer_has_no_cards_and_gets_none(stripe, customer, visa):
    stripe.post(f"payment_methods/{visa}/detach")
    deleted = {"id": customer, "object": "customer", "deleted": True}
    assert stripe.delete(f"customers/{customer}") == deleted
    for method, path in (("GET", "payment_methods"), ("POST", f"payment_methods/{visa}/attach")):
        refused = stripe.refused(method, path, {"customer": customer})
        assert missing(refused, "customer", customer, "customer", 400)


@pytest.mark.parametrize(
    ("method", "params", "message", "code", "param"),
    [
        ("GET", {"limit": "abc"}, "Invalid integer: abc", "parameter_invalid_integer", "limit"),
        ("GET", {"wat": "x"}, "Received unknown parameter: wat", "parameter_unknown", "wat"),
        (
            "POST",
            {"invoice_settings": {"nope": "x"}},
            "Received unknown parameter: invoice_settings[nope]",
            "parameter_unknown",
            "invoice_settings[nope]",
        ),
        (
            "GET",
            {"starting_after": "cus_a"},
            "No such customer: 'cus_a'",
            "resource_missing",
            "starting_after",
        ),
        (
            "GET",
            {"starting_after": "FIRST", "ending_before": "SECOND"},
            "Received both starting_after and ending_before parameters. Please pass in only one.",
            None,
            None,
        ),
    ],
)
def test_a_malformed_request_gets_a_precise_error(stripe, method, params, message, code, param):
    real = {word: stripe.customer(card=None) for word in ("FIRST", "SECOND")}
    sent = {
        name: real.get(value, value) if isinstance(value, str) else value for name, value in params.items()
    }
    refused = stripe.refused(method, "customers", sent)
    assert refusal(refused, 400, message, code=code, param=param)
    assert refused["request_log_url"]


def test_a_malformed_version_is_refused_with_type_and_message_only(stripe):
    refused = stripe.refused("GET", "customers", {"limit": 1}, Stripe_Version="not-a-real-version")
    message = "Invalid Stripe API version: not-a-real-version"
    assert refused == {"status": 400, "type": "invalid_request_error", "message": message}
