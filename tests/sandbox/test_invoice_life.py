"""Invoices from draft to paid, void or uncollectible: what each step changes, and what is refused."""


def test_a_manual_draft_waits_and_leaves_pending_items_out(stripe):
    customer = stripe.customer()
    item = stripe.item(customer, 700)
    left_out = stripe.post("invoices", {"customer": customer})
    assert (left_out["auto_advance"], left_out["parent"], left_out["total"]) == (False, None, 0)
    assert left_out["billing_reason"] == "manual"
    assert (left_out["automatically_finalizes_at"], left_out["next_payment_attempt"]) == (None, None)
    taken = stripe.post("invoices", {"customer": customer, "pending_invoice_items_behavior": "include"})
    assert (taken["total"], taken["lines"]["data"][0]["parent"]["invoice_item_details"]["invoice_item"]) == (
        700,
        item["id"],
    )
    assert taken["lines"]["data"][0]["parent"]["type"] == "invoice_item_details"


def test_lines_can_change_until_the_invoice_is_final(stripe, draft):
    line = stripe.get(f"invoices/{draft}/lines")["data"][0]["id"]
    assert stripe.post(f"invoices/{draft}/lines/{line}", {"amount": 3000})["amount"] == 3000
    more = stripe.post(f"invoices/{draft}/add_lines", {"lines": [{"amount": 500, "description": "extra"}]})
    assert (more["total"], more["lines"]["total_count"]) == (3500, 2)
    less = stripe.post(f"invoices/{draft}/remove_lines", {"lines": [{"id": line, "behavior": "delete"}]})
    assert (less["total"], less["lines"]["total_count"]) == (500, 1)
    stripe.post(f"invoices/{draft}/finalize")
    assert stripe.refused("POST", f"invoices/{draft}/add_lines", {"lines": [{"amount": 1}]})["status"] == 400


def test_the_first_attempt_counts_and_another_by_hand_does_not(stripe, draft):
    error = stripe.refused("POST", f"invoices/{draft}/pay", {"payment_method": "pm_card_chargeCustomerFail"})
    assert (error["status"], error["code"]) == (402, "card_declined")
    invoice = stripe.get(f"invoices/{draft}")
    assert (invoice["status"], invoice["attempt_count"], invoice["attempted"]) == ("open", 1, True)
    paid = stripe.post(f"invoices/{draft}/pay")
    assert (paid["status"], paid["attempt_count"]) == ("paid", 1)


def test_a_void_invoice_keeps_its_amounts(stripe, draft):
    stripe.post(f"invoices/{draft}/finalize")
    void = stripe.post(f"invoices/{draft}/void")
    assert (void["status"], void["amount_due"], void["amount_remaining"]) == ("void", 2500, 2500)
    assert void["status_transitions"]["voided_at"]


def test_voiding_returns_used_credit(stripe):
    customer = stripe.customer(balance=-1000)
    invoice = stripe.draft(customer)
    assert stripe.post(f"invoices/{invoice}/finalize")["amount_due"] == 1500
    assert stripe.get(f"customers/{customer}")["balance"] == 0
    stripe.post(f"invoices/{invoice}/void")
    assert stripe.get(f"customers/{customer}")["balance"] == -1000


def test_an_uncollectible_invoice_can_still_be_paid(stripe, draft):
    stripe.post(f"invoices/{draft}/finalize")
    assert stripe.post(f"invoices/{draft}/mark_uncollectible")["amount_remaining"] == 2500
    assert stripe.post(f"invoices/{draft}/pay")["status"] == "paid"


