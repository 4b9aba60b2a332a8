"""Facts about Stripe that no shared recording shows: from its documentation and its SDK."""

CARD = {"currency": "usd", "payment_method_types": ["card"]}


def test_a_missing_customer_is_400_for_an_invoice_and_404_for_a_subscription(stripe):
    assert stripe.refused("POST", "invoices", {"customer": "cus_no"})["status"] == 400
    params = {"customer": "cus_no", "items": [{"price": stripe.price()}]}
    assert stripe.refused("POST", "subscriptions", params)["status"] == 404


def test_the_event_of_a_post_has_a_key_and_that_of_a_delete_has_none(stripe):
    customer = stripe.post("customers")["id"]
    stripe.delete(f"customers/{customer}")
    keys = [event["request"]["idempotency_key"] for event in stripe.get("events")["data"]]
    assert (keys[0], len(keys[1])) == (None, 36)


def test_a_deleted_customer_has_three_keys_and_its_card_is_detached(stripe):
    customer = stripe.customer()
    card = stripe.default_card(customer)
    stripe.delete(f"customers/{customer}")
    assert stripe.get(f"customers/{customer}") == {"id": customer, "object": "customer", "deleted": True}
    assert stripe.get(f"payment_methods/{card}")["customer"] is None
    for path in ("invoices", "subscriptions", "charges", "payment_intents", "invoiceitems"):
        assert stripe.refused("GET", path, {"customer": customer})["param"] == "customer"


def test_filters_and_cursors_go_together(stripe):
    ids = [stripe.post("customers", {"email": f"{n % 2}@e.example"})["id"] for n in range(6)]
    page = stripe.get("customers", {"email": "1@e.example", "starting_after": ids[4], "limit": 1})
    assert ([obj["id"] for obj in page["data"]], page["has_more"]) == ([ids[3]], True)


def test_a_draft_shows_the_present_balance_and_finalizing_applies_it(stripe):
    customer = stripe.customer(balance=-500)
    invoice = stripe.draft(customer, 2000)
    seen = stripe.get(f"invoices/{invoice}")
    assert (seen["starting_balance"], seen["ending_balance"], seen["amount_due"]) == (-500, None, 1500)
    stripe.post(f"customers/{customer}/balance_transactions", {"amount": -300, "currency": "usd"})
    assert stripe.get(f"invoices/{invoice}")["amount_due"] == 1200
    final = stripe.post(f"invoices/{invoice}/finalize")
    # 20.00 less 5.00 and 3.00 of credit: 12.00 are due; the total stays.
    assert (final["total"], final["amount_due"], final["ending_balance"]) == (2000, 1200, 0)
    (move, *_) = stripe.get(f"customers/{customer}/balance_transactions")["data"]
    assert (move["type"], move["amount"], move["ending_balance"]) == ("applied_to_invoice", 800, 0)
    assert move["invoice"] == invoice


def test_a_balance_is_not_spent_in_another_currency(stripe):
    customer = stripe.customer()
    stripe.post(f"customers/{customer}/balance_transactions", {"amount": -900, "currency": "usd"})
    invoice = stripe.draft(customer, 800, "cad")
    assert stripe.post(f"invoices/{invoice}/pay")["amount_paid"] == 800
    assert stripe.get(f"customers/{customer}")["balance"] == -900


def test_paid_out_of_band_counts_no_attempt_and_cancels_the_payment(stripe, draft):
    final = stripe.post(f"invoices/{draft}/finalize", {"expand": ["payments"]})
    intent = final["payments"]["data"][0]["payment"]["payment_intent"]
    paid = stripe.post(f"invoices/{draft}/pay", {"paid_out_of_band": True})
    assert (paid["status"], paid["amount_due"]) == ("paid", 2500)
    assert (paid["amount_paid"], paid["amount_remaining"]) == (2500, 0)
    assert (paid["attempted"], paid["attempt_count"]) == (False, 0)
    assert stripe.get(f"payment_intents/{intent}")["status"] == "canceled"


def test_the_event_of_a_changed_draft_has_its_old_sums(stripe, draft):
    customer = stripe.get(f"invoices/{draft}")["customer"]
    stripe.item(customer, 100, invoice=draft)
    event = stripe.get("events", {"type": "invoice.updated", "limit": 1})["data"][0]
    assert event["data"]["object"]["total"] == 2600
    assert event["data"]["previous_attributes"]["total"] == 2500


def test_items_removed_from_a_draft_are_gone_or_pending_again(stripe, draft):
    customer = stripe.get(f"invoices/{draft}")["customer"]
    item = stripe.item(customer, 700)["id"]
    taken = stripe.post(f"invoices/{draft}/add_lines", {"lines": [{"invoice_item": item}]})
    assert (taken["total"], stripe.get(f"invoiceitems/{item}")["invoice"]) == (3200, draft)
    line = taken["lines"]["data"][1]["id"]
    after = stripe.post(f"invoices/{draft}/remove_lines", {"lines": [{"id": line, "behavior": "unassign"}]})
    assert (after["total"], stripe.get(f"invoiceitems/{item}")["invoice"]) == (2500, None)
    pending = stripe.get("invoiceitems", {"customer": customer, "pending": True})["data"]
    assert [obj["id"] for obj in pending] == [item]
    stripe.delete(f"invoices/{draft}")
    assert [obj["id"] for obj in stripe.get("invoiceitems", {"customer": customer})["data"]] == [item]


