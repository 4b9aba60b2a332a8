"""Test clocks: a customer's own time, which is advanced; lists of the account leave such customers out."""

import pytest

from seatctl.sandbox.clock import DAY, HOUR, add_months

START = 1790000000
CLOCKS = "test_helpers/test_clocks"


@pytest.fixture
def clock(stripe):
    return stripe.post(CLOCKS, {"frozen_time": START, "name": "story"})["id"]


def advance(stripe, clock, moment):
    begun = stripe.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": moment})
    assert begun["status"] == "advancing"
    assert stripe.get(f"{CLOCKS}/{clock}")["status"] == "advancing"
    ready = stripe.get(f"{CLOCKS}/{clock}")
    assert (ready["status"], ready["frozen_time"], ready["status_details"]) == ("ready", moment, {})


@pytest.fixture
def subscription(stripe, clock):
    return stripe.subscribe(stripe.customer(test_clock=clock), stripe.price(1000), 2)


def test_a_new_clock_is_ready_at_its_time_and_kept_for_a_week(stripe, clock):
    made = stripe.get(f"{CLOCKS}/{clock}")
    assert made == {
        "id": clock, "object": "test_helpers.test_clock", "created": START, "deletes_after": START + 7 * DAY,
        "frozen_time": START, "livemode": False, "name": "story", "status": "ready", "status_details": {},
    }  # fmt: skip
    assert [one["id"] for one in stripe.get(CLOCKS)["data"]] == [clock]


def test_what_belongs_to_a_customer_on_a_clock_names_the_clock_and_has_its_time(stripe, clock):
    stripe.at(START + 5 * HOUR)
    customer = stripe.customer(test_clock=clock)
    bought = stripe.subscribe(customer, stripe.price())
    invoice = stripe.invoice(bought["id"])
    item = stripe.item(customer, 300)
    assert {one["test_clock"] for one in (stripe.get(f"customers/{customer}"), bought, invoice, item)} == {
        clock
    }
    assert (bought["created"], invoice["created"], item["date"]) == (START, START, START)


