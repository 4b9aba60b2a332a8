"""Monthly to yearly and back, in both billing modes: what is due now, and when the next renewal is.

`lab` has ten seats of 10.00 a month since 1 June 2040; `annual` costs 96.00 a seat and year.
"""

from __future__ import annotations

import pytest

from seatctl.sandbox.api import control
from tests.sandbox.seed import send
from tests.support.both_sides import assert_agree, charges, contents, objects, twin
from tests.support.office import (
    RENEWED,
    TEN_DAYS_LEFT,
    change_card,
    done,
    is_sound,
    open_office,
    refused,
    subs_row,
    until,
)

MODES = ("flexible", "classic")
BOUGHT = [2000, 10000, 3000]
IN_SEPTEMBER = "2040-09-11T00:00:00Z"
CARD = "--owner ann@example.com --billing-email pay@example.com --payment-method pm_card_visa"


@pytest.fixture
def office(sandbox):
    open_office(sandbox)
    done(sandbox, "plans add annual --price 96.00 --currency usd --interval year")
    return sandbox


def in_mode(seatctl, mode: str) -> None:
    """Let all subscriptions have a billing mode, as if an older program had bought them."""
    with twin(seatctl) as stripe, stripe.store.transaction():
        for one in list(stripe.store.walk("subscription")):
            stripe.store.put({**one, "billing_mode": {**one["billing_mode"], "type": mode}}, due=None)
    with twin(seatctl) as stripe:  # writes when the clock has work on them
        for one in objects(seatctl, "subscription"):
            send(stripe, f"subscriptions/{one['id']}", {"metadata": {"mode": mode}})


def planned(seatctl, command: str) -> dict:
    """The row of a dry run, which writes nothing."""
    before = contents(seatctl)
    shown = seatctl(*command.split(), "--dry-run", "-o", "json")
    assert shown.code == 0, shown.err
    assert contents(seatctl) == before
    return shown.json["rows"][0]


def balance(seatctl) -> int:
    (lab,) = [one for one in objects(seatctl, "customer") if one["email"] == "pay-lab@example.com"]
    return int(lab["balance"])


def lines(seatctl) -> list[int]:
    """The amounts of the newest invoice of `lab`."""
    wanted = subs_row(seatctl, "lab")["stripe_subscription"]
    mine = [
        one
        for one in objects(seatctl, "invoice")
        if one["parent"]["subscription_details"]["subscription"] == wanted
    ]
    return [line["amount"] for line in mine[-1]["lines"]["data"]]


@pytest.mark.parametrize(
    ("mode", "amounts", "renews", "back", "renews_then"),
    [
        (
            # A third of June comes back, 33.33; 345 of the 365 days of 960.00 from 1 June on cost 907.40.
            *("flexible", [-3333, 90740], "2041-06-01"),
            # 263 of 365 days of 960.00 come back, 691.73; 20 of the 30 days of September cost 66.67.
            *([-69173, 6667], "2040-10-01"),
        ),
        (
            # Classic billing begins a new year now, and later a new month.
            *("classic", [-3333, 96000], "2041-06-21"),
            # 283 of its 365 days come back: 744.33; a month costs 100.00.
            *([-74433, 10000], "2040-10-11"),
        ),
    ],
)
def test_a_month_becomes_a_year_and_a_month_again(office, mode, amounts, renews, back, renews_then):
    in_mode(office, mode)
    until(office, TEN_DAYS_LEFT)
    due = sum(amounts)
    shown = planned(office, "subs change-plan lab annual")
    assert (shown["due_now"], shown["next_invoice"]) == (due, 96000)
    assert shown["renews_at"] == f"{renews}T00:00:00Z"
    assert done(office, "subs change-plan lab annual --max-spend 960")["amount_paid"] == due
    assert (charges(office), lines(office)) == ([*BOUGHT, due], amounts)
    row = subs_row(office, "lab")
    assert (row["plan"], row["seats"], row["term_end"]) == ("annual", 10, f"{renews}T00:00:00Z")
    until(office, IN_SEPTEMBER)
    assert charges(office)[len(BOUGHT) :].count(due) == 1
    paid = charges(office)
    shown = planned(office, "subs change-plan lab basic")
    assert (shown["due_now"], shown["credit"], shown["next_invoice"]) == (0, -sum(back), 10000)
    assert shown["renews_at"] == f"{renews_then}T00:00:00Z"
    done(office, "subs change-plan lab basic")
    assert (charges(office), lines(office), balance(office)) == (paid, back, sum(back))
    assert subs_row(office, "lab")["term_end"] == f"{renews_then}T00:00:00Z"
    until(office, f"{renews_then}T03:00:00Z")
    assert (lines(office), balance(office)) == ([10000], sum(back) + 10000)
    is_sound(office)
    assert office("sync").code == 0


