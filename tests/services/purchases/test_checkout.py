"""`subs buy --checkout`: paid on Stripe's page, waited for without a lock, completed by `sync`."""

from __future__ import annotations

import json
import subprocess

import pytest

from seatctl.sandbox.api import control
from seatctl.sandbox.errors import ApiError
from tests.support.both_sides import (
    advance,
    assert_agree,
    charges,
    contents,
    fail,
    live_subscriptions,
    objects,
    twin,
)
from tests.support.subscriptions import ledger_place, query

BUY = (
    "subs buy --plan {} --seats 5 --name lab --owner lee@example.com --billing-email pay@example.com"
    " --checkout --yes"
)


@pytest.fixture
def yearly(sandbox) -> str:
    """A plan that is renewed by hand, so that its page only collects a card."""
    words = "plans add team --price 5.00 --currency usd --interval year --policy term"
    assert sandbox(*words.split()).code == 0
    return "team"


@pytest.fixture(params=["pro", "team"])
def page(sandbox, pro, yearly, request):
    """A page that is open: of a plan that renews by itself, and of one that is renewed by hand."""
    return open_page(sandbox, request.param)


def open_page(sandbox, plan: str):
    asked = sandbox(*BUY.format(plan).split(), "-o", "json")
    assert (asked.code, asked.error["code"], asked.out) == (10, "waiting_for_checkout", ""), asked.err
    assert asked.error["url"].startswith("https://")
    assert asked.error["url"] in asked.error["message"]
    assert "seatctl sync" in asked.error["hint"]
    assert charges(sandbox) == []
    return asked.error["checkout_session"], plan, {"pro": 6000, "team": 2500}[plan]


def complete(seatctl, session: str, card: str = "pm_card_visa") -> None:
    with twin(seatctl) as stripe:
        control.complete_checkout(stripe, session, card)


def test_sync_completes_what_was_paid_on_the_page(sandbox, page):
    session, plan, amount = page
    assert sandbox("sync").code == 10
    assert sandbox.rows("subs", "list") == []
    complete(sandbox, session)
    synced = sandbox("sync", "-o", "json")
    assert (synced.code, synced.rows[0]["result"]) == (0, "finished")
    assert charges(sandbox) == [amount]
    (row,) = sandbox.rows("subs", "list")
    assert (row["name"], row["seats"], row["status"], row["owner"]) == ("lab", 5, "active", "lee@example.com")
    assert row["ends"] is (plan == "team")
    assert len(objects(sandbox, "customer")) == 1
    assert_agree(sandbox)
    assert sandbox("seats", "assign", "lab", "lee@example.com").code == 0
    shown = sandbox("subs", "billing", "lab", "-o", "json").json
    assert (shown["card"], shown["billing_email"]) == ("visa 4242", "pay@example.com")


def test_the_card_of_the_page_pays_what_comes_later(sandbox, page):
    session, _, amount = page
    complete(sandbox, session, "pm_card_mastercard")
    assert sandbox("sync").code == 0
    assert sandbox("subs", "add-seats", "lab", "5", "--yes").code == 0
    assert len(charges(sandbox)) == 2
    assert charges(sandbox)[1] == amount
    assert_agree(sandbox)


def test_another_subscription_is_charged_to_the_card_of_the_page(sandbox, page):
    """The card is the subscription's own: its customer has none that Stripe would charge by itself."""
    complete(sandbox, page[0], "pm_card_mastercard")
    assert sandbox("sync").code == 0
    second = "subs buy --plan pro --seats 1 --name second --bill-to lab --yes"
    bought = sandbox(*second.split(), "-o", "json")
    assert bought.code == 0, bought.err
    assert charges(sandbox)[1:] == [1200]
    assert sandbox("subs", "billing", "second", "-o", "json").json["card"] == "mastercard 4444"
    assert_agree(sandbox)


def test_the_same_command_goes_on_with_the_same_page(sandbox, page):
    session, plan, amount = page
    again = sandbox(*BUY.format(plan).split(), "-o", "json")
    assert (again.code, again.error["checkout_session"]) == (10, session)
    complete(sandbox, session)
    assert sandbox(*BUY.format(plan).split(), "-o", "json").rows[0]["result"] == "bought"
    assert charges(sandbox) == [amount]


def test_another_purchase_of_the_name_is_told_the_page(sandbox, page):
    other = sandbox(*BUY.format(page[1]).replace("--seats 5", "--seats 10").split(), "-o", "json")
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert other.error["url"].startswith("https://")


