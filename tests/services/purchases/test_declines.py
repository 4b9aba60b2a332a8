"""Cards that are refused, and banks that want the cardholder to authenticate."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest

from seatctl.sandbox.api import control
from tests.support.both_sides import advance, assert_agree, charges, live_subscriptions, objects, twin
from tests.support.subscriptions import ledger_place, query

DECLINED = {
    "pm_card_chargeDeclined": "generic_decline",
    "pm_card_chargeCustomerFail": "generic_decline",
    "pm_card_visa_chargeDeclinedInsufficientFunds": "insufficient_funds",
    "tok_visa_chargeDeclined": "generic_decline",
}

ON_ANOTHERS_CARD = "subs buy --plan pro --seats 1 --name lab --bill-to design --yes"


def order(card: str, *more: str) -> list[str]:
    words = "subs buy --plan pro --seats 3 --name lab --owner lee@example.com --billing-email pay@example.com"
    return [*words.split(), "--payment-method", card, "--yes", "-o", "json", *more]


@pytest.mark.parametrize(("card", "reason"), DECLINED.items())
def test_a_declined_card_leaves_nothing(sandbox, pro, card, reason):
    users = sandbox.rows("users", "list")
    declined = sandbox(*order(card))
    assert (declined.code, declined.error["code"], declined.out) == (5, "card_declined", "")
    assert declined.error["decline_code"] == reason
    assert objects(sandbox, "customer") == []
    assert live_subscriptions(sandbox) == []
    assert charges(sandbox) == []
    assert sandbox.rows("subs", "list") == sandbox.rows("invoices", "list") == []
    assert sandbox.rows("users", "list") == users
    assert_agree(sandbox)
    run = sandbox.rows("runs", "list")[0]
    assert (run["number"], run["state"]) == (declined.error["run"], "failed")


def test_after_a_declined_card_the_same_name_can_be_bought_with_another(sandbox, pro):
    assert sandbox(*order("pm_card_chargeCustomerFail", "--request-id", "po-1")).code == 5
    bought = sandbox(*order("pm_card_visa", "--request-id", "po-1"))
    assert (bought.code, bought.rows[0]["name"]) == (0, "lab")
    assert charges(sandbox) == [3600]
    assert_agree(sandbox)


def test_a_decline_on_anothers_card_keeps_that_customer(sandbox, team):
    customer = objects(sandbox, "customer")[0]["id"]
    method = change(sandbox, "payment_methods/pm_card_chargeCustomerFail/attach", customer=customer)["id"]
    change(sandbox, f"customers/{customer}", **{"invoice_settings[default_payment_method]": method})
    declined = sandbox(*ON_ANOTHERS_CARD.split(), "-o", "json")
    assert (declined.code, declined.error["code"]) == (5, "card_declined")
    assert [one["id"] for one in objects(sandbox, "customer")] == [customer]
    assert_agree(sandbox)


def change(seatctl, path: str, **form: str) -> dict:
    """A call to the sandbox, as another program of the company would make it."""
    with twin(seatctl) as stripe:
        answer = stripe.handle("POST", f"/v1/{path}", {"Authorization": "Bearer sk_test_x"}, urlencode(form))
    assert answer.status == 200, answer.body
    return json.loads(answer.body)


# The bank asks ----------------------------------------------------------------------------------------


@pytest.fixture
def waiting(sandbox, pro):
    """A purchase whose bank wants the cardholder to authenticate; the sandbox."""
    asked = sandbox(*order("pm_card_threeDSecure2Required"))
    assert (asked.code, asked.error["code"], asked.out) == (10, "authentication_required", "")
    assert asked.error["url"].startswith("https://")
    assert asked.error["url"] in asked.error["message"]
    assert "seatctl sync" in asked.error["hint"]
    assert charges(sandbox) == []
    return sandbox


def answer_the_bank(seatctl, *, succeeds: bool = True) -> None:
    with twin(seatctl) as stripe:
        (invoice,) = [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]
        control.authenticate(stripe, invoice, succeeds=succeeds)


def test_sync_completes_a_purchase_once_it_is_authenticated(waiting):
    assert waiting("sync").code == 10
    answer_the_bank(waiting)
    synced = waiting("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"]) == (0, "finished")
    assert charges(waiting) == [3600]
    assert waiting.rows("subs", "list")[0]["status"] == "active"
    assert_agree(waiting)


def test_the_same_purchase_completes_itself_too(waiting):
    again = waiting(*order("pm_card_threeDSecure2Required"))
    assert (again.code, again.error["code"]) == (10, "authentication_required")
    answer_the_bank(waiting)
    assert waiting(*order("pm_card_threeDSecure2Required")).rows[0]["result"] == "bought"
    assert charges(waiting) == [3600]
    assert_agree(waiting)


def test_a_failed_authentication_waits_for_another_card(waiting):
    answer_the_bank(waiting, succeeds=False)
    assert waiting("sync").code == 10
    assert charges(waiting) == []


@pytest.mark.parametrize("hours", [22, 24, 80])
def test_an_authentication_that_never_comes_is_undone_after_23_hours(waiting, hours):
    advance(waiting, hours=hours)
    synced = waiting("sync", "-o", "json")
    if hours < 23:
        assert (synced.code, synced.rows[0]["result"]) == (10, "waiting")
        return
    assert (synced.code, synced.rows[0]["result"]) == (0, "undone")
    assert charges(waiting) == objects(waiting, "customer") == live_subscriptions(waiting) == []
    assert_agree(waiting)
    assert waiting(*order("pm_card_visa")).code == 0


def test_an_authentication_that_came_too_late_for_us_but_not_for_the_bank_is_kept(waiting):
    advance(waiting, hours=22)
    answer_the_bank(waiting)
    advance(waiting, hours=3)
    assert waiting("sync").code == 0
    assert charges(waiting) == [3600]
    assert waiting.rows("subs", "list")[0]["seats"] == 3
    assert_agree(waiting)


def test_another_purchase_of_the_name_is_told_who_waits(waiting):
    other = waiting(*order("pm_card_visa"))
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert other.error["url"].startswith("https://")
    assert charges(waiting) == []


def test_a_purchase_that_waits_shows_in_the_runs_and_holds_its_name(waiting):
    assert waiting.rows("runs", "list")[0]["state"] == "pending"
    assert query(ledger_place(waiting), "SELECT state, reserved_name FROM operations ORDER BY id DESC")[
        0
    ] == (
        "waiting",
        "lab",
    )


def test_what_stripe_finds_wrong_is_told_and_leaves_nothing(sandbox, pro):
    refused = sandbox(*order("pm_card_of_nobody"))
    assert (refused.code, refused.error["code"]) == (5, "stripe_resource_missing")
    assert "pm_card_of_nobody" in refused.error["message"]
    assert objects(sandbox, "customer") == []
    assert_agree(sandbox)
