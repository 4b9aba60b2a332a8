"""Requests and histories that once made the sandbox itself fail."""


def test_a_draft_of_a_deleted_customer_does_not_stop_the_clock(stripe):
    gone, stays = stripe.customer(), stripe.customer()
    invoice = stripe.draft(gone, 900, auto_advance=True)
    subscription = stripe.subscribe(stays, stripe.price())["id"]
    stripe.delete(f"customers/{gone}")
    stripe.advance(days=31)
    after = stripe.get(f"invoices/{invoice}")
    assert (after["status"], after["automatically_finalizes_at"]) == ("draft", None)
    assert stripe.invoice(subscription)["billing_reason"] == "subscription_cycle"


def test_a_line_added_with_a_product_of_its_own_makes_the_product(stripe):
    invoice = stripe.post("invoices", {"customer": stripe.customer(), "currency": "usd"})["id"]
    data = {"currency": "usd", "unit_amount": 300, "product_data": {"name": "Setup"}}
    (line,) = stripe.post(f"invoices/{invoice}/add_lines", {"lines": [{"price_data": data, "quantity": 2}]})[
        "lines"
    ]["data"]
    assert (line["amount"], line["description"]) == (600, "Setup")
    assert stripe.get(f"products/{line['pricing']['price_details']['product']}")["name"] == "Setup"


def test_inline_prices_need_a_product_and_an_amount(stripe):
    customer = stripe.customer()
    invoice = stripe.post("invoices", {"customer": customer, "currency": "usd"})["id"]
    bare = {"lines": [{"price_data": {"currency": "usd", "unit_amount": 300}}]}
    error = stripe.refused("POST", f"invoices/{invoice}/add_lines", bare)
    assert error["param"] == "lines[0][price_data][product]"
    assert error["message"] == "Missing required param: lines[0][price_data][product]."
    product = stripe.post("products", {"name": "Seat"})["id"]
    free = {"customer": customer, "price_data": {"currency": "usd", "product": product}}
    assert stripe.refused("POST", "invoiceitems", free)["param"] == "price_data[unit_amount]"


def test_a_chosen_id_cannot_replace_another_object(stripe):
    price = stripe.price()
    for path, more in (("products", {"name": "x"}), ("coupons", {"percent_off": 5})):
        error = stripe.refused("POST", path, {"id": price, **more})
        assert error["code"] == "resource_already_exists"
    assert stripe.get(f"prices/{price}")["object"] == "price"


def test_no_parameter_that_changes_a_bill_is_ignored(stripe):
    customer, price = stripe.customer(), stripe.price(1000)
    item = stripe.post(
        "invoiceitems",
        {"customer": customer, "currency": "usd", "unit_amount_decimal": "50", "quantity_decimal": 4},
    )
    assert (item["amount"], item["quantity"]) == (200, 4)
    part = {"customer": customer, "currency": "usd", "unit_amount_decimal": "50", "quantity_decimal": "1.5"}
    assert stripe.refused("POST", "invoiceitems", part)["param"] == "quantity_decimal"
    params = {"customer": customer, "items": [{"price": price}]}
    itemized = {"type": "flexible", "flexible": {"proration_discounts": "itemized"}}
    refusal = stripe.refused("POST", "subscriptions", {**params, "billing_mode": itemized})
    assert refusal["param"] == "billing_mode"
    free = {**params, "billing_cycle_anchor": 1790500000, "proration_behavior": "none"}
    assert stripe.refused("POST", "subscriptions", free)["param"] == "proration_behavior"


def test_a_trial_may_come_from_the_price(stripe):
    product = stripe.post("products", {"name": "Pro"})["id"]
    recurring = {"interval": "month", "trial_period_days": 14}
    price = stripe.post(
        "prices", {"product": product, "currency": "usd", "unit_amount": 1000, "recurring": recurring}
    )["id"]
    subscription = stripe.subscribe(stripe.customer(), price, trial_from_plan=True)
    assert (subscription["status"], subscription["trial_end"] - subscription["trial_start"]) == (
        "trialing",
        14 * 86400,
    )


def test_items_added_to_a_running_subscription_come_with_its_next_invoice(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000))
    data = {
        "currency": "usd",
        "unit_amount": 250,
        "product": stripe.post("products", {"name": "Setup"})["id"],
    }
    stripe.post(f"subscriptions/{subscription['id']}", {"add_invoice_items": [{"price_data": data}]})
    stripe.advance(days=31)
    invoice = stripe.invoice(subscription["id"])
    assert [line["amount"] for line in invoice["lines"]["data"]] == [250, 1000]
    wrong = {"add_invoice_items": [{"price": "price_no"}]}
    error = stripe.refused("POST", f"subscriptions/{subscription['id']}", wrong)
    assert error["param"] == "add_invoice_items[0][price]"
