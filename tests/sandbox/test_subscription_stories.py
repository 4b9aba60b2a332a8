"""How a subscription begins, waits, goes on and ends: authentication, trials, on account, Checkout."""

import pytest

from seatctl.sandbox.api import control

DAY = 86400
HOUR = 3600


def test_a_declined_increase_leaves_the_quantity(stripe):
    customer = stripe.customer()
    made = stripe.subscribe(customer, stripe.price(), 3)
    stripe.replace_card(customer, "pm_card_chargeCustomerFail")
    error = stripe.refused(
        "POST",
        f"subscriptions/{made['id']}",
        {
            "items": [{"id": made["items"]["data"][0]["id"], "quantity": 5}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "error_if_incomplete",
        },
    )
    assert (error["status"], error["code"]) == (402, "card_declined")
    assert stripe.get(f"subscriptions/{made['id']}")["quantity"] == 3
    assert len(stripe.get("invoices")["data"]) == 1
    assert stripe.get("invoiceitems")["data"] == []


@pytest.mark.parametrize("authenticated", [True, False])
def test_an_increase_that_wants_authentication_waits_23_hours(stripe, authenticated):
    customer = stripe.customer()
    made = stripe.subscribe(customer, stripe.price(), 3)
    stripe.replace_card(customer, "pm_card_threeDSecure2Required")
    held = stripe.post(
        f"subscriptions/{made['id']}",
        {
            "items": [{"id": made["items"]["data"][0]["id"], "quantity": 5}],
            "proration_behavior": "always_invoice",
            "payment_behavior": "pending_if_incomplete",
        },
    )
    assert (held["quantity"], held["status"]) == (3, "active")
    assert held["pending_update"]["subscription_items"][0]["quantity"] == 5
    if authenticated:
        assert control.authenticate(stripe.twin, held["latest_invoice"]) == "paid"
    else:
        stripe.advance(seconds=23 * HOUR)
        assert stripe.get(f"invoices/{held['latest_invoice']}")["status"] == "void"
    after = stripe.get(f"subscriptions/{made['id']}")
    assert (after["quantity"], after["pending_update"]) == (5 if authenticated else 3, None)


@pytest.mark.parametrize("authenticated", [True, False])
def test_a_first_payment_that_wants_authentication_is_incomplete_for_23_hours(stripe, authenticated):
    customer = stripe.customer("pm_card_threeDSecure2Required")
    made = stripe.subscribe(customer, stripe.price(), payment_behavior="default_incomplete")
    assert made["status"] == "incomplete"
    assert stripe.get(f"invoices/{made['latest_invoice']}")["hosted_invoice_url"]
    if authenticated:
        assert control.authenticate(stripe.twin, made["latest_invoice"]) == "paid"
    else:
        stripe.advance(seconds=23 * HOUR)
    status = stripe.get(f"subscriptions/{made['id']}")["status"]
    assert status == ("active" if authenticated else "incomplete_expired")


def test_a_renewal_that_wants_authentication_is_past_due_until_it_is_given(stripe):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price())["id"]
    stripe.replace_card(customer, "pm_card_threeDSecure2Required")
    stripe.advance(days=31)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "past_due"
    assert "invoice.payment_action_required" in stripe.events()
    control.authenticate(stripe.twin, stripe.invoice(subscription)["id"])
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "active"


def test_cancel_at_period_end_ends_without_another_invoice(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(), cancel_at_period_end=True)["id"]
    stripe.advance(days=29)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "active"
    stripe.advance(days=2)
    assert stripe.get(f"subscriptions/{subscription}")["status"] == "canceled"
    assert len(stripe.get("invoices")["data"]) == 1


def test_a_trial_becomes_paid_when_it_ends(stripe):
    made = stripe.subscribe(stripe.customer(), stripe.price(), trial_period_days=14)
    assert (made["status"], stripe.invoice(made["id"])["total"]) == ("trialing", 0)
    stripe.advance(days=14, seconds=2 * HOUR)
    after = stripe.get(f"subscriptions/{made['id']}")
    assert (after["status"], stripe.invoice(made["id"])["amount_paid"]) == ("active", 1000)
    assert after["items"]["data"][0]["current_period_start"] == made["trial_end"]


