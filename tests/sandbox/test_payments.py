"""Payment intents and refunds: what a decline leaves, and what each status allows."""

import pytest

from tests.sandbox.assertions import refusal

CARD = {"currency": "usd", "payment_method_types": ["card"]}


def test_an_intent_without_a_method_waits_and_ignores_the_customers_default(stripe):
    intent = stripe.post("payment_intents", {**CARD, "amount": 2000, "customer": stripe.customer()})
    assert (intent["status"], intent["payment_method"], intent["latest_charge"]) == (
        "requires_payment_method",
        None,
        None,
    )
    assert not {"charges", "invoice"} & set(intent)


def test_a_paid_intent_has_a_charge(stripe):
    intent = stripe.post(
        "payment_intents", {**CARD, "amount": 2000, "payment_method": "pm_card_visa", "confirm": True}
    )
    assert (intent["status"], intent["amount_received"]) == ("succeeded", 2000)
    charge = stripe.get(f"charges/{intent['latest_charge']}")
    assert (charge["paid"], charge["status"], charge["balance_transaction"]) == (True, "succeeded", None)
    assert "invoice" not in charge
    stripe.advance(seconds=2)
    assert stripe.get(f"charges/{charge['id']}")["balance_transaction"].startswith("txn_")


def test_a_declined_intent_exists_and_shows_why(stripe):
    card = stripe.card("tok_visa_chargeDeclined")
    params = {**CARD, "amount": 2000, "payment_method": card, "confirm": True}
    error = stripe.refused("POST", "payment_intents", params)
    assert (error["status"], error["code"], "param" in error) == (402, "card_declined", False)
    assert (error["payment_method"]["id"], error["payment_intent"]["object"]) == (card, "payment_intent")
    reasons = ("decline_code", "advice_code", "network_decline_code")
    assert [error[name] for name in reasons] == ["generic_decline", "try_again_later", "01"]
    intent = stripe.get(f"payment_intents/{error['payment_intent']['id']}")
    assert (intent["status"], intent["payment_method"]) == ("requires_payment_method", None)
    assert intent["last_payment_error"]["code"] == "card_declined"
    assert intent["latest_charge"] == error["charge"]
    charge = stripe.get(f"charges/{error['charge']}")
    assert (charge["status"], charge["paid"], charge["failure_code"]) == ("failed", False, "card_declined")
    again = {"payment_method": "pm_card_visa"}
    assert stripe.post(f"payment_intents/{intent['id']}/confirm", again)["status"] == "succeeded"


def test_a_card_that_needs_authentication_is_refused_off_session_without_a_charge(stripe):
    params = {**CARD, "amount": 2000, "payment_method": "pm_card_threeDSecure2Required", "confirm": True}
    assert stripe.post("payment_intents", params)["status"] == "requires_action"
    error = stripe.refused("POST", "payment_intents", {**params, "off_session": True})
    assert (error["status"], error["code"], "charge" in error) == (402, "authentication_required", False)
    assert "requires authentication" in error["message"]
    assert stripe.get("charges")["data"] == []
    assert stripe.events()[-2:] == ["payment_intent.created", "payment_intent.payment_failed"]


def test_a_method_needs_its_own_customer(stripe):
    customer = stripe.customer()
    method = stripe.default_card(customer)
    params = {**CARD, "amount": 2000, "payment_method": method}
    assert stripe.refused("POST", "payment_intents", params)["status"] == 400
    other = stripe.post("customers")["id"]
    assert stripe.refused("POST", "payment_intents", {**params, "customer": other})["status"] == 400
    assert (
        stripe.post("payment_intents", {**params, "customer": customer})["status"] == "requires_confirmation"
    )


def test_a_finished_intent_names_its_status_when_it_refuses(stripe):
    intent = stripe.post(
        "payment_intents", {**CARD, "amount": 2000, "payment_method": "pm_card_visa", "confirm": True}
    )
    for step in ("confirm", "cancel"):
        error = stripe.refused("POST", f"payment_intents/{intent['id']}/{step}")
        assert (error["status"], error["code"]) == (400, "payment_intent_unexpected_state")
        assert "succeeded" in error["message"]


def test_a_paid_intent_says_that_it_was_confirmed_before(stripe):
    params = {**CARD, "amount": 2000, "payment_method": "pm_card_visa", "confirm": True}
    paid = stripe.post("payment_intents", params)["id"]
    error = stripe.refused("POST", f"payment_intents/{paid}/confirm")
    assert error["message"].endswith("it has already succeeded after being previously confirmed.")


def test_an_intent_open_to_all_methods_needs_a_return_url(stripe):
    params = {"amount": 2000, "currency": "usd", "payment_method": "pm_card_visa", "confirm": True}
    error = stripe.refused("POST", "payment_intents", params)
    assert (error["status"], "code" in error, "`return_url`" in error["message"]) == (400, False, True)
    assert stripe.get("payment_intents")["data"] == []
    back = stripe.post("payment_intents", {**params, "return_url": "https://shop.example/"})
    never = {"automatic_payment_methods": {"enabled": True, "allow_redirects": "never"}}
    assert [back["status"], stripe.post("payment_intents", {**params, **never})["status"]] == [
        "succeeded"
    ] * 2
    assert back["payment_method_configuration_details"]["parent"] is None