def test_the_question_says_what_is_due_and_when_it_renews(office):
    until(office, TEN_DAYS_LEFT)
    asked = office("subs", "change-plan", "lab", "annual", stdin="no\n", tty=True)
    assert "Stripe will charge 874.07 USD now." in asked.err
    assert "It renews on 2041-06-01, then every year." in asked.err
    done(office, "subs change-plan lab annual --max-spend 874.07")
    until(office, IN_SEPTEMBER)
    asked = office("subs", "change-plan", "lab", "basic", stdin="no\n", tty=True)
    assert "625.06 USD stay as credit for the next invoices." in asked.err
    assert "Nothing is charged now." in asked.err


def test_a_year_is_paid_at_once_even_if_other_changes_wait_for_the_next_invoice(office):
    later = "--policy flexible --set increase=prorate_next_invoice"
    done(office, f"plans add later --price 10.00 --currency usd {later}")
    done(office, f"subs buy --plan later --seats 10 --name slow {CARD}")
    until(office, TEN_DAYS_LEFT)
    assert planned(office, "subs change-plan slow annual")["due_now"] == 87407
    done(office, "subs change-plan slow annual")
    assert charges(office)[-1] == 87407


def test_more_than_max_spend_is_refused(office):
    until(office, TEN_DAYS_LEFT)
    error = refused(office, "subs change-plan lab annual --max-spend 874.06")
    assert error["code"] == "max_spend_exceeded"


def test_another_interval_cannot_wait_for_the_renewal(office):
    error = refused(office, "subs change-plan lab annual --at-renewal")
    assert (error["code"], error["hint"]) == ("interval_change", "seatctl subs change-plan lab annual")


def test_a_policy_that_changes_plans_at_the_renewal_only_says_how_to_get_the_other_interval(office):
    rules = "--policy flexible --set plan_change=renewal_window --set renewal_window_days=14"
    done(office, f"plans add slow --price 10.00 --currency usd {rules}")
    done(office, f"subs buy --plan slow --seats 2 --name s {CARD}")
    until(office, TEN_DAYS_LEFT)
    error = refused(office, "subs change-plan s annual")
    assert error["code"] == "interval_change"
    assert error["hint"].startswith("seatctl subs cancel s, then buy the other plan: seatctl subs buy")


@pytest.mark.parametrize(
    ("first", "back"),
    [
        ("subs set-seats lab 4", "seatctl subs set-seats lab 10"),
        ("subs change-plan lab team --at-renewal", "seatctl subs change-plan lab basic --at-renewal"),
        ("subs cancel lab", "seatctl subs resume lab"),
    ],
)
@pytest.mark.parametrize("mode", MODES)
def test_what_waits_for_the_end_of_the_term_is_taken_back_before(office, mode, first, back):
    in_mode(office, mode)
    done(office, first)
    error = refused(office, "subs change-plan lab annual")
    assert error["code"] == "interval_change"
    assert error["hint"].endswith(back)
    done(office, back.removeprefix("seatctl "))
    done(office, "subs change-plan lab annual")
    assert_agree(office)


