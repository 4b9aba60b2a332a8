"""Subscriptions: what the recordings of Stripe show, in our own words."""

import pytest

from tests.sandbox.assertions import holds, missing, refusal

MONTH = 30 * 86400  # the month that begins on the story's day
NEXT_YEAR = 1798761600


@pytest.fixture
def price(stripe):
    return stripe.price(2000, "cad")


@pytest.fixture
def sub(stripe, customer, price):
    return stripe.subscribe(customer, price)


def only(subscription):
    (item,) = subscription["items"]["data"]
    return item


def test_a_new_subscription(stripe, sub, customer, price):
    item = only(sub)
    assert holds(
        sub,
        {
            "object": "subscription",
            "status": "active",
            "customer": customer,
            "currency": "cad",
            "collection_method": "charge_automatically",
            "cancel_at_period_end": False,
            "quantity": 1,
            "plan.id": price,
            "items.object": "list",
            "items.has_more": False,
            "items.total_count": 1,
            "items.url": f"/v1/subscription_items?subscription={sub['id']}",
            "discounts": [],
            "metadata": {},
            "payment_settings.save_default_payment_method": "off",
            "trial_settings.end_behavior.missing_payment_method": "create_invoice",
            "trial_settings.end_behavior.billing_cycle_anchor": "now",
            "billing_mode.type": "flexible",
            "billing_mode.flexible.proration_discounts": "included",
            "billing_cycle_anchor": sub["created"],
            "start_date": sub["created"],
            "billing_mode.updated_at": sub["created"],
        },
        null="canceled_at cancel_at ended_at cancellation_details.reason days_until_due "
        "default_payment_method pending_setup_intent pending_update pause_collection schedule trial_start "
        "trial_end next_pending_invoice_item_invoice",
        absent="current_period_start current_period_end discount billing",
        present="id latest_invoice",
    )
    assert holds(
        item,
        {
            "object": "subscription_item",
            "quantity": 1,
            "price.id": price,
            "price.unit_amount": 2000,
            "plan.amount": 2000,
            "subscription": sub["id"],
            "discounts": [],
            "current_period_start": sub["created"],
            "current_period_end": sub["created"] + MONTH,
        },
    )
    assert stripe.get(f"subscriptions/{sub['id']}") == sub


def test_subscriptions_are_listed_by_customer_price_and_status(stripe, sub, customer, price):
    whole = {"object": "list", "has_more": False, "data": [sub], "url": "/v1/subscriptions"}
    assert stripe.get("subscriptions", {"customer": customer, "status": "all"}) == whole
    assert stripe.get("subscriptions", {"price": price}) == whole
    message = (
        "Invalid status: must be one of active, past_due, unpaid, canceled, incomplete, "
        "incomplete_expired, trialing, paused, all, or ended"
    )
    assert refusal(stripe.refused("GET", "subscriptions", {"status": "bogus"}), 400, message, param="status")


def test_an_end_at_the_end_of_the_period_can_be_taken_back(stripe, sub):
    stripe.advance(seconds=60)
    url = f"subscriptions/{sub['id']}"
    ending = stripe.post(url, {"cancel_at_period_end": True})
    assert holds(
        ending,
        {
            "status": "active",
            "cancel_at_period_end": True,
            "cancel_at": only(sub)["current_period_end"],
            "canceled_at": sub["created"] + 60,
            "cancellation_details.reason": "cancellation_requested",
            "quantity": 1,
            "latest_invoice": sub["latest_invoice"],
        },
        null="ended_at cancellation_details.comment cancellation_details.feedback",
    )
    gone = "cancel_at canceled_at ended_at cancellation_details.reason"
    back = {"status": "active", "cancel_at_period_end": False, "latest_invoice": sub["latest_invoice"]}
    assert holds(stripe.post(url, {"cancel_at_period_end": False}), back, null=gone)


def test_items_are_added_changed_and_taken_off(stripe, sub):
    other = stripe.price(5000, "cad")
    stripe.advance(seconds=60)
    new_item = stripe.post("subscription_items", {"subscription": sub["id"], "price": other})
    first = only(sub)
    expected = {
        "object": "subscription_item",
        "subscription": sub["id"],
        "price.id": other,
        "price.unit_amount": 5000,
        "plan.id": other,
        "plan.amount": 5000,
        "discounts": [],
        "metadata": {},
        "tax_rates": [],
        "created": sub["created"] + 60,
        "current_period_start": first["current_period_start"],
        "current_period_end": first["current_period_end"],
    }
    assert holds(new_item, {**expected, "quantity": 1}, null="billing_thresholds current_trial", present="id")
    listed = stripe.get("subscription_items", {"subscription": sub["id"]})
    assert listed == {
        "object": "list",
        "has_more": False,
        "url": f"/v1/subscription_items?subscription={sub['id']}",
        "data": [first, new_item],
    }
    url = f"subscription_items/{new_item['id']}"
    assert holds(stripe.post(url, {"quantity": 3}), {**expected, "id": new_item["id"], "quantity": 3})
    gone = {"id": new_item["id"], "object": "subscription_item", "deleted": True}
    assert stripe.delete(url, {"proration_behavior": "none"}) == gone


