"""Automatic tax at one rate: on lines, invoices, credit notes and pages; and what is done without an address.

Evidence: docs.stripe.com/tax/customer-locations (which address counts, and what becomes of an invoice
without one), docs.stripe.com/tax/zero-tax, and the SDK's types.
"""

from __future__ import annotations

from fractions import Fraction

import pytest

from seatctl.sandbox.api import control

TAX = {"automatic_tax": {"enabled": True}}
BONN = {"address": {"country": "DE", "city": "Bonn"}}
UNKNOWN = "customer_tax_location_invalid"


@pytest.fixture
def stripe(stripe):
    control.set_tax(stripe.twin, Fraction(19, 100))
    return stripe


def sums(invoice):
    """Net, tax, total, subtotal."""
    names = ("total_excluding_tax", "total", "subtotal")
    net, total, subtotal = (invoice[name] for name in names)
    tax = sum(each["amount"] for each in invoice["total_taxes"])
    assert tax == sum(each["amount"] for line in invoice["lines"]["data"] for each in line["taxes"])
    assert net + tax == total
    return net, tax, total, subtotal


def bought(stripe, behavior="exclusive", quantity=3, **more):
    customer = stripe.customer(**BONN, **more)
    subscription = stripe.subscribe(customer, stripe.price(tax_behavior=behavior), quantity, **TAX)
    return subscription, stripe.get(f"invoices/{subscription['latest_invoice']}")


@pytest.mark.parametrize(
    ("behavior", "expected"),
    [("exclusive", (3000, 570, 3570, 3000)), ("inclusive", (2521, 479, 3000, 3000))],
)
def test_an_invoice_shows_net_tax_and_total_and_the_total_is_charged(stripe, behavior, expected):
    _, invoice = bought(stripe, behavior)
    assert (invoice["status"], invoice["amount_paid"], invoice["automatic_tax"]["status"]) == (
        *("paid", expected[2]),
        "complete",
    )
    assert sums(invoice) == expected
    (tax,) = invoice["total_taxes"]
    assert (tax["tax_behavior"], tax["taxability_reason"]) == (behavior, "standard_rated")
    assert tax["taxable_amount"] == expected[0]
    rate = stripe.get(f"tax_rates/{tax['tax_rate_details']['tax_rate']}")
    assert (rate["percentage"], rate["inclusive"]) == (19.0, behavior == "inclusive")
    assert stripe.get("tax_rates")["data"] == [rate]


def test_a_change_credits_and_charges_the_tax_of_each_line(stripe):
    subscription, _ = bought(stripe)
    stripe.advance(days=10)
    change = stripe.change_of(subscription, quantity=5, proration_behavior="always_invoice")
    changed = stripe.post(f"subscriptions/{subscription['id']}", change)
    invoice = stripe.get(f"invoices/{changed['latest_invoice']}")
    credit, charge = (line for line in invoice["lines"]["data"])
    assert credit["amount"] < 0 < charge["amount"]
    for line in (credit, charge):
        (tax,) = line["taxes"]
        assert abs(tax["amount"] - Fraction(19 * line["amount"], 100)) <= Fraction(1, 2)
    assert sums(invoice)[2] == invoice["amount_paid"]


def test_a_discount_lowers_the_tax(stripe):
    coupon = stripe.post("coupons", {"percent_off": 50})["id"]
    customer = stripe.customer(**BONN)
    price = stripe.price(tax_behavior="exclusive")
    found = stripe.subscribe(customer, price, 3, discounts=[{"coupon": coupon}], **TAX)
    assert sums(stripe.get(f"invoices/{found['latest_invoice']}")) == (1500, 285, 1785, 3000)


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ({"country": "DE"}, True),
        ({"country": "US"}, False),
        ({"country": "US", "state": "OR"}, False),
        ({"country": "US", "postal_code": "97712"}, True),
        ({"country": "CA"}, False),
        ({"country": "CA", "state": "ON"}, True),
        ({"city": "Bonn"}, False),
    ],
)
def test_what_a_location_needs(stripe, address, known):
    customer, price = stripe.customer(address=address), stripe.price(tax_behavior="exclusive")
    details = {"items": [{"price": price, "quantity": 3}]}
    shown = stripe.post(
        "invoices/create_preview", {"customer": customer, "subscription_details": details, **TAX}
    )
    status = "complete" if known else "requires_location_inputs"
    assert (shown["automatic_tax"]["status"], shown["total"]) == (status, 3570 if known else 3000)
    form = {"customer": customer, "items": details["items"], **TAX}
    if known:
        assert stripe.post("subscriptions", form)["automatic_tax"]["enabled"] is True
    else:
        assert stripe.refused("POST", "subscriptions", form)["code"] == UNKNOWN