def test_a_shared_stripe_subscription_keeps_its_interval(office):
    shared = subs_row(office, "lab")["stripe_subscription"]
    price = next(one["id"] for one in objects(office, "price") if one["unit_amount"] == 2000)
    with twin(office) as stripe:
        send(stripe, "subscription_items", {"subscription": shared, "price": price, "quantity": 1})
    assert office("sync").code == 0
    assert refused(office, "subs change-plan lab annual")["code"] == "shared_subscription"


@pytest.mark.parametrize("mode", MODES)
def test_a_declined_card_leaves_the_month(office, mode):
    in_mode(office, mode)
    change_card(office, "pay-lab@example.com", "pm_card_chargeCustomerFail")
    before = subs_row(office, "lab")
    assert refused(office, "subs change-plan lab annual", 5)["code"] == "card_declined"
    assert office("sync").code == 0
    assert subs_row(office, "lab") == before
    assert_agree(office)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("approved", [True, False])
def test_the_bank_is_asked_first(office, mode, approved):
    in_mode(office, mode)
    change_card(office, "pay-lab@example.com", "pm_card_threeDSecure2Required")
    until(office, TEN_DAYS_LEFT)
    assert office("subs", "change-plan", "lab", "annual", "--yes").code == 10
    assert (subs_row(office, "lab")["plan"], charges(office)) == ("basic", BOUGHT)
    if approved:
        with twin(office) as stripe:
            (invoice,) = [one["id"] for one in stripe.store.walk("invoice") if one["status"] == "open"]
            control.authenticate(stripe, invoice)
        assert office("sync").code == 0
        due = {"flexible": 87407, "classic": 92667}[mode]
        assert (subs_row(office, "lab")["plan"], charges(office)) == ("annual", [*BOUGHT, due])
    else:
        until(office, "2040-06-22T01:00:00Z")
        assert (subs_row(office, "lab")["plan"], charges(office)) == ("basic", BOUGHT)
        assert subs_row(office, "lab")["term_end"] == "2040-07-01T00:00:00Z"
    is_sound(office)


@pytest.mark.parametrize("mode", MODES)
def test_on_account_the_year_is_invoiced(office, mode):
    done(
        office,
        "subs buy --plan basic --seats 10 --name acc --owner ann@example.com"
        " --billing-email acc@example.com --on-account",
    )
    in_mode(office, mode)
    until(office, TEN_DAYS_LEFT)
    row = done(office, "subs change-plan acc annual")
    assert row["amount_due"] == {"flexible": 87407, "classic": 92667}[mode]
    assert charges(office) == BOUGHT


def test_a_preview_that_does_not_show_the_end_is_refused(office, monkeypatch):
    monkeypatch.setattr("seatctl.services.subscriptions.previews.end_of_term", lambda *_: None)
    error = refused(office, "subs change-plan lab annual")
    assert error["code"] == "interval_change"
    assert "does not say when annual would renew" in error["message"]


def test_the_year_is_reckoned_from_a_month_that_has_just_begun(office):
    until(office, RENEWED)
    assert planned(office, "subs change-plan lab annual")["renews_at"] == "2041-07-01T00:00:00Z"
    done(office, "subs change-plan lab annual")
    assert subs_row(office, "lab")["term_end"] == "2041-07-01T00:00:00Z"
    is_sound(office)


def test_in_a_trial_the_other_interval_begins_with_its_end(office):
    done(office, "plans add try --price 10.00 --currency usd --trial-days 14")
    done(office, f"subs buy --plan try --seats 10 --name t {CARD}")
    shown = planned(office, "subs change-plan t annual")
    assert (shown["due_now"], shown["renews_at"]) == (0, "2040-06-15T00:00:00Z")
    done(office, "subs change-plan t annual")
    assert subs_row(office, "t")["term_end"] == "2040-06-15T00:00:00Z"
    until(office, "2040-06-15T03:00:00Z")
    assert (charges(office)[-1], subs_row(office, "t")["term_end"]) == (96000, "2041-06-15T00:00:00Z")
    is_sound(office)