def test_errors_about_missing_items(stripe):
    refused = stripe.refused("GET", "subscription_items/si_nope")
    assert refusal(refused, 404, "Invalid subscription_item id: si_nope")
    refused = stripe.refused("GET", "subscription_items")
    message = "Missing required param: subscription."
    assert refusal(refused, 400, message, code="parameter_missing", param="subscription")


def test_another_quantity_keeps_period_and_invoice(stripe, sub, price):
    item = only(sub)
    changed = stripe.post(f"subscriptions/{sub['id']}", {"items": [{"id": item["id"], "quantity": 5}]})
    expected = {
        "status": "active",
        "quantity": 5,
        "items.total_count": 1,
        "latest_invoice": sub["latest_invoice"],
    }
    assert holds(changed, expected, null="pending_update canceled_at")
    assert only(changed) == {**item, "quantity": 5}


def test_a_canceled_subscription_keeps_its_details_and_takes_metadata_only(stripe, sub):
    stripe.advance(seconds=60)
    url = f"subscriptions/{sub['id']}"
    canceled = stripe.delete(url)
    ended = sub["created"] + 60
    assert holds(
        canceled,
        {
            "id": sub["id"],
            "object": "subscription",
            "status": "canceled",
            "cancel_at_period_end": False,
            "quantity": 1,
            "canceled_at": ended,
            "ended_at": ended,
            "cancellation_details.reason": "cancellation_requested",
            "latest_invoice": sub["latest_invoice"],
        },
        null="cancel_at",
    )
    assert only(canceled)["current_period_end"] == only(sub)["current_period_end"]
    for method, path in (("DELETE", url), ("POST", f"{url}/resume")):
        assert missing(stripe.refused(method, path), "subscription", sub["id"], "id")
    assert stripe.post(url, {"metadata": {"k": "v"}}) == {**canceled, "metadata": {"k": "v"}}
    refused = stripe.refused("POST", url, {"description": "too late"})
    message = "A canceled subscription can only update its cancellation_details and metadata."
    assert refusal(refused, 400, message, code="invalid_canceled_subscription_fields")


def test_a_trial_bills_its_first_period_when_it_ends(stripe, customer, price):
    trial = stripe.subscribe(customer, price, trial_end=NEXT_YEAR)
    assert holds(
        trial,
        {
            "status": "trialing",
            "trial_start": trial["start_date"],
            "trial_end": NEXT_YEAR,
            "billing_cycle_anchor": NEXT_YEAR,
            "quantity": 1,
            "trial_settings.end_behavior.missing_payment_method": "create_invoice",
            "billing_mode.type": "flexible",
        },
        null="pending_setup_intent cancel_at",
        present="latest_invoice",
    )
    period = (only(trial)["current_period_start"], only(trial)["current_period_end"])
    assert period == (trial["start_date"], NEXT_YEAR)
    stripe.advance(seconds=60)
    ended = stripe.post(f"subscriptions/{trial['id']}", {"trial_end": "now"})
    now = trial["created"] + 60
    assert holds(ended, {"status": "active", "trial_start": trial["trial_start"], "quantity": 1})
    assert ended["latest_invoice"] != trial["latest_invoice"]
    assert ended["billing_cycle_anchor"] - ended["trial_end"] in {0, 1}
    assert ended["billing_cycle_anchor"] == now
    item = only(ended)
    assert item["id"] == only(trial)["id"]
    assert (item["current_period_start"], item["current_period_end"]) == (now, now + MONTH)


@pytest.mark.parametrize(
    ("more", "message", "param"),
    [
        (
            {"trial_end": NEXT_YEAR, "trial_from_plan": True},
            "You cannot set `trial_end` or `trial_period_days` when `trial_from_plan=true`.",
            None,
        ),
        (
            {"trial_end": 1000},
            (
                "The parameter `trial_end` expects a unix timestamp representing a date and time "
                "in the future. You specified the value `1000` which is in the past."
            ),
            "trial_end",
        ),
        (
            {"days_until_due": 5},
            "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'.",
            None,
        ),
        (
            {"payment_behavior": "pending_if_incomplete"},
            (
                "Setting `payment_behavior` to `pending_if_incomplete` has no effect when "
                "creating a subscription."
            ),
            "payment_behavior",
        ),
        (
            {"payment_behavior": "bogus"},
            (
                "Invalid payment_behavior: must be one of allow_incomplete, error_if_incomplete, "
                "pending_if_incomplete, or default_incomplete"
            ),
            "payment_behavior",
        ),
    ],
)
def test_a_subscription_is_refused(stripe, customer, price, more, message, param):
    params = {"customer": customer, "items": [{"price": price}], **more}
    assert refusal(stripe.refused("POST", "subscriptions", params), 400, message, param=param)