def test_the_cards_address_counts_when_it_is_charged_but_not_in_a_preview(stripe):
    card = {"type": "card", "card": {"token": "tok_visa"}, "billing_details": {**BONN}}
    method = stripe.post("payment_methods", card)["id"]
    customer, price = stripe.customer(method), stripe.price(tax_behavior="exclusive")
    details = {"items": [{"price": price, "quantity": 3}]}
    shown = stripe.post(
        "invoices/create_preview", {"customer": customer, "subscription_details": details, **TAX}
    )
    assert (shown["automatic_tax"]["status"], shown["total"]) == ("requires_location_inputs", 3000)
    found = stripe.subscribe(customer, price, 3, **TAX)
    assert stripe.get(f"invoices/{found['latest_invoice']}")["amount_paid"] == 3570


def test_a_renewal_without_a_location_is_billed_without_tax_which_is_off_from_then_on(stripe):
    subscription, _ = bought(stripe)
    stripe.post(f"customers/{subscription['customer']}", {"address": ""})
    stripe.advance(days=32)
    after = stripe.get(f"subscriptions/{subscription['id']}")
    assert after["automatic_tax"] == {
        "enabled": False,
        "liability": None,
        "disabled_reason": "requires_location_inputs",
    }
    invoice = stripe.get(f"invoices/{after['latest_invoice']}")
    assert (invoice["status"], sums(invoice)) == ("paid", (3000, 0, 3000, 3000))
    assert invoice["automatic_tax"]["disabled_reason"] == "finalization_requires_location_inputs"
    stripe.post(f"customers/{subscription['customer']}", BONN)
    on = stripe.post(f"subscriptions/{subscription['id']}", TAX)
    assert (on["automatic_tax"]["enabled"], on["automatic_tax"]["disabled_reason"]) == (True, None)


def test_an_invoice_of_no_subscription_is_not_finalized_without_a_location(stripe):
    customer = stripe.customer()
    draft = stripe.post("invoices", {"customer": customer, "currency": "usd", **TAX})["id"]
    data = {"currency": "usd", "unit_amount": 1000, "product": stripe.post("products", {"name": "P"})["id"]}
    item = {"customer": customer, "invoice": draft, "price_data": data}
    assert "tax_behavior" in stripe.refused("POST", "invoiceitems", item)["message"]
    item["price_data"] = {**data, "tax_behavior": "exclusive"}
    stripe.post("invoiceitems", item)
    assert stripe.get(f"invoices/{draft}")["automatic_tax"]["status"] == "requires_location_inputs"
    assert stripe.refused("POST", f"invoices/{draft}/finalize")["code"] == UNKNOWN
    stripe.post(f"customers/{customer}", BONN)
    assert stripe.post(f"invoices/{draft}/finalize")["amount_due"] == 1190


def test_who_pays_no_tax(stripe):
    price = stripe.price(tax_behavior="exclusive")
    vat = {"tax_id_data": [{"type": "eu_vat", "value": "DE123456789"}]}
    reliefs = [({"tax_exempt": "exempt"}, "customer_exempt"), ({"tax_exempt": "reverse"}, "reverse_charge")]
    for details, reason in (*reliefs, (vat, "reverse_charge")):
        found = stripe.subscribe(stripe.customer(**BONN, **details), price, 3, **TAX)
        (tax,) = stripe.get(f"invoices/{found['latest_invoice']}")["total_taxes"]
        assert (tax["amount"], tax["taxability_reason"]) == (0, reason)
    details = {"items": [{"price": price, "quantity": 3}]}
    given = {**BONN, "tax_ids": vat["tax_id_data"]}
    new = {"currency": "usd", "customer_details": given, "subscription_details": details, **TAX}
    assert stripe.post("invoices/create_preview", new)["total"] == 3000
    ein = {**new, "customer_details": {**BONN, "tax_ids": [{"type": "us_ein", "value": "12-3456789"}]}}
    assert stripe.post("invoices/create_preview", ein)["total"] == 3570


