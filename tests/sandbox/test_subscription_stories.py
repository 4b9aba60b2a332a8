"""How subscriptions begin, wait, continue and end: authentication, trials, sent invoices, Checkout."""

import pytest

from seatctl.sandbox.api import control

DAY = 86400
HOUR = 3600


def test_a_declined_increase_leaves_the_quantity(stripe):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price(), 3)
    stripe.replace_card(customer, "pm_card_chargeCustomerFail")
    how = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"}
    change = stripe.change_of(subscription, quantity=5, **how)
    error = stripe.refused("POST", f"subscriptions/{subscription['id']}", change)
    assert (error["status"], error["code"]) == (402, "card_declined")
    assert stripe.get(f"subscriptions/{subscription['id']}")["quantity"] == 3
    assert len(stripe.get("invoices")["data"]) == 1
    assert stripe.get("invoiceitems")["data"] == []


@pytest.mark.parametrize("authenticated", [True, False])
def test_an_increase_that_needs_authentication_waits_23_hours(stripe, authenticated):
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price(), 3)
    stripe.replace_card(customer, "pm_card_threeDSecure2Required")
    how = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    held = stripe.change(subscription, quantity=5, **how)
    assert (held["quantity"], held["status"]) == (3, "active")
    assert held["pending_update"]["subscription_items"][0]["quantity"] == 5
    if authenticated:
        assert control.authenticate(stripe.twin, held["latest_invoice"]) == "paid"
    else:
        stripe.advance(seconds=23 * HOUR)
        assert stripe.get(f"invoices/{held['latest_invoice']}")["status"] == "void"
    after = stripe.get(f"subscriptions/{subscription['id']}")
    assert (after["quantity"], after["pending_update"]) == (5 if authenticated else 3, None)


@pytest.mark.parametrize("ends", [True, False])
def test_an_increase_waits_no_longer_than_the_period(stripe, ends):
    """https://docs.stripe.com/billing/subscriptions/pending-updates-reference: expired updates."""
    customer = stripe.customer()
    subscription = stripe.subscribe(customer, stripe.price(), 3)
    if ends:
        stripe.post(f"subscriptions/{subscription['id']}", {"cancel_at_period_end": True})
    stripe.replace_card(customer, "pm_card_threeDSecure2Required")
    end = stripe.get(f"subscriptions/{subscription['id']}")["items"]["data"][0]["current_period_end"]
    stripe.advance(seconds=end - stripe.twin.now() - 12 * HOUR)
    how = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}
    held = stripe.change(subscription, quantity=30, **how)
    assert held["pending_update"]["expires_at"] == end
    stripe.advance(seconds=12 * HOUR)
    assert stripe.get(f"invoices/{held['latest_invoice']}")["status"] == "void"
    after = stripe.get(f"subscriptions/{subscription['id']}")
    assert (after["status"], after["pending_update"]) == ("canceled" if ends else "active", None)


@pytest.mark.parametrize("authenticated", [True, False])
def test_a_first_payment_that_needs_authentication_is_incomplete_for_23_hours(stripe, authenticated):
    customer = stripe.customer("pm_card_threeDSecure2Required")
    subscription = stripe.subscribe(customer, stripe.price(), payment_behavior="default_incomplete")
    assert subscription["status"] == "incomplete"
    assert stripe.get(f"invoices/{subscription['latest_invoice']}")["hosted_invoice_url"]
    if authenticated:
        assert control.authenticate(stripe.twin, subscription["latest_invoice"]) == "paid"
    else:
        stripe.advance(seconds=23 * HOUR)
    status = stripe.get(f"subscriptions/{subscription['id']}")["status"]
    assert status == ("active" if authenticated else "incomplete_expired")


def test_a_renewal_that_needs_authentication_is_past_due_until_then(stripe):
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
    subscription = stripe.subscribe(stripe.customer(), stripe.price(), trial_period_days=14)
    assert (subscription["status"], stripe.invoice(subscription["id"])["total"]) == ("trialing", 0)
    stripe.advance(days=14, seconds=2 * HOUR)
    after = stripe.get(f"subscriptions/{subscription['id']}")
    assert (after["status"], stripe.invoice(subscription["id"])["amount_paid"]) == ("active", 1000)
    assert after["items"]["data"][0]["current_period_start"] == subscription["trial_end"]


@pytest.mark.parametrize(
    ("ending", "status"), [("pause", "paused"), ("cancel", "canceled"), ("create_invoice", "past_due")]
)
def test_a_trial_without_a_card_ends_as_its_settings_say(stripe, ending, status):
    settings = {"end_behavior": {"missing_payment_method": ending}}
    subscription = stripe.subscribe(
        stripe.customer(None), stripe.price(), trial_period_days=7, trial_settings=settings
    )
    stripe.advance(days=8)
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == status


def test_with_sent_invoices_it_is_active_at_once_and_past_due_after_the_due_date(stripe):
    subscription = stripe.subscribe(
        stripe.customer(None), stripe.price(), collection_method="send_invoice", days_until_due=10
    )
    assert subscription["status"] == "active"
    stripe.advance(seconds=2 * HOUR)
    sent = stripe.invoice(subscription["id"])
    assert (sent["status"], sent["due_date"]) == (
        "open",
        sent["status_transitions"]["finalized_at"] + 10 * DAY,
    )
    stripe.advance(days=10)
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == "past_due"
    stripe.post(f"invoices/{sent['id']}/pay", {"paid_out_of_band": True})
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == "active"


