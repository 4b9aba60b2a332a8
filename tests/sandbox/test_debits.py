"""Bank debits: processed for days of the sandbox's clock, then paid or failed, under a mandate.

The test ids are those of Stripe's pages on testing SEPA Direct Debit and ACH Direct Debit; what a
subscription is meanwhile is from its pages on setting up a subscription with them.
"""

import pytest

from seatctl.sandbox.api import control

SEPA, ACH = "pm_sepaDebit_{}_at", "pm_usBankAccount_{}"
WAYS = [
    (SEPA.format("success"), "eur", 5, None),
    (SEPA.format("successDelayed"), "eur", 14, None),
    (SEPA.format("failed"), "eur", 6, "insufficient_funds"),
    (SEPA.format("failedDelayed"), "eur", 14, "insufficient_funds"),
    (ACH.format("success"), "usd", 4, None),
    (ACH.format("insufficientFunds"), "usd", 4, "insufficient_funds"),
    (ACH.format("accountClosed"), "usd", 4, "account_closed"),
    (ACH.format("noAccount"), "usd", 4, "no_account"),
    (ACH.format("debitNotAuthorized"), "usd", 4, "debit_not_authorized"),
]


def _intent(stripe, invoice):
    (payment,) = stripe.get(f"invoices/{invoice}", {"expand": ["payments"]})["payments"]["data"]
    return stripe.get(
        f"payment_intents/{payment['payment']['payment_intent']}", {"expand": ["latest_charge"]}
    )


@pytest.mark.parametrize(("method", "currency", "days", "failure"), WAYS, ids=[way[0] for way in WAYS])
def test_a_first_payment_is_processed_for_days_then_paid_or_failed(stripe, method, currency, days, failure):
    made = stripe.subscribe(
        stripe.customer(method), stripe.price(currency=currency), 3, payment_behavior="error_if_incomplete"
    )
    invoice = made["latest_invoice"]
    for _ in range(days):
        intent = _intent(stripe, invoice)
        assert (intent["status"], intent["latest_charge"]["status"]) == ("processing", "pending")
        assert stripe.get(f"invoices/{invoice}")["status"] == "open"
        assert stripe.get(f"subscriptions/{made['id']}")["status"] == "active"
        stripe.advance(days=1)
    intent = _intent(stripe, invoice)
    invoice, now = stripe.get(f"invoices/{invoice}"), stripe.get(f"subscriptions/{made['id']}")["status"]
    if failure is None:
        assert (intent["status"], invoice["status"], now) == ("succeeded", "paid", "active")
        assert (intent["amount_received"], invoice["amount_paid"]) == (3000, 3000)
        assert stripe.events()[-3:] == ["invoice_payment.paid", "invoice.paid", "invoice.payment_succeeded"]
    else:
        assert (intent["status"], invoice["status"], now) == ("requires_payment_method", "open", "past_due")
        assert intent["latest_charge"]["failure_code"] == intent["last_payment_error"]["code"] == failure
        assert "invoice.payment_failed" in stripe.events()[-3:]
    stripe.advance(days=10)
    assert stripe.get(f"invoices/{invoice['id']}")["status"] == invoice["status"]


def test_one_test_account_is_processed_for_ever(stripe):
    made = stripe.subscribe(stripe.customer(ACH.format("processing")), stripe.price())
    stripe.advance(days=29)
    assert _intent(stripe, made["latest_invoice"])["status"] == "processing"
    again = stripe.refused("POST", f"invoices/{made['latest_invoice']}/pay")
    assert (again["status"], again["code"]) == (400, "payment_intent_unexpected_state")


def test_a_renewal_is_debited_too(stripe):
    made = stripe.subscribe(stripe.customer(ACH.format("success")), stripe.price())
    stripe.advance(days=30, seconds=7200)
    invoice = stripe.invoice(made["id"])
    assert (invoice["billing_reason"], invoice["status"]) == ("subscription_cycle", "open")
    assert (invoice["attempted"], invoice["next_payment_attempt"]) == (True, None)
    stripe.advance(days=4)
    assert stripe.invoice(made["id"])["status"] == "paid"


@pytest.mark.parametrize(
    ("method", "currency"), [(SEPA.format("success"), "usd"), (ACH.format("success"), "eur")]
)
def test_a_debit_is_in_its_own_currency_only(stripe, method, currency):
    customer, price = stripe.customer(method), stripe.price(currency=currency)
    params = {"customer": customer, "items": [{"price": price}]}
    assert stripe.refused("POST", "subscriptions", params)["code"] == "payment_intent_invalid_currency"
    assert stripe.get("subscriptions", {"customer": customer})["data"] == []


def test_a_debit_is_made_under_one_mandate(stripe):
    made = stripe.subscribe(stripe.customer(SEPA.format("success")), stripe.price(currency="eur"))
    first = _intent(stripe, made["latest_invoice"])["latest_charge"]["payment_method_details"]
    assert (first["type"], first["sepa_debit"]["last4"]) == ("sepa_debit", "3201")
    mandate = stripe.get(f"mandates/{first['sepa_debit']['mandate']}")
    assert (mandate["status"], mandate["type"]) == ("active", "multi_use")
    stripe.advance(days=31)
    again = _intent(stripe, stripe.invoice(made["id"])["id"])["latest_charge"]["payment_method_details"]
    assert again["sepa_debit"]["mandate"] == mandate["id"]
    assert stripe.get(f"payment_methods/{mandate['payment_method']}")["type"] == "sepa_debit"


@pytest.mark.parametrize(
    ("currency", "offered"),
    [("eur", ["card", "sepa_debit"]), ("usd", ["card", "us_bank_account"]), ("gbp", ["card"])],
)
def test_checkout_offers_the_debits_of_the_currency(stripe, currency, offered):
    form = {"customer": stripe.customer(None), "success_url": "https://example.com"}
    items = [{"price": stripe.price(currency=currency), "quantity": 1}]
    page = stripe.post("checkout/sessions", {**form, "mode": "subscription", "line_items": items})
    setup = stripe.post("checkout/sessions", {**form, "mode": "setup", "currency": currency})
    assert page["payment_method_types"] == setup["payment_method_types"] == offered
    other = {**form, "mode": "subscription", "line_items": items, "payment_method_types": ["bacs_debit"]}
    if currency != "gbp":
        assert stripe.refused("POST", "checkout/sessions", other)["code"] == "payment_intent_invalid_currency"


def test_nobody_authenticates_what_a_bank_is_processing(stripe):
    made = stripe.subscribe(stripe.customer(ACH.format("success")), stripe.price())
    with pytest.raises(ValueError, match="does not wait"):
        control.authenticate(stripe.twin, made["latest_invoice"])
    assert len(stripe.get("charges")["data"]) == 1