def test_a_product_that_is_not_taxable(stripe):
    price = stripe.price(tax_behavior="exclusive")
    product = stripe.get(f"prices/{price}")["product"]
    stripe.post(f"products/{product}", {"tax_code": "txcd_00000000"})
    found = stripe.subscribe(stripe.customer(**BONN), price, 3, **TAX)
    (tax,) = stripe.get(f"invoices/{found['latest_invoice']}")["total_taxes"]
    assert (tax["amount"], tax["taxability_reason"]) == (0, "product_exempt")


def test_a_price_must_say_whether_the_tax_is_included_unless_the_account_does(stripe):
    customer, price = stripe.customer(**BONN), stripe.price()
    form = {"customer": customer, "items": [{"price": price, "quantity": 3}], **TAX}
    assert "tax_behavior" in stripe.refused("POST", "subscriptions", form)["message"]
    control.set_tax(stripe.twin, Fraction(19, 100), "inclusive")
    found = stripe.post("subscriptions", form)
    assert sums(stripe.get(f"invoices/{found['latest_invoice']}"))[2] == 3000
    assert stripe.post(f"prices/{price}", {"tax_behavior": "exclusive"})["tax_behavior"] == "exclusive"
    assert stripe.refused("POST", f"prices/{price}", {"tax_behavior": "inclusive"})["status"] == 400


@pytest.mark.parametrize(("behavior", "tax"), [("exclusive", 57), ("inclusive", 57)])
def test_a_credit_note_gives_the_tax_back_in_proportion(stripe, behavior, tax):
    _, invoice = bought(stripe, behavior)
    note = stripe.post("credit_notes", {"invoice": invoice["id"], "refund_amount": 357})
    assert (note["total"], note["total_excluding_tax"]) == (357, 357 - tax)
    assert [each["amount"] for each in note["total_taxes"]] == [tax]
    assert note["refunds"][0]["amount_refunded"] == 357
    line = invoice["lines"]["data"][0]["id"]
    lines = [{"type": "invoice_line_item", "invoice_line_item": line, "quantity": 1}]
    one = 1190 if behavior == "exclusive" else 1000
    credit = stripe.post("credit_notes", {"invoice": invoice["id"], "lines": lines, "refund_amount": one})
    assert credit["total"] == one


def test_a_page_takes_the_address_and_the_tax_id(stripe):
    customer, price = stripe.customer(None), stripe.price(tax_behavior="exclusive")
    page = {
        "mode": "subscription", "customer": customer, "success_url": "https://example.com/", **TAX,
        "line_items": [{"price": price, "quantity": 3}], "tax_id_collection": {"enabled": True},
    }  # fmt: skip
    assert "customer_update[name]" in stripe.refused("POST", "checkout/sessions", page)["message"]
    page["customer_update"] = {"name": "auto"}
    assert stripe.refused("POST", "checkout/sessions", page)["code"] == UNKNOWN
    page["customer_update"] = {"name": "auto", "address": "auto"}
    session = stripe.post("checkout/sessions", page)
    assert (session["amount_total"], session["automatic_tax"]["status"]) == (3000, "requires_location_inputs")
    place = {"country": "US", "postal_code": "97712"}
    ein = {"type": "us_ein", "value": "12-3456789"}
    control.complete_checkout(stripe.twin, session["id"], address=place, tax_id=ein)
    session = stripe.get(f"checkout/sessions/{session['id']}")
    assert (session["amount_total"], session["total_details"]["amount_tax"]) == (3570, 570)
    assert stripe.get(f"customers/{customer}")["address"]["postal_code"] == "97712"
    (tax_id,) = stripe.get(f"customers/{customer}/tax_ids")["data"]
    assert stripe.get(f"customers/{customer}/tax_ids/{tax_id['id']}") == tax_id
    assert stripe.get(f"invoices/{session['invoice']}")["customer_tax_ids"] == [ein]


def test_a_currency_of_whole_hundreds_has_such_a_tax(stripe):
    price = stripe.price(1100, "isk", tax_behavior="exclusive")
    found = stripe.subscribe(stripe.customer(**BONN), price, 1, **TAX)
    assert sums(stripe.get(f"invoices/{found['latest_invoice']}")) == (1100, 200, 1300, 1100)