def test_only_advancing_the_clock_renews_and_the_account_s_time_does_not(stripe, clock, subscription):
    stripe.at(add_months(START, 1) + DAY)
    assert stripe.invoice(subscription["id"])["billing_reason"] == "subscription_create"
    end = add_months(START, 1)
    advance(stripe, clock, end + HOUR // 2)
    draft = stripe.invoice(subscription["id"])
    assert (draft["status"], draft["created"], draft["total"]) == ("draft", end, 2000)
    advance(stripe, clock, end + 2 * HOUR)
    paid = stripe.invoice(subscription["id"])
    assert (paid["id"], paid["status"]) == (draft["id"], "paid")
    assert paid["status_transitions"]["paid_at"] == end + HOUR


def test_the_account_s_own_customers_do_not_feel_a_clock(stripe, clock, subscription):
    other = stripe.subscribe(stripe.customer(), stripe.price())
    advance(stripe, clock, add_months(START, 2))
    assert stripe.invoice(other["id"])["billing_reason"] == "subscription_create"
    assert len(stripe.get("invoices", {"subscription": subscription["id"]})["data"]) == 3


def test_while_it_advances_nothing_on_it_can_be_changed(stripe, clock, subscription):
    stripe.post(f"{CLOCKS}/{clock}/advance", {"frozen_time": START + DAY})
    path, change = f"subscriptions/{subscription['id']}", {"metadata": {"a": "1"}}
    error = stripe.refused("POST", path, change)
    assert error["status"] == 429
    assert error["message"].startswith("Test clock advancement underway")
    assert (
        stripe.refused("POST", f"{CLOCKS}/{clock}/advance", {"frozen_time": START + 2 * DAY})["status"] == 429
    )
    assert stripe.get(f"subscriptions/{subscription['id']}")["metadata"] == {}
    stripe.at(START + 2)  # it is ready by itself after a while
    assert stripe.post(f"subscriptions/{subscription['id']}", {"metadata": {"a": "1"}})["metadata"] == {
        "a": "1"
    }


def test_a_clock_moves_forward_and_two_intervals_at_most(stripe, clock, subscription):
    for moment in (START, START - 1, add_months(START, 2) + 1):
        path = f"{CLOCKS}/{clock}/advance"
        error = stripe.refused("POST", path, {"frozen_time": moment})
        assert (error["status"], error["param"]) == (400, "frozen_time")
    advance(stripe, clock, add_months(START, 2))


def test_without_a_subscription_a_clock_moves_two_years(stripe, clock):
    path = f"{CLOCKS}/{clock}/advance"
    assert stripe.refused("POST", path, {"frozen_time": add_months(START, 24) + 1})["status"] == 400
    advance(stripe, clock, add_months(START, 24))


def test_lists_of_the_account_leave_out_what_is_on_a_clock(stripe, clock, subscription):
    customer = subscription["customer"]
    mine = stripe.subscribe(stripe.customer(), stripe.price())
    for kind, own in (("customers", mine["customer"]), ("subscriptions", mine["id"])):
        assert [one["id"] for one in stripe.get(kind)["data"]] == [own]
        assert [one["id"] for one in stripe.get(kind, {"test_clock": clock})["data"]] == [
            customer if kind == "customers" else subscription["id"]
        ]
    assert [one["customer"] for one in stripe.get("invoices")["data"]] == [mine["customer"]]
    for owner in ({"customer": customer}, {"subscription": subscription["id"]}):
        assert [one["customer"] for one in stripe.get("invoices", owner)["data"]] == [customer]
    assert stripe.get("subscriptions", {"customer": customer})["data"][0]["id"] == subscription["id"]
    assert stripe.refused("GET", "customers", {"test_clock": "clock_x"})["code"] == "resource_missing"


def test_events_have_the_account_s_time(stripe, clock, subscription):
    stripe.at(START + 5)
    advance(stripe, clock, add_months(START, 1) + 2 * HOUR)
    events = stripe.get("events", {"limit": 100})["data"]
    assert {event["created"] for event in events} == {START, START + 5}
    names = [event["type"] for event in events if event["created"] == START + 5]
    assert (names[0], names[-1]) == ("test_helpers.test_clock.ready", "test_helpers.test_clock.advancing")
    assert "invoice.paid" in names


def test_a_clock_takes_three_customers_and_each_of_them_three_subscriptions(stripe, clock):
    first, *_ = [stripe.customer(test_clock=clock) for _ in range(3)]
    assert stripe.refused("POST", "customers", {"test_clock": clock})["param"] == "test_clock"
    price = stripe.price()
    bought = [stripe.subscribe(first, price) for _ in range(3)]
    fourth = {"customer": first, "items": [{"price": price}]}
    assert stripe.refused("POST", "subscriptions", fourth)["status"] == 400
    stripe.delete(f"subscriptions/{bought[0]['id']}")
    stripe.post("subscriptions", fourth)
    assert stripe.refused("POST", "customers", {"test_clock": "clock_x"})["code"] == "resource_missing"


def test_deleting_a_clock_deletes_its_customers(stripe, clock, subscription):
    assert stripe.delete(f"{CLOCKS}/{clock}") == {
        "id": clock, "object": "test_helpers.test_clock", "deleted": True,
    }  # fmt: skip
    assert stripe.refused("GET", f"subscriptions/{subscription['id']}")["status"] == 404
    assert stripe.get(f"customers/{subscription['customer']}")["deleted"] is True
    assert stripe.refused("GET", f"{CLOCKS}/{clock}")["code"] == "resource_missing"
    assert stripe.get(CLOCKS)["data"] == []


def test_what_a_deleted_customer_leaves_stays_on_its_clock_and_goes_with_it(stripe, clock, subscription):
    other = stripe.post(CLOCKS, {"frozen_time": START})["id"]
    stripe.delete(f"customers/{subscription['customer']}")
    all_of = {"status": "all"}
    assert [one["id"] for one in stripe.get("subscriptions", {**all_of, "test_clock": clock})["data"]] == [
        subscription["id"]
    ]
    assert stripe.get("subscriptions", all_of)["data"] == []
    assert stripe.get("subscriptions", {**all_of, "test_clock": other})["data"] == []
    advance(stripe, clock, add_months(START, 2))
    stripe.delete(f"{CLOCKS}/{clock}")
    assert stripe.refused("GET", f"subscriptions/{subscription['id']}")["status"] == 404
    assert stripe.get("invoices")["data"] == []