def test_an_intent_is_captured_in_the_background_unless_an_invoice_made_it(stripe):
    assert stripe.post("payment_intents", {**CARD, "amount": 2000})["capture_method"] == "automatic_async"
    stripe.subscribe(stripe.customer(), stripe.price())
    assert stripe.get("payment_intents")["data"][0]["capture_method"] == "automatic"
    assert {"payment_intent.created", "invoice_payment.paid"} <= set(stripe.events())


def test_a_charge_cannot_be_refunded_beyond_its_amount(stripe):
    intent = stripe.post(
        "payment_intents", {**CARD, "amount": 2000, "payment_method": "pm_card_visa", "confirm": True}
    )
    assert stripe.post("refunds", {"payment_intent": intent["id"], "amount": 1500})["status"] == "succeeded"
    assert stripe.refused("POST", "refunds", {"payment_intent": intent["id"], "amount": 501})["status"] == 400
    assert stripe.post("refunds", {"payment_intent": intent["id"]})["amount"] == 500
    assert (
        stripe.refused("POST", "refunds", {"payment_intent": intent["id"]})["code"]
        == "charge_already_refunded"
    )


@pytest.mark.parametrize(
    ("card", "code", "decline", "param"),
    [
        ("tok_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds", ""),
        ("tok_chargeDeclinedExpiredCard", "expired_card", None, "exp_month"),
        ("tok_chargeDeclinedIncorrectCvc", "incorrect_cvc", None, "cvc"),
        ("tok_chargeDeclinedLostCard", "card_declined", "lost_card", ""),
    ],
)
def test_each_declining_card_shows_its_reason_when_attached(stripe, card, code, decline, param):
    method = stripe.post("payment_methods", {"type": "card", "card": {"token": card}})["id"]
    error = stripe.refused("POST", f"payment_methods/{method}/attach", {"customer": stripe.customer(None)})
    assert (error["status"], error["code"], error["param"]) == (402, code, param)
    assert error.get("decline_code") == decline


def test_detaching_the_default_card_leaves_no_default(stripe):
    customer = stripe.customer()
    method = stripe.default_card(customer)
    stripe.post(f"payment_methods/{method}/detach")
    assert stripe.default_card(customer) is None
    event = stripe.get("events", {"type": "payment_method.detached"})["data"][0]
    assert event["data"]["previous_attributes"] == {"customer": customer}


@pytest.fixture
def authorized(stripe):
    """A payment of 29.00 USD that is authorized and not captured; its intent."""
    customer = stripe.customer()
    how = {"confirm": True, "capture_method": "manual", "off_session": True}
    card = {"customer": customer, "payment_method": stripe.default_card(customer)}
    return stripe.post("payment_intents", {"amount": 2900, "currency": "usd", **card, **how})


def charge_of(stripe, intent):
    charge = stripe.get(f"charges/{intent['latest_charge']}")
    names = ("status", "captured", "amount_captured", "amount_refunded", "refunded")
    return tuple(charge[name] for name in names)


def test_an_authorized_payment_is_captured(stripe, authorized):
    assert (authorized["status"], authorized["amount_capturable"]) == ("requires_capture", 2900)
    assert charge_of(stripe, authorized) == ("succeeded", False, 0, 0, False)
    path = f"payment_intents/{authorized['id']}"
    assert stripe.refused("POST", f"{path}/capture", {"amount_to_capture": 2901})["status"] == 400
    taken = stripe.post(f"{path}/capture", {"amount_to_capture": 2000})
    assert (taken["status"], taken["amount_received"], taken["amount_capturable"]) == ("succeeded", 2000, 0)
    assert charge_of(stripe, authorized) == ("succeeded", True, 2000, 900, False)
    again = stripe.refused("POST", f"{path}/capture")
    assert (again["status"], again["code"]) == (400, "payment_intent_unexpected_state")


def test_an_authorized_payment_that_is_canceled_is_released(stripe, authorized):
    canceled = stripe.post(f"payment_intents/{authorized['id']}/cancel")
    assert (canceled["status"], canceled["amount_capturable"]) == ("canceled", 0)
    assert charge_of(stripe, authorized) == ("succeeded", False, 0, 2900, True)


def test_a_refund_of_too_much_names_both_amounts(stripe):
    paid = stripe.post(
        "payment_intents", {**CARD, "amount": 5445, "payment_method": "pm_card_visa", "confirm": True}
    )
    refund = {"charge": paid["latest_charge"], "amount": 9390}
    message = "Refund amount ($93.90) is greater than charge amount ($54.45)"
    assert refusal(stripe.refused("POST", "refunds", refund), 400, message, param="amount")
    stripe.post("refunds", {**refund, "amount": 3300})
    message = "Refund amount ($93.90) is greater than unrefunded amount on charge ($21.45)"
    assert refusal(stripe.refused("POST", "refunds", refund), 400, message, param="amount")