def test_a_subscription_needs_a_customer_and_items_that_exist(stripe, customer, price):
    def refused(**params):
        return stripe.refused("POST", "subscriptions", {"customer": customer, **params})

    lacking = refused()
    assert refusal(lacking, 400, "Missing required param: items.", code="parameter_missing", param="items")
    lacking = refused(items=[{"price": "price_nope"}])
    assert missing(lacking, "price", "price_nope", "items[0][price]", 400)
    lacking = refused(customer="cus_nope", items=[{"price": price}])
    assert missing(lacking, "customer", "cus_nope", "customer")
    message = f"Cannot create a Subscription with multiple Subscription Items with the same Price: {price}"
    assert refusal(refused(items=[{"price": price}, {"price": price}]), 400, message, param="plan")


def test_a_payment_to_authenticate_leaves_the_subscription_incomplete_or_is_refused(stripe, customer, price):
    card = stripe.card("tok_threeDSecure2Required")
    expected = {"card.last4": "3220", "card.country": "IE", "card.brand": "visa"}
    assert holds(stripe.get(f"payment_methods/{card}"), {**expected, "card.checks.cvc_check": "unchecked"})
    attached = stripe.post(f"payment_methods/{card}/attach", {"customer": customer})
    assert holds(attached, {"customer": customer, "card.checks.cvc_check": "pass"})
    waiting = stripe.subscribe(customer, price, default_payment_method=card)
    assert holds(
        waiting,
        {
            "status": "incomplete",
            "default_payment_method": card,
            "quantity": 1,
            "cancel_at_period_end": False,
            "collection_method": "charge_automatically",
        },
        null="pending_setup_intent ended_at canceled_at",
        present="latest_invoice",
    )
    begun = waiting["created"]
    item = only(waiting)
    assert (item["current_period_start"], item["current_period_end"]) == (begun, begun + MONTH)
    params = {"customer": customer, "items": [{"price": price}], "default_payment_method": card}
    refused = stripe.refused("POST", "subscriptions", {**params, "payment_behavior": "error_if_incomplete"})
    expected = {"status": 402, "type": "card_error", "code": "subscription_payment_intent_requires_action"}
    assert holds(refused, expected, absent="decline_code payment_intent doc_url param")
    assert refused["message"].startswith("Payment for this subscription requires additional user action")


def test_without_a_card_nothing_is_charged_automatically(stripe, price):
    nobody = stripe.customer(card=None)
    refused = stripe.refused("POST", "subscriptions", {"customer": nobody, "items": [{"price": price}]})
    expected = {"status": 400, "type": "invalid_request_error", "code": "resource_missing"}
    assert holds(refused, expected, absent="param")
    assert refused["message"].startswith(
        "This customer has no attached payment source or default payment method"
    )


def test_a_subscription_with_sent_invoices_is_active_at_once(stripe, customer, price):
    subscription = stripe.subscribe(customer, price, collection_method="send_invoice", days_until_due=30)
    expected = {"status": "active", "collection_method": "send_invoice", "days_until_due": 30, "quantity": 1}
    assert holds(subscription, expected, null="default_payment_method", present="latest_invoice")
    assert only(subscription)["current_period_start"] == subscription["billing_cycle_anchor"]


def test_a_trial_without_a_card_can_pause_and_is_not_resumed_without_one(stripe, price):
    nobody = stripe.customer(card=None)
    pausing = {"end_behavior": {"missing_payment_method": "pause"}}
    trial = stripe.subscribe(nobody, price, trial_end=NEXT_YEAR, trial_settings=pausing)
    expected = {
        "status": "trialing",
        "trial_end": NEXT_YEAR,
        "billing_cycle_anchor": NEXT_YEAR,
        "quantity": 1,
    }
    expected |= {"trial_settings.end_behavior.missing_payment_method": "pause"}
    assert holds(trial, expected, null="pending_update pause_collection", present="latest_invoice")
    stripe.advance(seconds=60)
    url = f"subscriptions/{trial['id']}"
    paused = stripe.post(url, {"trial_end": "now"})
    values = {"status": "paused", "pending_setup_intent": trial["pending_setup_intent"]}
    assert trial["pending_setup_intent"]
    unset = "pause_collection pending_update canceled_at"
    assert holds(paused, {**values, "latest_invoice": trial["latest_invoice"]}, null=unset)
    item = only(paused)
    assert item["current_period_start"] == only(trial)["current_period_start"]
    assert item["current_period_end"] == paused["billing_cycle_anchor"] >= paused["trial_end"]
    resumed = stripe.post(f"{url}/resume")
    anchor = paused["billing_cycle_anchor"]
    update = "billing_cycle_anchor subscription_items trial_end cancel_at_period_end"
    unset = " ".join(f"pending_update.{field}" for field in update.split())
    assert holds(resumed, {**values, "billing_cycle_anchor": anchor}, null=f"pause_collection {unset}")
    assert resumed["latest_invoice"] != paused["latest_invoice"]
    assert resumed["pending_update"]["expires_at"] - anchor >= 23 * 3600
