"""`sandbox complete`, `authenticate`, `retries`: the people at Stripe's pages, through the program."""

import contextlib

import pytest

from tests.sandbox.conftest import Sandbox


@pytest.fixture
def shared(sandbox):
    """The program's own sandbox, and the same file as a client of Stripe sees it."""
    side = Sandbox(sandbox.home / "default" / "sandbox.db")
    with contextlib.closing(side.twin):
        yield sandbox, side


def page(side, **more):
    lines = [{"price": side.price(), "quantity": 4}]
    params = {"mode": "subscription", "line_items": lines, "success_url": "https://e.example/", **more}
    return side.post("checkout/sessions", params)


def test_a_checkout_page_is_completed_by_its_address(shared):
    seatctl, side = shared
    made = page(side)
    done = seatctl("sandbox", "complete", made["url"], "-o", "json")
    assert (done.code, done.rows[0]["status"]) == (0, "complete")
    bought = side.get(f"checkout/sessions/{made['id']}")["subscription"]
    assert side.get(f"subscriptions/{bought}")["status"] == "active"
    again = seatctl("sandbox", "complete", made["id"], "-o", "json")
    assert (again.code, again.error["code"]) == (3, "bad_input")


def test_a_card_refused_on_the_page_leaves_it_open_and_nothing_bought(shared):
    seatctl, side = shared
    made = page(side)
    for card in ("pm_card_chargeDeclined", "pm_card_chargeCustomerFail"):
        refused = seatctl("sandbox", "complete", made["id"], "--card", card, "-o", "json")
        assert (refused.code, refused.error["code"]) == (5, "card_declined")
    assert side.get(f"checkout/sessions/{made['id']}")["status"] == "open"
    assert side.get("subscriptions")["data"] == side.get("customers")["data"] == []


def test_a_bank_that_asks_on_the_page_is_answered_there(shared):
    seatctl, side = shared
    made = page(side)
    assert seatctl("sandbox", "complete", made["id"], "--card", "pm_card_threeDSecure2Required").code == 0
    assert [each["status"] for each in side.get("invoices")["data"]] == ["paid"]


@pytest.mark.parametrize(("options", "status"), [((), "active"), (("--fail",), "incomplete")])
def test_the_cardholder_answers_the_bank_about_the_one_open_invoice(shared, options, status):
    seatctl, side = shared
    customer = side.customer("pm_card_threeDSecure2Required")
    made = side.subscribe(customer, side.price(), payment_behavior="default_incomplete")
    assert seatctl("sandbox", "authenticate", *options, "--dry-run").code == 0
    assert side.get(f"subscriptions/{made['id']}")["status"] == "incomplete"
    assert seatctl("sandbox", "authenticate", *options).code == 0
    assert side.get(f"subscriptions/{made['id']}")["status"] == status


def test_an_invoice_is_named_by_its_page_where_several_are_open(shared):
    seatctl, side = shared
    customer = side.customer("pm_card_threeDSecure2Required")
    first, _ = [
        side.subscribe(customer, side.price(), payment_behavior="default_incomplete") for _ in range(2)
    ]
    assert seatctl("sandbox", "authenticate").code == 3
    url = side.get(f"invoices/{first['latest_invoice']}")["hosted_invoice_url"]
    assert seatctl("sandbox", "authenticate", url).code == 0
    assert side.get(f"subscriptions/{first['id']}")["status"] == "active"


def test_where_nothing_waits_it_says_so(shared):
    seatctl, _ = shared
    for argv in (["authenticate"], ["authenticate", "in_nope"]):
        refused = seatctl("sandbox", *argv, "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "nothing_waits")
    assert seatctl("sandbox", "complete", "cs_test_nope").code == 9


def test_what_follows_the_last_retry_is_the_accounts_setting(shared):
    seatctl, side = shared
    assert seatctl("sandbox", "retries", "never").code == 3
    assert seatctl("sandbox", "retries", "unpaid").code == 0
    customer = side.customer()
    made = side.subscribe(customer, side.price())
    side.replace_card(customer, "pm_card_chargeCustomerFail")
    assert seatctl("sandbox", "advance", "60d").code == 0
    assert side.get(f"subscriptions/{made['id']}")["status"] == "unpaid"
