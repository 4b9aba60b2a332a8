"""Invoices and their payments: what the second folder of recordings shows, in our own words."""

import pytest

from tests.sandbox.assertions import holds, refusal

HOUR = 3600
NOW = 1790000000  # the story's moment


@pytest.fixture
def labelled(stripe):
    """A price of 25.00 USD a month, of a product whose unit is a user."""
    product = stripe.post("products", {"name": "Pro", "unit_label": "user"})["id"]
    params = {"product": product, "currency": "usd", "unit_amount": 2500, "recurring": {"interval": "month"}}
    return stripe.post("prices", params)["id"]


def lines(stripe, subscription):
    return [line["description"] for line in stripe.invoice(subscription["id"])["lines"]["data"]]


def test_a_line_names_the_unit_of_its_product(stripe, customer, labelled):
    bought = stripe.subscribe(customer, labelled, 10)
    assert lines(stripe, bought) == ["10 user × Pro (at $25.00 / month)"]
    stripe.change(bought, quantity=1, proration_behavior="always_invoice")
    day = "after 21 Sep 2026"
    assert lines(stripe, bought) == [f"Unused time on 10 user × Pro {day}", f"Remaining time on Pro {day}"]
    trial = stripe.subscribe(customer, labelled, trial_period_days=15)
    assert lines(stripe, trial) == ["Free trial for 1 user × Pro"]


def test_each_discount_is_named_as_a_credit_before_tax(stripe, customer):
    coupon = stripe.coupon(percent_off=10)
    bought = stripe.subscribe(customer, stripe.price(2500), discounts=[{"coupon": coupon}])
    (discount,) = bought["discounts"]
    credit = [{"amount": 250, "discount": discount, "type": "discount"}]
    invoice = stripe.invoice(bought["id"])
    assert invoice["total_pretax_credit_amounts"] == credit
    assert invoice["lines"]["data"][0]["pretax_credit_amounts"] == credit
    note = stripe.post("credit_notes", credit_of(invoice, "invoice_line_item", refund_amount=2250))
    assert holds(note, {"subtotal": 2500, "discount_amount": 250, "total": 2250, "amount": 2250})
    assert note["pretax_credit_amounts"] == note["lines"]["data"][0]["pretax_credit_amounts"] == credit
    assert note["discount_amounts"] == [{"amount": 250, "discount": discount}]


def credit_of(invoice, kind, **more):
    (line,) = invoice["lines"]["data"]
    return {"invoice": invoice["id"], "lines": [{"type": kind, kind: line["id"], "quantity": 1}], **more}


def test_a_first_payment_that_waits_for_the_bank_is_no_attempt(stripe):
    customer = stripe.customer()
    stripe.replace_card(customer, "pm_card_authenticationRequired")
    waiting = stripe.subscribe(customer, stripe.price(2500))
    invoice = stripe.invoice(waiting["id"])
    assert holds(
        invoice,
        {"status": "open", "attempted": True, "attempt_count": 0, "auto_advance": True},
        null="next_payment_attempt",
    )


def test_a_first_payment_keeps_the_card_and_has_a_secret_when_it_is_paid(stripe, customer):
    how = {"expand": ["latest_invoice.confirmation_secret", "latest_invoice.payments"]}
    invoice = stripe.subscribe(customer, stripe.price(2500), **how)["latest_invoice"]
    intent = stripe.get(f"payment_intents/{invoice['payments']['data'][0]['payment']['payment_intent']}")
    assert intent["setup_future_usage"] == "off_session"
    secret = {"client_secret": intent["client_secret"], "type": "payment_intent"}
    assert invoice["confirmation_secret"] == secret


def test_an_invoice_for_a_subscription_is_manual(stripe, customer):
    bought = stripe.subscribe(customer, stripe.price())
    invoice = stripe.post("invoices", {"customer": customer, "subscription": bought["id"]})
    assert holds(
        invoice,
        {"billing_reason": "manual", "parent.subscription_details.subscription": bought["id"], "total": 0},
    )


def test_the_webhooks_of_an_account_without_endpoints_are_delivered_at_once(stripe, customer):
    bought = stripe.subscribe(customer, stripe.price())
    assert stripe.invoice(bought["id"])["webhooks_delivered_at"] == NOW
    assert stripe.post("invoices", {"customer": customer})["webhooks_delivered_at"] == NOW
    held = stripe.post("invoices", {"customer": customer, "auto_advance": False})
    assert held["webhooks_delivered_at"] is None