@pytest.mark.parametrize(
    ("ending", "status"), [("pause", "paused"), ("cancel", "canceled"), ("create_invoice", "past_due")]
)
def test_a_trial_without_a_card_ends_as_its_settings_say(stripe, ending, status):
    settings = {"end_behavior": {"missing_payment_method": ending}}
    made = stripe.subscribe(
        stripe.customer(None), stripe.price(), trial_period_days=7, trial_settings=settings
    )
    stripe.advance(days=8)
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == status


def test_on_account_is_active_at_once_and_past_due_after_its_date(stripe):
    made = stripe.subscribe(
        stripe.customer(None), stripe.price(), collection_method="send_invoice", days_until_due=10
    )
    assert made["status"] == "active"
    stripe.advance(seconds=2 * HOUR)
    sent = stripe.invoice(made["id"])
    assert (sent["status"], sent["due_date"]) == (
        "open",
        sent["status_transitions"]["finalized_at"] + 10 * DAY,
    )
    stripe.advance(days=10)
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == "past_due"
    stripe.post(f"invoices/{sent['id']}/pay", {"paid_out_of_band": True})
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == "active"


def test_a_paused_collection_voids_what_it_bills(stripe):
    made = stripe.subscribe(stripe.customer(), stripe.price())
    stripe.post(f"subscriptions/{made['id']}", {"pause_collection": {"behavior": "void"}})
    stripe.advance(days=31)
    assert stripe.invoice(made["id"])["status"] == "void"
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == "active"


def test_checkout_buys_when_the_customer_pays_on_its_page(stripe):
    price = stripe.price()
    session = stripe.post(
        "checkout/sessions",
        {
            "mode": "subscription",
            "line_items": [{"price": price, "quantity": 4}],
            "success_url": "https://e.example/",
        },
    )
    assert (session["status"], session["subscription"], session["amount_total"]) == ("open", None, 4000)
    assert control.complete_checkout(stripe.twin, session["id"]) == "complete"
    done = stripe.get(f"checkout/sessions/{session['id']}")
    assert stripe.get(f"subscriptions/{done['subscription']}")["quantity"] == 4
    late = stripe.post(
        "checkout/sessions", {"mode": "setup", "currency": "usd", "success_url": "https://e.example/"}
    )
    stripe.advance(days=1)
    assert stripe.get(f"checkout/sessions/{late['id']}")["status"] == "expired"


def test_a_term_renewed_by_trial_end_is_free_until_the_new_end(stripe):
    made = stripe.subscribe(stripe.customer(), stripe.price(1000), 5, cancel_at_period_end=True)
    end = made["items"]["data"][0]["current_period_end"]
    renewed = stripe.post(
        f"subscriptions/{made['id']}",
        {"trial_end": end + 30 * DAY, "proration_behavior": "none", "cancel_at_period_end": True},
    )
    assert (renewed["status"], renewed["cancel_at"]) == ("trialing", end + 30 * DAY)
    assert stripe.invoice(made["id"])["total"] == 0
    stripe.advance(days=59)
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == "trialing"
    stripe.advance(days=2)
    assert stripe.get(f"subscriptions/{made['id']}")["status"] == "canceled"
    assert sum(each["amount_paid"] for each in stripe.get("invoices")["data"]) == 5000


def test_what_would_be_ignored_is_refused(stripe):
    error = stripe.refused(
        "POST", "invoices", {"customer": stripe.customer(), "default_tax_rates": ["txr_1"]}
    )
    assert (error["status"], error["param"]) == (400, "default_tax_rates")


def test_canceling_stops_the_retries_of_what_is_open(stripe):
    customer = stripe.customer("pm_card_chargeCustomerFail")
    made = stripe.subscribe(customer, stripe.price(), trial_period_days=1)
    stripe.advance(days=2)
    owed = stripe.invoice(made["id"])
    assert (owed["status"], owed["attempt_count"], owed["auto_advance"]) == ("open", 1, True)
    stripe.delete(f"subscriptions/{made['id']}")
    stripe.replace_card(customer)
    stripe.advance(days=10)
    left = stripe.get(f"invoices/{owed['id']}")
    assert (left["status"], left["auto_advance"], left["next_payment_attempt"]) == ("open", False, None)
    assert stripe.post(f"invoices/{owed['id']}/pay")["status"] == "paid"