@pytest.mark.parametrize("hours", [22, 24])
def test_a_page_that_nobody_completes_leaves_nothing(sandbox, page, hours):
    advance(sandbox, hours=hours)
    synced = sandbox("sync", "-o", "json")
    if hours < 23:
        assert (synced.code, synced.rows[0]["result"]) == (10, "waiting")
        return
    assert (synced.code, synced.rows[0]["result"]) == (0, "undone")
    assert objects(sandbox, "customer") == live_subscriptions(sandbox) == charges(sandbox) == []
    assert_agree(sandbox)
    open_page(sandbox, page[1])


def test_a_page_that_was_completed_in_time_and_synced_late(sandbox, page):
    """What the page has charged is kept; a card that was only collected is not charged a day late."""
    session, plan, amount = page
    complete(sandbox, session)
    advance(sandbox, hours=30)
    assert sandbox("sync").code == 0
    assert charges(sandbox) == ([amount] if plan == "pro" else [])
    assert len(sandbox.rows("subs", "list")) == (1 if plan == "pro" else 0)
    assert_agree(sandbox)


def test_a_card_that_the_page_refuses_leaves_it_open(sandbox, page):
    session, _, amount = page
    with pytest.raises(ApiError):
        complete(sandbox, session, "pm_card_chargeDeclined")
    assert sandbox("sync").code == 10
    complete(sandbox, session)
    assert sandbox("sync").code == 0
    assert charges(sandbox) == [amount]


def test_a_collected_card_that_is_declined_afterwards_leaves_nothing(sandbox, yearly):
    session, _, _ = open_page(sandbox, yearly)
    complete(sandbox, session, "pm_card_chargeCustomerFail")
    synced = sandbox("sync", "-o", "json")
    assert (synced.rows[0]["result"], synced.rows[0]["error"]) == ("failed", "card_declined")
    assert charges(sandbox) == objects(sandbox, "customer") == live_subscriptions(sandbox) == []
    assert_agree(sandbox)


def test_lost_answers_make_one_page_and_one_purchase(sandbox, page):
    session, _, amount = page
    complete(sandbox, session)
    fail(sandbox, "lost", times=4, method="POST", path="/v1/subscriptions")
    sandbox("sync")
    assert sandbox("sync").code == 0
    assert charges(sandbox) == [amount]
    assert len(objects(sandbox, "checkout.session")) == 1
    assert_agree(sandbox)


def test_nothing_is_locked_while_the_page_is_waited_for(sandbox, pro):
    """`--wait` follows the page; meanwhile other money commands run, and it ends when the page does."""
    waiting = sandbox.process(*BUY.format("pro").split(), "--wait", "-o", "json", stdout=subprocess.PIPE)
    told = waiting.stderr.readline()
    assert "https://" in told
    others = "subs buy --plan pro --seats 1 --name other --payment-method pm_card_visa --yes"
    assert sandbox(*others.split()).code == 0
    ((session,),) = query(
        ledger_place(sandbox), "SELECT json_extract(answer, '$.object.id') FROM steps WHERE name = 'checkout'"
    )
    complete(sandbox, session)
    out, err = waiting.communicate(timeout=30)
    assert waiting.returncode == 0, err
    assert json.loads(out)["rows"][0]["name"] == "lab"
    assert charges(sandbox) == [1200, 6000]
    assert_agree(sandbox)


def test_a_page_for_the_customer_of_another_subscription(sandbox, team):
    asked = sandbox(
        "subs",
        "buy",
        "--plan=pro",
        "--seats=5",
        "--name=lab",
        "--bill-to=design",
        "--checkout",
        "--yes",
        "-o",
        "json",
    )
    assert asked.code == 10, asked.err
    complete(sandbox, asked.error["checkout_session"], "pm_card_mastercard")
    assert sandbox("sync").code == 0
    assert len(objects(sandbox, "customer")) == 1
    assert sandbox("subs", "billing", "lab", "-o", "json").json["card"] == "mastercard 4444"
    assert sandbox("subs", "billing", "design", "-o", "json").json["card"] == "visa 4242"


def test_a_dry_run_opens_no_page(sandbox, pro):
    before = contents(sandbox)
    told = sandbox(*BUY.format("pro").split(), "--dry-run", "-o", "json")
    assert (told.code, told.rows[0]["due_now"]) == (0, 6000)
    assert contents(sandbox) == before


@pytest.mark.parametrize(
    "options",
    [
        ("--checkout", "--payment-method", "pm_card_visa"),
        ("--checkout", "--on-account"),
        ("--payment-method", "pm_card_visa", "--on-account"),
        ("--wait", "--payment-method", "pm_card_visa"),
        ("--due-in", "30d", "--payment-method", "pm_card_visa"),
    ],
)
def test_ways_to_pay_exclude_each_other(sandbox, pro, options):
    words = "subs buy --plan pro --seats 5 --name lab --billing-email pay@example.com --yes -o json"
    refused = sandbox(*words.split(), *options)
    assert (refused.code, refused.out) == (2, "")
    assert refused.error["hint"]