def test_a_paused_collection_voids_what_it_bills(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    stripe.post(f"subscriptions/{subscription['id']}", {"pause_collection": {"behavior": "void"}})
    stripe.advance(days=31)
    assert stripe.invoice(subscription["id"])["status"] == "void"
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == "active"


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
    subscription = stripe.subscribe(stripe.customer(), stripe.price(1000), 5, cancel_at_period_end=True)
    end = subscription["items"]["data"][0]["current_period_end"]
    renewed = stripe.post(
        f"subscriptions/{subscription['id']}",
        {"trial_end": end + 30 * DAY, "proration_behavior": "none", "cancel_at_period_end": True},
    )
    assert (renewed["status"], renewed["cancel_at"]) == ("trialing", end + 30 * DAY)
    assert stripe.invoice(subscription["id"])["total"] == 0
    stripe.advance(days=59)
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == "trialing"
    stripe.advance(days=2)
    assert stripe.get(f"subscriptions/{subscription['id']}")["status"] == "canceled"
    assert sum(obj["amount_paid"] for obj in stripe.get("invoices")["data"]) == 5000


def test_parameters_that_would_be_ignored_are_refused(stripe):
    error = stripe.refused(
        "POST", "invoices", {"customer": stripe.customer(), "default_tax_rates": ["txr_1"]}
    )
    assert (error["status"], error["param"]) == (400, "default_tax_rates")


def test_canceling_stops_the_retries_of_open_invoices(stripe):
    customer = stripe.customer("pm_card_chargeCustomerFail")
    subscription = stripe.subscribe(customer, stripe.price(), trial_period_days=1)
    stripe.advance(days=2)
    owed = stripe.invoice(subscription["id"])
    assert (owed["status"], owed["attempt_count"], owed["auto_advance"]) == ("open", 1, True)
    stripe.delete(f"subscriptions/{subscription['id']}")
    stripe.replace_card(customer)
    stripe.advance(days=10)
    after = stripe.get(f"invoices/{owed['id']}")
    assert (after["status"], after["auto_advance"], after["next_payment_attempt"]) == ("open", False, None)
    assert stripe.post(f"invoices/{owed['id']}/pay")["status"] == "paid"


def test_canceling_an_incomplete_subscription_expires_it(stripe):
    price = stripe.price()
    subscription = stripe.subscribe(stripe.customer("pm_card_threeDSecure2Required"), price)
    ended = stripe.delete(f"subscriptions/{subscription['id']}")
    assert (ended["status"], ended["canceled_at"]) == ("incomplete_expired", ended["ended_at"])
    assert stripe.invoice(subscription["id"])["status"] == "void"
    assert stripe.events()[-1] == "customer.subscription.updated"
    # Without a status, only canceled subscriptions are left out.
    assert [obj["id"] for obj in stripe.get("subscriptions", {"price": price})["data"]] == [
        subscription["id"]
    ]
    assert stripe.get("subscriptions", {"price": price, "status": "ended"})["data"] != []


def test_an_end_within_the_period_credits_the_rest_and_taking_it_back_charges_it_again(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price(3000))
    path, start = f"subscriptions/{subscription['id']}", subscription["created"]

    def pending():
        return [obj["amount"] for obj in stripe.get("invoiceitems", {"pending": True})["data"]]

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
    assert sum(line["amount"] for line in stripe.invoice(subscription["id"])["lines"]["data"]) == 0


def test_ends_and_trials_are_refused_as_on_stripe(stripe):
    request = {"customer": stripe.customer(), "items": [{"price": stripe.price()}]}
    for params, param in (
        ({"cancel_at": 1000}, "cancel_at"),
        ({"cancel_at": 1790500000, "cancel_at_period_end": True}, "cancel_at"),
        ({"trial_end": 1790000000 + 800 * DAY}, "trial_end"),
        ({"trial_period_days": 800}, "trial_period_days"),
        ({"trial_period_days": -1}, "trial_period_days"),
        ({"items": [{"price": request["items"][0]["price"], "quantity": -1}]}, "items[0][quantity]"),
    ):
        error = stripe.refused("POST", "subscriptions", {**request, **params})
        assert (error["status"], error["param"]) == (400, param)


def test_an_items_endpoint_names_its_own_parameters(stripe):
    subscription = stripe.subscribe(stripe.customer(), stripe.price())
    item = subscription["items"]["data"][0]["id"]
    for path, params, param in (
        ("subscription_items", {"subscription": subscription["id"]}, "price"),
        ("subscription_items", {"subscription": subscription["id"], "price": "price_no"}, "price"),
        (f"subscription_items/{item}", {"quantity": -1}, "quantity"),
    ):
        assert stripe.refused("POST", path, params)["param"] == param


def test_what_bills_an_incomplete_subscription_cannot_change(stripe):
    subscription = stripe.subscribe(stripe.customer("pm_card_threeDSecure2Required"), stripe.price())
    path, item = f"subscriptions/{subscription['id']}", subscription["items"]["data"][0]["id"]
    assert stripe.refused("POST", path, {"items": [{"id": item, "quantity": 2}]})["param"] == "items"
    assert stripe.refused("POST", f"subscription_items/{item}", {"quantity": 2})["status"] == 400
    assert stripe.post(path, {"metadata": {"a": "1"}})["metadata"] == {"a": "1"}


def test_automatic_tax_alone_is_turned_on_once_the_customer_has_a_location(stripe):
    customer = stripe.customer()
    path, tax = f"subscriptions/{stripe.subscribe(customer, stripe.price())['id']}", {"enabled": True}
    error = stripe.refused("POST", path, {"automatic_tax": tax})
    assert error["code"] == "customer_tax_location_invalid"
    stripe.post(f"customers/{customer}", {"address": {"country": "DE"}})
    assert stripe.post(path, {"automatic_tax": tax})["automatic_tax"]["enabled"] is True