def test_canceling_an_incomplete_subscription_expires_it(stripe):
    price = stripe.price()
    made = stripe.subscribe(stripe.customer("pm_card_threeDSecure2Required"), price)
    ended = stripe.delete(f"subscriptions/{made['id']}")
    assert (ended["status"], ended["canceled_at"]) == ("incomplete_expired", ended["ended_at"])
    assert stripe.invoice(made["id"])["status"] == "void"
    assert stripe.events()[-1] == "customer.subscription.updated"
    # Only what was canceled is left out where no status is named.
    assert [each["id"] for each in stripe.get("subscriptions", {"price": price})["data"]] == [made["id"]]
    assert stripe.get("subscriptions", {"price": price, "status": "ended"})["data"] != []


def test_an_end_within_the_period_gives_the_rest_back_and_taking_it_back_bills_it_again(stripe):
    made = stripe.subscribe(stripe.customer(), stripe.price(3000))
    path, start = f"subscriptions/{made['id']}", made["created"]

    def pending():
        return [each["amount"] for each in stripe.get("invoiceitems", {"pending": True})["data"]]

    ends = stripe.post(path, {"cancel_at": start + 10 * DAY})
    assert (ends["cancel_at"], ends["cancel_at_period_end"]) == (start + 10 * DAY, False)
    # Twenty of thirty days.
    assert pending() == [-2000]
    assert stripe.post(path, {"cancel_at": ""})["cancel_at"] is None
    assert pending() == [2000, -2000]
    stripe.post(path, {"cancel_at": start + 10 * DAY, "proration_behavior": "none"})
    assert pending() == [2000, -2000]
    stripe.advance(days=11)
    assert stripe.get(path)["ended_at"] == start + 10 * DAY
    assert sum(line["amount"] for line in stripe.invoice(made["id"])["lines"]["data"]) == 0


def test_ends_and_trials_are_refused_where_stripe_refuses_them(stripe):
    wanted = {"customer": stripe.customer(), "items": [{"price": stripe.price()}]}
    for params, param in (
        ({"cancel_at": 1000}, "cancel_at"),
        ({"cancel_at": 1790500000, "cancel_at_period_end": True}, "cancel_at"),
        ({"trial_end": 1790000000 + 800 * DAY}, "trial_end"),
        ({"trial_period_days": 800}, "trial_period_days"),
        ({"trial_period_days": -1}, "trial_period_days"),
        ({"items": [{"price": wanted["items"][0]["price"], "quantity": -1}]}, "items[0][quantity]"),
    ):
        error = stripe.refused("POST", "subscriptions", {**wanted, **params})
        assert (error["status"], error["param"]) == (400, param)


def test_an_items_endpoint_names_its_own_parameters(stripe):
    made = stripe.subscribe(stripe.customer(), stripe.price())
    item = made["items"]["data"][0]["id"]
    for path, params, param in (
        ("subscription_items", {"subscription": made["id"]}, "price"),
        ("subscription_items", {"subscription": made["id"], "price": "price_no"}, "price"),
        (f"subscription_items/{item}", {"quantity": -1}, "quantity"),
    ):
        assert stripe.refused("POST", path, params)["param"] == param


def test_what_an_incomplete_subscription_bills_cannot_be_changed(stripe):
    made = stripe.subscribe(stripe.customer("pm_card_threeDSecure2Required"), stripe.price())
    path, item = f"subscriptions/{made['id']}", made["items"]["data"][0]["id"]
    assert stripe.refused("POST", path, {"items": [{"id": item, "quantity": 2}]})["param"] == "items"
    assert stripe.refused("POST", f"subscription_items/{item}", {"quantity": 2})["status"] == 400
    assert stripe.post(path, {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}
