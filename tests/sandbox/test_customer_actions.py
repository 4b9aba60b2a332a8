"""`sandbox complete`, `authenticate`, `retries`: what customers, banks and the account do at Stripe."""

import contextlib

import pytest

from tests.sandbox.conftest import Sandbox


@pytest.fixture
def shared(sandbox):
    """The program's sandbox, and a client of the same file."""
    client = Sandbox(sandbox.home / "default" / "sandbox.db")
    with contextlib.closing(client.twin):
        yield sandbox, client


def page(client, **more):
    lines = [{"price": client.price(), "quantity": 4}]
    params = {"mode": "subscription", "line_items": lines, "success_url": "https://e.example/", **more}
    return client.post("checkout/sessions", params)


def test_a_checkout_page_is_completed_by_its_address(shared):
    seatctl, client = shared
    checkout = page(client)
    done = seatctl("sandbox", "complete", checkout["url"], "-o", "json")
    assert (done.code, done.rows[0]["status"]) == (0, "complete")
    bought = client.get(f"checkout/sessions/{checkout['id']}")["subscription"]
    assert client.get(f"subscriptions/{bought}")["status"] == "active"
    again = seatctl("sandbox", "complete", checkout["id"], "-o", "json")
    assert (again.code, again.error["code"]) == (3, "bad_input")


def test_a_card_refused_on_the_page_leaves_it_open_and_nothing_bought(shared):
    seatctl, client = shared
    checkout = page(client)
    for card in ("pm_card_chargeDeclined", "pm_card_chargeCustomerFail"):
        refused = seatctl("sandbox", "complete", checkout["id"], "--card", card, "-o", "json")
        assert (refused.code, refused.error["code"]) == (5, "card_declined")
    assert client.get(f"checkout/sessions/{checkout['id']}")["status"] == "open"
    assert client.get("subscriptions")["data"] == client.get("customers")["data"] == []


def test_authentication_is_given_on_the_page(shared):
    seatctl, client = shared
    checkout = page(client)
    assert seatctl("sandbox", "complete", checkout["id"], "--card", "pm_card_threeDSecure2Required").code == 0
    assert [invoice["status"] for invoice in client.get("invoices")["data"]] == ["paid"]


@pytest.mark.parametrize(("options", "status"), [((), "active"), (("--fail",), "incomplete")])
def test_the_cardholder_answers_the_bank_about_the_one_open_invoice(shared, options, status):
    seatctl, client = shared
    customer = client.customer("pm_card_threeDSecure2Required")
    subscription = client.subscribe(customer, client.price(), payment_behavior="default_incomplete")
    assert seatctl("sandbox", "authenticate", *options, "--dry-run").code == 0
    assert client.get(f"subscriptions/{subscription['id']}")["status"] == "incomplete"
    assert seatctl("sandbox", "authenticate", *options).code == 0
    assert client.get(f"subscriptions/{subscription['id']}")["status"] == status


def test_an_invoice_is_named_by_its_page_if_several_are_open(shared):
    seatctl, client = shared
    customer = client.customer("pm_card_threeDSecure2Required")
    first, _ = [
        client.subscribe(customer, client.price(), payment_behavior="default_incomplete") for _ in range(2)
    ]
    assert seatctl("sandbox", "authenticate").code == 3
    url = client.get(f"invoices/{first['latest_invoice']}")["hosted_invoice_url"]
    assert seatctl("sandbox", "authenticate", url).code == 0
    assert client.get(f"subscriptions/{first['id']}")["status"] == "active"


def test_without_an_open_invoice_it_says_so(shared):
    seatctl, _ = shared
    for argv in (["authenticate"], ["authenticate", "in_nope"]):
        refused = seatctl("sandbox", *argv, "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "nothing_waits")
    assert seatctl("sandbox", "complete", "cs_test_nope").code == 9


def test_the_accounts_setting_decides_what_follows_the_last_retry(shared):
    seatctl, client = shared
    assert seatctl("sandbox", "retries", "never").code == 3
    assert seatctl("sandbox", "retries", "unpaid").code == 0
    customer = client.customer()
    subscription = client.subscribe(customer, client.price())
    client.replace_card(customer, "pm_card_chargeCustomerFail")
    assert seatctl("sandbox", "advance", "60d").code == 0
    assert client.get(f"subscriptions/{subscription['id']}")["status"] == "unpaid"
