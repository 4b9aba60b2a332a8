"""Which fields an answer leaves out, and which are null: the sandbox follows Stripe.

The Python SDK's types do not distinguish the two; the rules are those of Stripe's published specification.
"""


def test_an_item_that_is_not_a_proration_has_no_proration_details(stripe):
    item = stripe.item(stripe.customer(), 700)
    assert "proration_details" not in item
    assert item["frozen_fields"] == []


def test_the_net_amount_of_an_item_is_null_while_discounts_may_apply(stripe):
    customer = stripe.customer()
    item = stripe.item(customer, 700)
    assert item["net_amount"] is None
    fixed = stripe.post(f"invoiceitems/{item['id']}", {"discountable": False})
    assert fixed["net_amount"] == 700


def test_an_item_for_a_subscription_names_no_subscription_item(stripe):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price())["id"]
    parent = stripe.item(customer, 700, subscription=subscription)["parent"]
    assert parent["subscription_details"] == {"subscription": subscription}


def test_a_credit_of_a_pending_charge_names_the_item_and_no_invoice(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    for quantity in (2, 3):
        stripe.change(subscription, quantity=quantity)
    newest = stripe.get("invoiceitems", {"pending": True})["data"]
    credited = newest[0]["proration_details"]["credited_items"]
    assert credited == {"invoice_item": newest[3]["id"], "type": "invoice_item"}


def test_a_subscription_shows_all_its_settings_and_an_item_no_prebilling(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    assert subscription["invoice_settings"] == {
        "account_tax_ids": None,
        "custom_fields": None,
        "description": None,
        "footer": None,
        "issuer": {"type": "self"},
    }
    assert set(subscription["cancellation_details"]) == {"comment", "feedback", "feedback_option", "reason"}
    assert "billed_until" not in subscription["items"]["data"][0]


def test_a_charge_shows_how_its_card_was_used(stripe):
    stripe.subscribe(stripe.customer(), stripe.price())
    (charge,) = stripe.get("charges")["data"]
    card = charge["payment_method_details"]["card"]
    assert (card["amount_authorized"], card["network"], card["three_d_secure"]) == (1000, "visa", None)
    assert "display_brand" not in card
    refund = stripe.post("refunds", {"charge": charge["id"]})
    assert (refund["customer"], refund["payment_method"]) == (charge["customer"], charge["payment_method"])


def test_a_shipping_address_has_all_its_parts(stripe):
    shipping = {"name": "Store", "address": {"line1": "1 Main St"}}
    customer = stripe.customer(shipping=shipping)
    stored = stripe.get(f"customers/{customer}")["shipping"]
    assert stored["phone"] is None
    assert stored["address"] == {
        **dict.fromkeys(("city", "country", "line2", "postal_code", "state")),
        "line1": "1 Main St",
    }
    assert stripe.post(f"customers/{customer}", {"shipping": ""})["shipping"] is None


def test_a_checkout_session_has_null_for_what_was_not_sent(stripe):
    params = {"mode": "setup", "currency": "usd", "success_url": "https://shop.example/"}
    checkout = stripe.post("checkout/sessions", params)
    assert checkout["allow_promotion_codes"] is None
    assert checkout["collected_information"] is None
    assert "return_url" not in checkout


def test_tiers_options_and_tax_ids_are_shown_if_expanded(stripe):
    product = stripe.post("products", {"name": "Seat"})["id"]
    base = {"product": product, "currency": "usd"}
    tiers = [{"up_to": 5, "unit_amount": 500}, {"up_to": "inf", "unit_amount": 400, "flat_amount": 9}]
    tiered = {"billing_scheme": "tiered", "tiers_mode": "graduated", "tiers": tiers}
    price = stripe.post("prices", {**base, **tiered, "recurring": {"interval": "month"}})["id"]
    shown = stripe.get(f"prices/{price}", {"expand": ["tiers"]})["tiers"]
    assert [(obj["up_to"], obj["unit_amount"], obj["flat_amount"]) for obj in shown] == [
        (5, 500, None),
        (None, 400, 9),
    ]
    options = {"unit_amount": 2000, "currency_options": {"eur": {"unit_amount": 1800}}}
    price = stripe.post("prices", {**base, **options})
    assert "currency_options" not in price
    answer = stripe.get(f"prices/{price['id']}", {"expand": ["currency_options"]})["currency_options"]
    assert {name: obj["unit_amount"] for name, obj in answer.items()} == {"eur": 1800, "usd": 2000}
    customer = stripe.customer()
    stripe.post(f"customers/{customer}/tax_ids", {"type": "eu_vat", "value": "DE123456789"})
    assert stripe.get(f"customers/{customer}", {"expand": ["tax_ids"]})["tax_ids"]["total_count"] == 1


def test_what_is_made_once_can_be_named_later(stripe):
    """Updates of charges, refunds and credit notes; the lines of a note; setup intents; a tax id."""
    customer = stripe.customer()
    bought = stripe.subscribe(customer, stripe.price(), trial_period_days=3)
    paid = stripe.post(f"invoices/{stripe.draft(customer)}/pay", {"expand": ["payments"]})
    intent = paid["payments"]["data"][0]["payment"]["payment_intent"]
    charge = stripe.get("charges", {"payment_intent": intent})["data"][0]["id"]
    assert stripe.post(f"charges/{charge}", {"description": "Seats"})["description"] == "Seats"
    refund = stripe.post("refunds", {"charge": charge, "amount": 500})["id"]
    assert stripe.post(f"refunds/{refund}", {"metadata": {"why": "late"}})["metadata"] == {"why": "late"}
    note = stripe.post("credit_notes", {"invoice": paid["id"], "amount": 300, "credit_amount": 300})
    assert stripe.post(f"credit_notes/{note['id']}", {"memo": "sorry"})["memo"] == "sorry"
    assert stripe.get(f"credit_notes/{note['id']}/lines")["data"] == note["lines"]["data"]
    tax_id = stripe.post(f"customers/{customer}/tax_ids", {"type": "eu_vat", "value": "DE123456789"})
    assert stripe.get(f"customers/{customer}/tax_ids/{tax_id['id']}") == tax_id
    assert bought["pending_setup_intent"] is None
    nobody = stripe.subscribe(stripe.customer(card=None), stripe.price(), trial_period_days=3)
    (waiting,) = stripe.get("setup_intents", {"customer": nobody["customer"]})["data"]
    assert waiting["id"] == nobody["pending_setup_intent"]


def test_what_a_customer_shows_on_request(stripe):
    names = ["tax", "sources", "cash_balance", "invoice_credit_balance"]
    somewhere = stripe.customer(address={"country": "DE", "city": "Bonn"})
    shown = stripe.get(f"customers/{somewhere}", {"expand": names})
    assert shown["tax"]["location"] == {"country": "DE", "source": "billing_address", "state": None}
    assert (shown["sources"]["data"], shown["cash_balance"], shown["invoice_credit_balance"]) == (
        [],
        None,
        {},
    )
    nowhere = stripe.get(f"customers/{stripe.customer()}", {"expand": ["tax"]})
    assert nowhere["tax"]["automatic_tax"] == "unrecognized_location"
    assert not set(names) & set(stripe.get(f"customers/{somewhere}"))