def test_the_hour_of_a_draft_begins_when_it_is_created(stripe, customer):
    draft = stripe.post("invoices", {"customer": customer, "auto_advance": True})
    path = f"invoices/{draft['id']}"
    assert holds(
        stripe.post(path, {"auto_advance": False}), null="automatically_finalizes_at next_payment_attempt"
    )
    stripe.at(NOW + 600)
    on = stripe.post(path, {"auto_advance": True})
    assert (on["automatically_finalizes_at"], on["next_payment_attempt"]) == (NOW + HOUR, NOW + HOUR)


def test_the_items_of_a_deleted_draft_are_gone_and_cannot_change(stripe, customer):
    draft = stripe.post("invoices", {"customer": customer, "currency": "usd"})["id"]
    item = stripe.item(customer, 800, invoice=draft)["id"]
    stripe.delete(f"invoices/{draft}")
    message = "Can't delete an invoice item that is attached to an invoice that is no longer editable"
    assert refusal(stripe.refused("DELETE", f"invoiceitems/{item}"), 400, message)
    error = stripe.refused("POST", f"invoiceitems/{item}", {"description": "gone"})
    assert refusal(error, 400, "This invoice item has been deleted.")


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_a_missing_invoice_item_is_named_in_words(stripe, method):
    message = "No such Invoice Item: 'ii_no'(livemode=false)"
    error = stripe.refused(method, "invoiceitems/ii_no")
    assert refusal(error, 404, message, code="resource_missing", param="id")


def test_a_deleted_invoice_item_is_missing(stripe, customer):
    item = stripe.item(customer, 400)["id"]
    stripe.delete(f"invoiceitems/{item}")
    for method in ("GET", "DELETE"):
        assert stripe.refused(method, f"invoiceitems/{item}")["code"] == "resource_missing"


def test_a_new_amount_of_a_line_keeps_its_product(stripe, draft):
    (line,) = stripe.get(f"invoices/{draft}/lines")["data"]
    before = line["pricing"]["price_details"]
    after = stripe.post(f"invoices/{draft}/lines/{line['id']}", {"amount": 777})["pricing"]["price_details"]
    assert after["product"] == before["product"]
    assert after["price"] != before["price"]


DUE = (
    "You can only specify 'due_date' or 'days_until_due' if invoice collection method is 'send_invoice'.",
    "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'.",
)
NO_MAIL = (
    "Missing email. In order to create invoices that are sent to the customer, the customer must have a "
    "valid email."
)


def test_a_draft_that_is_sent_needs_a_due_date_and_an_address(stripe, customer):
    params = {"customer": customer, "days_until_due": 5}
    assert refusal(stripe.refused("POST", "invoices", params), 400, DUE[0])
    sent = {"customer": customer, "collection_method": "send_invoice"}
    assert refusal(stripe.refused("POST", "invoices", sent), 400, DUE[1])
    nobody = {**sent, "customer": stripe.post("customers")["id"], "days_until_due": 30}
    assert refusal(stripe.refused("POST", "invoices", nobody), 400, NO_MAIL)
    assert refusal(
        stripe.refused("POST", "subscriptions", {**nobody, "items": [{"price": stripe.price()}]}),
        400,
        NO_MAIL,
    )


def test_what_a_final_invoice_refuses(stripe, draft):
    stripe.post(f"invoices/{draft}/finalize")
    error = stripe.refused("POST", f"invoices/{draft}", {"description": "late"})
    assert refusal(error, 400, "Finalized invoices can't be updated in this way", param="description")
    stripe.post(f"invoices/{draft}/mark_uncollectible")
    error = stripe.refused("POST", f"invoices/{draft}/mark_uncollectible")
    assert refusal(error, 400, "This invoice has already been marked uncollectible.")
    stripe.post(f"invoices/{draft}/pay")
    error = stripe.refused("POST", f"invoices/{draft}/void")
    assert refusal(error, 400, "Invoices with `paid` payments cannot be voided.")


@pytest.mark.parametrize(
    ("method", "path", "params", "name", "words"),
    [
        ("GET", "invoices", {"status": "bogus"}, "status", "draft, open, void, paid, or uncollectible"),
        (
            "POST",
            "invoices",
            {"customer": "cus_x", "pending_invoice_items_behavior": "bogus"},
            "pending_invoice_items_behavior",
            "include or exclude",
        ),
    ],
)
def test_the_words_of_an_enum_are_in_stripes_order(stripe, method, path, params, name, words):
    error = stripe.refused(method, path, params)
    assert refusal(error, 400, f"Invalid {name}: must be one of {words}", param=name)