def test_a_final_invoice_takes_metadata_but_no_description(stripe, draft):
    stripe.post(f"invoices/{draft}/finalize")
    assert stripe.post(f"invoices/{draft}", {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}
    assert stripe.refused("POST", f"invoices/{draft}", {"description": "x"})["status"] == 400


def test_auto_advance_finalizes_and_pays_after_an_hour(stripe, draft):
    soon = stripe.post(f"invoices/{draft}", {"auto_advance": True})
    assert soon["automatically_finalizes_at"] - soon["created"] >= 3600
    assert stripe.post(f"invoices/{draft}", {"auto_advance": False})["automatically_finalizes_at"] is None
    stripe.post(f"invoices/{draft}", {"auto_advance": True})
    stripe.advance(seconds=3600)
    assert stripe.get(f"invoices/{draft}")["status"] == "paid"


def test_a_sum_below_the_smallest_charge_is_carried_to_the_next_invoice(stripe):
    customer = stripe.customer()
    invoice = stripe.draft(customer, 49)
    small = stripe.post(f"invoices/{invoice}/finalize")
    # 0.49 is below 0.50: nothing is charged, and the customer owes it.
    assert (small["status"], small["amount_due"], small["ending_balance"]) == ("paid", 0, 49)
    assert stripe.get(f"customers/{customer}")["balance"] == 49


def test_a_credit_note_refunds_the_charge_that_paid(stripe, draft):
    stripe.post(f"invoices/{draft}/pay")
    note = stripe.post("credit_notes", {"invoice": draft, "amount": 1000, "refund_amount": 1000})
    assert (note["status"], note["type"], note["refunds"][0]["amount_refunded"]) == (
        "issued",
        "post_payment",
        1000,
    )
    assert stripe.get("charges")["data"][0]["amount_refunded"] == 1000
    assert stripe.get(f"invoices/{draft}")["post_payment_credit_notes_amount"] == 1000
    error = stripe.refused("POST", "credit_notes", {"invoice": draft, "amount": 1501, "refund_amount": 1501})
    assert error["status"] == 400
    assert len(stripe.get("refunds")["data"]) == 1


def test_a_credit_note_on_an_open_invoice_lowers_what_is_due(stripe, draft):
    stripe.post(f"invoices/{draft}/finalize")
    stripe.post("credit_notes", {"invoice": draft, "amount": 1000})
    assert stripe.get(f"invoices/{draft}")["amount_remaining"] == 1500
    assert stripe.post(f"invoices/{draft}/pay")["amount_paid"] == 1500


def test_a_price_data_item_bills_the_locked_amount(stripe):
    customer, product = stripe.customer(), stripe.post("products", {"name": "Seat"})["id"]
    invoice = stripe.post(
        "invoices",
        {
            "customer": customer,
            "currency": "usd",
            "auto_advance": False,
            "pending_invoice_items_behavior": "exclude",
            "discounts": "",
        },
    )["id"]
    data = {
        "product": product,
        "currency": "usd",
        "unit_amount_decimal": "1200",
        "tax_behavior": "unspecified",
    }
    item = stripe.post(
        "invoiceitems",
        {"customer": customer, "invoice": invoice, "quantity": 5, "price_data": data, "discountable": False},
    )
    assert (item["amount"], item["quantity"], item["pricing"]["price_details"]["product"]) == (
        6000,
        5,
        product,
    )
    assert stripe.post(f"invoices/{invoice}/pay")["amount_paid"] == 6000


def test_a_manual_invoice_takes_all_pending_prorations_and_one_for_a_subscription_only_its_own(stripe):
    customer = stripe.customer()
    subscription = [stripe.subscribe(customer, stripe.price(1000)) for _ in range(2)]
    for obj in subscription:
        stripe.change(obj, quantity=2)
    stripe.item(customer, 70)
    include = {"customer": customer, "pending_invoice_items_behavior": "include"}
    own = stripe.post("invoices", {**include, "subscription": subscription[0]["id"]})
    # 1 -> 2 seats at once: -10.00 and +20.00 for the whole period.
    assert [line["amount"] for line in own["lines"]["data"]] == [-1000, 2000]
    assert own["parent"]["subscription_details"]["subscription"] == subscription[0]["id"]
    rest = stripe.post("invoices", include)
    assert [line["amount"] for line in rest["lines"]["data"]] == [70, -1000, 2000]
    assert rest["parent"] is None
    details = rest["lines"]["data"][1]["parent"]["subscription_item_details"]
    assert details["subscription"] == subscription[1]["id"]
    assert stripe.get("invoiceitems", {"pending": True})["data"] == []


def test_a_draft_is_finalized_and_dated_as_requested(stripe, draft):
    invoice = stripe.get(f"invoices/{draft}")
    later = invoice["created"] + 2 * 86400
    expected = stripe.post(f"invoices/{draft}", {"automatically_finalizes_at": later, "effective_at": later})
    assert expected["automatically_finalizes_at"] == later
    stripe.advance(days=1)
    assert stripe.get(f"invoices/{draft}")["status"] == "draft"
    stripe.advance(days=1)
    final = stripe.get(f"invoices/{draft}")
    assert (final["status"] != "draft", final["effective_at"]) == (True, later)


def test_a_draft_that_cannot_be_finalized_stays_a_draft_and_says_why(stripe):
    """The customer's address is gone when the hour is over, so the tax is not known."""
    customer = stripe.customer(address={"country": "DE", "city": "Bonn"})
    draft = stripe.draft(customer, auto_advance=True, automatic_tax={"enabled": True})
    stripe.post(f"customers/{customer}", {"address": ""})
    stripe.advance(seconds=3700)
    invoice = stripe.get(f"invoices/{draft}")
    assert (invoice["status"], invoice["automatically_finalizes_at"]) == ("draft", None)
    assert invoice["last_finalization_error"]["code"] == "customer_tax_location_invalid"
    assert "invoice.finalization_failed" in stripe.events()
    stripe.post(f"customers/{customer}", {"address": {"country": "DE", "city": "Bonn"}})
    paid = stripe.post(f"invoices/{draft}/pay")
    assert (paid["status"], paid["last_finalization_error"]) == ("paid", None)