def test_lines_are_pending_items_newest_first_then_what_was_added_in_order(stripe):
    customer = stripe.customer()
    for amount in (1, 2):
        stripe.item(customer, amount)
    include = {"customer": customer, "pending_invoice_items_behavior": "include"}
    invoice = stripe.post("invoices", include)["id"]
    for amount in (3, 4):
        stripe.item(customer, amount, invoice=invoice)
    lines = stripe.get(f"invoices/{invoice}/lines", {"limit": 3})
    assert ([obj["amount"] for obj in lines["data"]], lines["has_more"]) == ([2, 1, 3], True)


def test_a_detached_card_can_be_neither_used_nor_attached(stripe):
    customer = stripe.customer()
    card = stripe.default_card(customer)
    stripe.post(f"payment_methods/{card}/detach")
    for method, path, params in (
        ("POST", f"payment_methods/{card}/attach", {"customer": customer}),
        ("POST", "payment_intents", {**CARD, "amount": 900, "payment_method": card, "confirm": True}),
    ):
        error = stripe.refused(method, path, params)
        assert (error["status"], "code" in error) == (400, False)


def test_a_missing_authentication_off_session_is_the_intents_last_error(stripe):
    params = {**CARD, "amount": 900, "payment_method": "pm_card_threeDSecure2Required", "confirm": True}
    error = stripe.refused("POST", "payment_intents", {**params, "off_session": True})
    intent = stripe.get(f"payment_intents/{error['payment_intent']['id']}")
    assert intent["last_payment_error"]["code"] == "authentication_required"
    assert (intent["status"], intent["payment_method"], intent["latest_charge"]) == (
        "requires_payment_method",
        None,
        None,
    )
    assert error["payment_method"]["card"]["last4"] == "3220"


def test_an_amount_cannot_change_once_it_is_paid(stripe):
    params = {**CARD, "amount": 900, "payment_method": "pm_card_visa", "confirm": True}
    paid = stripe.post("payment_intents", params)["id"]
    error = stripe.refused("POST", f"payment_intents/{paid}", {"amount": 800})
    assert (error["status"], error["code"]) == (400, "payment_intent_unexpected_state")
    assert error["param"] == "amount"
    assert "succeeded" in error["message"]
    assert "requires_payment_method" in error["message"]


def test_the_sandbox_refuses_what_it_cannot_bill(stripe):
    tiers = {
        "billing_scheme": "tiered",
        "tiers_mode": "volume",
        "tiers": [{"up_to": "inf", "unit_amount": 5}],
    }
    product = stripe.post("products", {"name": "Tiered"})["id"]
    monthly = {"product": product, "currency": "usd", "recurring": {"interval": "month"}}
    price = stripe.post("prices", {**monthly, **tiers})["id"]
    params = {"customer": stripe.customer(), "items": [{"price": price}]}
    assert stripe.refused("POST", "subscriptions", params)["param"] == "items[0][price]"
    options = {"amount_off": 5, "currency": "usd", "currency_options": {"eur": {"amount_off": 5}}}
    assert stripe.refused("POST", "coupons", options)["param"] == "currency_options"


def test_a_coupon_of_some_products_does_not_lower_others(stripe):
    customer = stripe.customer()
    products = [stripe.post("products", {"name": name})["id"] for name in ("Desk", "Room")]
    monthly = {"currency": "usd", "recurring": {"interval": "month"}, "unit_amount": 1000}
    prices = [stripe.post("prices", {**monthly, "product": product})["id"] for product in products]
    half = {"percent_off": 50, "applies_to": {"products": products[:1]}, "expand": ["applies_to"]}
    coupon = stripe.post("coupons", half)
    assert coupon["applies_to"] == {"products": products[:1]}
    items = [{"price": price} for price in prices]
    params = {"customer": customer, "items": items, "discounts": [{"coupon": coupon["id"]}]}
    invoice = stripe.post("invoices/create_preview", _as_preview(params))
    assert (invoice["subtotal"], invoice["total"]) == (2000, 1500)
    params["items"] = items[1:]
    invoice = stripe.post("invoices/create_preview", _as_preview(params))
    assert (invoice["total"], invoice["total_discount_amounts"]) == (1000, [])
    unknown = {"percent_off": 5, "applies_to": {"products": ["prod_nope"]}}
    assert stripe.refused("POST", "coupons", unknown)["code"] == "resource_missing"


def _as_preview(params: dict) -> dict:
    rest = {name: params[name] for name in ("customer", "discounts")}
    return {**rest, "subscription_details": {"items": params["items"]}}


def test_confirming_the_intent_of_an_invoice_pays_the_invoice(stripe, draft):
    final = stripe.post(f"invoices/{draft}/finalize", {"expand": ["payments"]})
    intent = final["payments"]["data"][0]["payment"]["payment_intent"]
    card = stripe.default_card(final["customer"])
    assert stripe.post(f"payment_intents/{intent}/confirm", {"payment_method": card})["status"] == "succeeded"
    paid = stripe.get(f"invoices/{draft}")
    assert (paid["status"], paid["amount_paid"], paid["attempt_count"]) == ("paid", 2500, 1)


def test_a_key_belongs_to_the_endpoint_it_was_first_used_for(stripe):
    stripe.post("customers", {"name": "A"}, Idempotency_Key="k")
    error = stripe.refused("POST", "products", {"name": "A"}, Idempotency_Key="k")
    assert (error["status"], error["type"]) == (400, "idempotency_error")
    assert "/v1/customers" in error["message"]
