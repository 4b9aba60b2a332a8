"""What Stripe documents per subscription (docs.stripe.com/rate-limits): one request more is answered 429.

10 new invoices a minute and 20 a day, 200 updates of quantities an hour. Nothing of such a request is kept.
"""

import pytest

from seatctl.sandbox.api import control

NOW = 1_790_000_000


@pytest.fixture
def running(stripe):
    """A subscription that was bought at NOW: its first invoice counts."""
    stripe.at(NOW)
    return stripe.subscribe(stripe.customer(), stripe.price())


def add_seats(stripe, subscription, quantity):
    change = stripe.change_of(subscription, quantity=quantity, proration_behavior="always_invoice")
    return stripe.send("POST", f"/v1/subscriptions/{subscription['id']}", change)


def is_refused(answer):
    status, body, headers = answer
    assert (status, body["error"]["code"]) == (429, "rate_limit")
    assert body["error"]["type"] == "invalid_request_error"
    return "Retry-After" not in headers


def test_the_eleventh_invoice_within_a_minute_is_refused_and_changes_nothing(stripe, running):
    for quantity in range(2, 11):
        assert add_seats(stripe, running, quantity)[0] == 200
    assert is_refused(add_seats(stripe, running, 11))
    stored = stripe.get(f"subscriptions/{running['id']}")
    assert stored["items"]["data"][0]["quantity"] == 10
    assert len(stripe.everything("invoices", {"subscription": running["id"]})) == 10
    assert stripe.everything("invoiceitems", {"pending": True}) == []
    stripe.at(NOW + 60)
    assert add_seats(stripe, running, 11)[0] == 200


def test_the_twenty_first_invoice_of_a_day_is_refused(stripe, running):
    for number in range(1, 20):
        stripe.at(NOW + number * 60)
        assert add_seats(stripe, running, 1 + number)[0] == 200
    stripe.at(NOW + 20 * 60)
    assert is_refused(add_seats(stripe, running, 30))
    draft = {"customer": running["customer"], "subscription": running["id"]}
    assert is_refused(stripe.send("POST", "/v1/invoices", draft))
    # Another subscription, a change without an invoice and a preview are not limited by it.
    assert stripe.subscribe(running["customer"], stripe.price())["status"] == "active"
    assert stripe.change(running, quantity=30, proration_behavior="none")["quantity"] == 30
    assert stripe.preview(running, stripe.change_of(running, quantity=31))["total"] > 0
    stripe.at(NOW + 86400)
    assert add_seats(stripe, running, 32)[0] == 200


def test_a_renewal_by_the_clock_is_not_limited(stripe, running):
    for quantity in range(2, 11):
        assert add_seats(stripe, running, quantity)[0] == 200
    stripe.advance(days=31)
    reasons = [
        one["billing_reason"] for one in stripe.everything("invoices", {"subscription": running["id"]})
    ]
    assert reasons[0] == "subscription_cycle"


def test_the_201st_update_of_quantities_within_an_hour_is_refused(stripe, running):
    path = f"/v1/subscriptions/{running['id']}"
    for number in range(200):
        change = stripe.change_of(running, quantity=2 + number % 2, proration_behavior="none")
        assert stripe.send("POST", path, change)[0] == 200
    change = stripe.change_of(running, quantity=9, proration_behavior="none")
    assert is_refused(stripe.send("POST", path, change))
    assert stripe.get(f"subscriptions/{running['id']}")["quantity"] == 3
    assert stripe.post(f"subscriptions/{running['id']}", {"metadata": {"a": "b"}})["metadata"] == {"a": "b"}
    stripe.at(NOW + 3600)
    assert stripe.send("POST", path, change)[0] == 200


def test_a_refusal_for_too_many_requests_is_not_stored_for_the_key(stripe, running):
    for quantity in range(2, 11):
        assert add_seats(stripe, running, quantity)[0] == 200
    change = stripe.change_of(running, quantity=11, proration_behavior="always_invoice")
    path = f"/v1/subscriptions/{running['id']}"
    assert is_refused(stripe.send("POST", path, change, Idempotency_Key="add"))
    stripe.at(NOW + 60)
    assert stripe.send("POST", path, change, Idempotency_Key="add")[0] == 200


def test_an_object_that_is_being_changed_answers_lock_timeout(stripe):
    control.fail(stripe.twin, "lock_timeout", times=2, path="/v1/customers", retry_after=2)
    error = stripe.refused("POST", "customers", {"name": "Ann"})
    assert (error["status"], error["code"], error["type"]) == (429, "lock_timeout", "invalid_request_error")
    assert error["message"].startswith("This object cannot be accessed right now because another API request")
    assert stripe.send("GET", "/v1/customers")[2]["Retry-After"] == "2"
    assert stripe.everything("customers") == []
