"""On account: bought and renewed against an invoice, entitled until it is due plus the grace."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from seatctl.models.call import format_time, parse_time
from tests.services.purchases.test_declines import change
from tests.support.both_sides import advance, assert_agree, charges, fail, live_subscriptions, objects

BUY = (
    "subs buy --plan {} --seats 10 --name acme --owner ann@example.com --billing-email pay@example.com"
    " --on-account --yes"
)


@pytest.fixture
def plans(sandbox):
    for slug, price, interval, policy in (
        ("pro", "12.00", "month", "flexible"),
        ("team", "5.00", "year", "term"),
        ("cash", "5.00", "year", "term --set on_account=no"),
    ):
        words = f"plans add {slug} --price {price} --currency usd --interval {interval} --policy {policy}"
        assert sandbox(*words.split()).code == 0
    return sandbox


def buy(seatctl, plan: str, *options: str):
    return seatctl(*BUY.format(plan).split(), *options, "-o", "json")


def days(seatctl, number: int) -> None:
    advance(seatctl, hours=24 * number)


def check(seatctl) -> tuple[int, str]:
    answer = seatctl("check", "ann@example.com", "-o", "json")
    return answer.code, answer.json["reason"]


def pay_out_of_band(seatctl) -> None:
    (invoice,) = [one["id"] for one in objects(seatctl, "invoice") if one["status"] == "open"]
    change(seatctl, f"invoices/{invoice}/pay", paid_out_of_band="true")


@pytest.fixture
def acme(plans):
    """A contract bought on account, due in 14 days; Ann sits in it."""
    assert buy(plans, "team", "--due-in", "14d").code == 0
    assert plans("seats", "assign", "acme", "ann@example.com").code == 0
    return plans


@pytest.mark.parametrize("plan", ["pro", "team"])
def test_the_invoice_is_sent_at_once_and_the_seats_can_be_used(plans, plan):
    bought = buy(plans, plan, "--due-in", "14d")
    assert bought.code == 0, bought.err
    (row,) = bought.rows
    assert (row["status"], row["seats"], row["amount_paid"]) == ("active", 10, 0)
    (invoice,) = plans.rows("invoices", "list", "acme")
    assert (invoice["number"], invoice["status"]) == (row["invoice"], "open")
    assert invoice["hosted_url"] == row["invoice_url"] != ""
    assert row["due_date"] == invoice["due_date"]
    assert invoice["total"] == row["amount_due"] == {"pro": 12000, "team": 5000}[plan]
    assert row["invoice"] in bought.json["summary"]
    assert "pay@example.com" in bought.json["summary"]
    assert charges(plans) == []
    assert plans("seats", "assign", "acme", "ann@example.com").code == 0
    assert check(plans) == (0, "entitled")
    assert live_subscriptions(plans)[0]["cancel_at_period_end"] is (plan == "team")
    assert_agree(plans)


def test_thirty_days_are_the_default(plans):
    assert buy(plans, "pro").code == 0
    (subscription,) = live_subscriptions(plans)
    assert (subscription["collection_method"], subscription["days_until_due"]) == ("send_invoice", 30)


def test_a_policy_may_want_a_card(plans):
    refused = buy(plans, "cash")
    assert (refused.code, refused.error["code"]) == (4, "card_required")
    assert objects(plans, "customer") == []


def test_an_invoice_has_to_go_to_somebody(plans):
    words = "subs buy --plan pro --seats 1 --name lab --on-account --yes -o json"
    refused = plans(*words.split())
    assert (refused.code, refused.error["flag"]) == (2, "--billing-email")


def test_a_limit_counts_for_what_is_invoiced(plans):
    refused = buy(plans, "pro", "--max-spend", "119.99")
    assert (refused.code, refused.error["code"]) == (4, "max_spend_exceeded")
    assert objects(plans, "customer") == []


@pytest.mark.parametrize("kind", ["lost", "500"])
def test_a_purchase_that_was_cut_short_is_finished_once(plans, kind):
    for path in ("/v1/subscriptions", "/v1/invoices/in_"):
        fail(plans, kind, times=4, method="POST", path=path)
    assert buy(plans, "team").code in {0, 75}
    for _ in range(3):
        plans("sync")
    assert plans("sync").code == 0
    assert len(live_subscriptions(plans)) == len(objects(plans, "invoice")) == 1
    assert plans.rows("subs", "list")[0]["seats"] == 10
    assert_agree(plans)


def test_entitled_until_due_plus_grace_without_any_sync(plans):
    assert buy(plans, "pro", "--due-in", "10d").code == 0  # the policy's grace is 7 days
    assert plans("seats", "assign", "acme", "ann@example.com").code == 0
    assert check(plans) == (0, "entitled")
    days(plans, 11)
    assert check(plans) == (0, "in_grace")
    days(plans, 7)
    assert check(plans) == (7, "past_due")
    assert plans("sync").code == 0
    assert check(plans) == (7, "past_due")
    pay_out_of_band(plans)
    assert plans("sync").code == 0
    assert check(plans) == (0, "entitled")


def test_a_term_on_account_without_grace_ends_at_the_due_date(acme):
    until = acme("check", "ann@example.com", "-o", "json").json["until"]
    assert until == acme.rows("invoices", "list")[0]["due_date"]
    days(acme, 15)
    for _ in range(2):
        assert check(acme) == (7, "past_due")
        assert acme("sync").code == 0
    pay_out_of_band(acme)
    assert acme("sync").code == 0
    assert check(acme) == (0, "entitled")


# Renewing ---------------------------------------------------------------------------------------------


@pytest.fixture
def paid(acme):
    """The contract on day 340, its first invoice paid by bank transfer."""
    pay_out_of_band(acme)
    days(acme, 340)
    assert acme("sync").code == 0
    return acme


def renew(seatctl, due: str):
    result = seatctl("subs", "renew", "acme", "--on-account", "--due-in", due, "--yes", "-o", "json")
    assert result.code == 0, result.err
    return result.rows[0]


def test_a_renewal_on_account_takes_effect_when_it_is_invoiced(paid):
    end = paid.rows("subs", "list")[0]["term_end"]
    row = renew(paid, "30d")
    assert (row["status"], row["amount_paid"]) == ("paid", 0)
    sent = next(one for one in paid.rows("invoices", "list") if one["number"] == row["invoice"])
    assert (sent["status"], sent["total"]) == ("open", 5000)
    assert sent["due_date"] is not None
    assert charges(paid) == []
    assert check(paid) == (0, "entitled")
    assert paid.rows("subs", "list")[0]["term_end"] == end
    refused = paid("subs", "renew", "acme", "--yes", "-o", "json")
    assert json.loads(refused.err)["error"]["code"] == "already_renewed"
    days(paid, 27)  # the new term has begun, and the invoice is not due yet
    assert check(paid) == (0, "entitled")
    assert paid("sync").code == 0
    assert check(paid) == (0, "entitled")
    days(paid, 5)
    for _ in range(2):
        assert check(paid) == (7, "past_due")
        assert paid("sync").code == 0
    pay_out_of_band(paid)
    assert paid("sync").code == 0
    assert check(paid) == (0, "entitled")
    assert paid.rows("subs", "list")[0]["term_end"][:4] == str(int(end[:4]) + 1)


def test_an_overdue_renewal_takes_nothing_from_the_term_that_is_paid(paid):
    end = paid.rows("subs", "list")[0]["term_end"]
    renew(paid, "5d")
    days(paid, 10)
    assert paid("sync").code == 0
    answer = paid("check", "ann@example.com", "-o", "json").json
    assert (answer["entitled"], answer["until"]) == (True, end)
    days(paid, 16)
    assert check(paid) == (7, "past_due")


def test_seats_are_never_added_on_account_under_such_a_policy(acme):
    refused = acme("subs", "add-seats", "acme", "5", "--on-account", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "card_required")
    end = parse_time(acme.rows("subs", "list")[0]["term_end"])
    assert refused.error["allowed_from"] == format_time(end - timedelta(days=30)), "its renewal"


@pytest.mark.parametrize(("first", "then"), [("", "--on-account"), ("--on-account", "")])
def test_seats_asked_for_on_account_and_by_card_are_two_requests(plans, first, then):
    """Cut short one way, asked for the other way: the first is finished and told, and never passed off."""
    words = "plans add both --price 5.00 --currency usd --interval year --policy term --set on_account=yes"
    assert plans(*words.split()).code == 0
    buying = BUY.format("both").replace("--on-account", "--payment-method pm_card_visa")
    assert plans(*buying.split()).code == 0
    fail(plans, "timeout", times=4, method="POST", path="/v1/invoiceitems")
    add = ("subs", "add-seats", "acme", "5", "--yes", "-o", "json")
    begun = plans(*add, *first.split())
    assert (begun.code, charges(plans)) == (75, [5000])
    other = plans(*add, *then.split())
    assert (other.code, other.error["code"]) == (75, "operation_pending")
    assert "was unfinished and is finished now" in other.error["message"]
    assert (charges(plans), plans.rows("subs", "list")[0]["seats"]) == ([5000, 2500][: 1 if first else 2], 15)
    assert plans(*add, *then.split()).code == 0
    assert (charges(plans), plans.rows("subs", "list")[0]["seats"]) == ([5000, 2500], 20)
