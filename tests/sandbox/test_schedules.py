"""Subscription schedules and trials on Stripe's page, as Stripe's documentation describes them."""

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.errors import ApiError
from tests.sandbox.assertions import holds
from tests.sandbox.test_contract import missing, whole

DAY = 86400
HOUR = 3600


@pytest.fixture
def subscription(stripe):
    return stripe.subscribe(stripe.customer(), stripe.price(), 5)


def scheduled(stripe, subscription, *phases, **more):
    """Return a schedule whose first phase is the running period, followed by these phases."""
    schedule = stripe.post("subscription_schedules", {"from_subscription": subscription["id"]})
    if not phases:
        return schedule
    (first,) = schedule["phases"]
    items = [{name: item[name] for name in ("price", "quantity")} for item in first["items"]]
    running = {"items": items, "start_date": first["start_date"], "end_date": first["end_date"]}
    return stripe.post(f"subscription_schedules/{schedule['id']}", {"phases": [running, *phases], **more})


def now(stripe, subscription):
    return stripe.get(f"subscriptions/{subscription['id']}")


def test_it_begins_with_the_running_period_and_is_named_on_the_subscription(stripe, subscription):
    schedule = scheduled(stripe, subscription)
    item = subscription["items"]["data"][0]
    period = {"start_date": item["current_period_start"], "end_date": item["current_period_end"]}
    assert holds(
        schedule,
        {
            "status": "active",
            "subscription": subscription["id"],
            "customer": subscription["customer"],
            "end_behavior": "release",
            "current_phase.start_date": period["start_date"],
            "phases.0.items.0.quantity": 5,
            "phases.0.items.0.price": item["price"]["id"],
        },
        null="released_at canceled_at completed_at released_subscription",
    )
    assert schedule["current_phase"] == period
    assert (whole(schedule), missing(schedule)) == ([], [])
    assert now(stripe, subscription)["schedule"] == schedule["id"]
    assert stripe.get(f"subscription_schedules/{schedule['id']}") == schedule
    assert stripe.everything("subscription_schedules") == [schedule]


def test_the_next_phase_overwrites_the_seats_before_the_renewal_bills_them(stripe, subscription):
    price = subscription["items"]["data"][0]["price"]["id"]
    scheduled(stripe, subscription, {"items": [{"price": price, "quantity": 8}]})
    stripe.change(subscription, quantity=20, proration_behavior="none")
    assert now(stripe, subscription)["quantity"] == 20
    stripe.advance(days=30, seconds=2 * HOUR)
    after = now(stripe, subscription)
    assert (after["quantity"], stripe.invoice(subscription["id"])["total"]) == (8, 8000)
    assert after["items"]["data"][0]["id"] == subscription["items"]["data"][0]["id"]


def test_after_its_last_phase_it_is_released_or_ends_the_subscription(stripe, subscription):
    other = stripe.subscribe(stripe.customer(), stripe.price(), 1)
    price = other["items"]["data"][0]["price"]["id"]
    first = scheduled(stripe, subscription)
    second = scheduled(stripe, other, {"items": [{"price": price, "quantity": 1}]}, end_behavior="cancel")
    stripe.advance(days=30, seconds=2 * HOUR)
    assert now(stripe, subscription)["schedule"] is None
    released = stripe.get(f"subscription_schedules/{first['id']}")
    assert (released["status"], released["released_subscription"]) == ("released", subscription["id"])
    assert stripe.invoice(subscription["id"])["amount_paid"] == 5000
    stripe.advance(days=31)
    assert now(stripe, other)["status"] == "canceled"
    assert stripe.get(f"subscription_schedules/{second['id']}")["status"] == "completed"


@pytest.mark.parametrize("change", [{"cancel_at_period_end": True}, {"cancel_at": 1790000000 + DAY}, None])
def test_only_the_schedule_ends_its_subscription(stripe, subscription, change):
    schedule = scheduled(stripe, subscription)
    path = f"subscriptions/{subscription['id']}"
    refusal = stripe.refused("POST", path, change) if change else stripe.refused("DELETE", path)
    assert f"managed by the subscription schedule `{schedule['id']}`" in refusal["message"]
    assert now(stripe, subscription)["cancel_at"] is None
    stripe.post(f"subscription_schedules/{schedule['id']}/release")
    assert stripe.post(path, {"cancel_at_period_end": True})["cancel_at_period_end"] is True


def test_canceling_it_ends_the_subscription(stripe, subscription):
    schedule = scheduled(stripe, subscription)
    canceled = stripe.post(f"subscription_schedules/{schedule['id']}/cancel")
    assert (canceled["status"], now(stripe, subscription)["status"]) == ("canceled", "canceled")
    again = stripe.refused("POST", f"subscription_schedules/{schedule['id']}/release")
    assert "currently in the `canceled` status" in again["message"]


def page(stripe, **more):
    return stripe.post(
        "checkout/sessions",
        {
            "mode": "subscription",
            "line_items": [{"price": stripe.price(), "quantity": 4}],
            "success_url": "https://e.example/",
            "subscription_data": {
                "trial_period_days": 7,
                "trial_settings": {"end_behavior": {"missing_payment_method": "pause"}},
            },
            **more,
        },
    )


def test_a_page_may_begin_a_trial_without_a_card(stripe):
    session = page(stripe, payment_method_collection="if_required")
    assert session["amount_total"] == 0
    assert control.complete_checkout(stripe.twin, session["id"], "none") == "complete"
    done = stripe.get(f"checkout/sessions/{session['id']}")
    trial = stripe.get(f"subscriptions/{done['subscription']}")
    assert (done["payment_status"], trial["status"]) == ("no_payment_required", "trialing")
    stripe.advance(days=8)
    assert now(stripe, trial)["status"] == "paused"


def test_a_page_asks_for_a_card_unless_it_says_otherwise(stripe):
    session = page(stripe)
    with pytest.raises(ApiError, match="needs a payment method"):
        control.complete_checkout(stripe.twin, session["id"], "none")
    control.complete_checkout(stripe.twin, session["id"])
    trial = stripe.get(f"checkout/sessions/{session['id']}")["subscription"]
    stripe.advance(days=7, seconds=2 * HOUR)
    assert stripe.invoice(trial)["amount_paid"] == 4000
