"""What is shown before is what Stripe asks for; where it is not, that is told, with the way back."""

from __future__ import annotations

import pytest

from tests.sandbox.seed import DAY, send
from tests.support.both_sides import charges, fail, objects, twin
from tests.support.office import (
    TEN_DAYS_LEFT,
    clear_faults,
    done,
    freeze,
    is_sound,
    open_contract,
    open_office,
    refused,
    subs_row,
    until,
)

BUYER = "--owner ann@example.com --billing-email pay@example.com --payment-method pm_card_visa"


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


def dashboard(seatctl, path: str, **params) -> dict:
    """Somebody else at Stripe."""
    with twin(seatctl) as stripe:
        return send(stripe, path, params)


def stripe_id(seatctl, name: str) -> str:
    return subs_row(seatctl, name)["stripe_subscription"]


def notes(seatctl, name: str, *amounts: int) -> None:
    """Somebody notes amounts for the next invoice of a subscription's customer."""
    wanted = next(one for one in objects(seatctl, "subscription") if one["id"] == stripe_id(seatctl, name))
    for amount in amounts:
        dashboard(seatctl, "invoiceitems", customer=wanted["customer"], amount=amount, currency="usd")


def shown(seatctl, command: str) -> dict:
    return done(seatctl, f"{command} --dry-run")


def newest(seatctl, name: str) -> int:
    """What the latest invoice of a subscription comes to."""
    bills = [one for one in objects(seatctl, "invoice") if one["parent"]]
    wanted = stripe_id(seatctl, name)
    return [one for one in bills if one["parent"]["subscription_details"]["subscription"] == wanted][-1][
        "total"
    ]


# Trials -----------------------------------------------------------------------------------------------


@pytest.fixture
def trial(office):
    """`trial`: 4 seats of basic, on trial for 14 days, made in the dashboard."""
    price = next(one["id"] for one in objects(office, "price") if one["lookup_key"] == "basic")
    paying = {"payment_method": "pm_card_visa"}
    paying |= {"invoice_settings": {"default_payment_method": "pm_card_visa"}}
    customer = dashboard(office, "customers", email="trial@example.com", name="trial", **paying)["id"]
    items = [{"price": price, "quantity": 4}]
    dashboard(office, "subscriptions", customer=customer, items=items, trial_period_days=14)
    assert office("sync").code == 0
    assert office("ledger", "adopt", "--yes").code == 0
    return office


def test_seats_added_in_a_trial_are_not_charged_and_not_shown_as_charged(trial):
    before = charges(trial)
    added = shown(trial, "subs add-seats trial 2")
    assert (added["due_now"], added["next_invoice"]) == (0, 6000)
    row = done(trial, "subs add-seats trial 2 --max-spend 0")
    assert (row["amount_paid"], row["seats"], charges(trial)) == (0, 6, before)
    assert shown(trial, "subs change-plan trial team")["due_now"] == 0
    until(trial, "2040-06-16T00:00:00Z")
    assert charges(trial) == [*before, 6000]


def test_seats_added_in_a_trial_that_is_canceled_cost_nothing(trial):
    done(trial, "subs cancel trial")
    added = shown(trial, "subs add-seats trial 2")
    assert (added["due_now"], added["next_invoice"], added["renews_at"]) == (0, None, None)
    assert done(trial, "subs add-seats trial 2 --max-spend 0")["amount_paid"] == 0


@pytest.mark.parametrize("count", [1, 12])
def test_what_waits_for_an_invoice_is_billed_by_a_change_in_a_trial_and_shown(trial, count):
    notes(trial, "trial", *[100] * count)
    added = shown(trial, "subs add-seats trial 2")
    assert (added["due_now"], added["next_invoice"]) == (100 * count, 6000)
    assert refused(trial, "subs add-seats trial 2 --max-spend 0")["due_now"] == 100 * count
    assert done(trial, "subs add-seats trial 2")["amount_paid"] == 100 * count


# An end within the period -----------------------------------------------------------------------------


def test_an_end_within_the_period_is_shown_with_what_is_bought_until_then(office):
    dashboard(office, f"subscriptions/{stripe_id(office, 'lab')}", cancel_at=_epoch("2040-06-26T00:00:00Z"))
    assert office("sync").code == 0
    report = office("subs", "add-seats", "lab", "1", "--dry-run", "-o", "json").json
    (row,) = report["rows"]
    assert row["ends_at"] == subs_row(office, "lab")["ends_at"] == "2040-06-26T00:00:00Z"
    assert (row["renews_at"], row["next_invoice"]) == (None, None)
    assert report["summary"].endswith("11 seats; it ends on 2040-06-26, before 2040-07-01")
    done_row = done(office, "subs add-seats lab 1")
    assert done_row["amount_paid"] == row["due_now"]
    assert "difference" not in done_row


def test_resuming_shows_what_the_next_invoice_will_ask_for(office):
    """What Stripe gave back for the time after the end is charged again with the renewal."""
    dashboard(office, f"subscriptions/{stripe_id(office, 'lab')}", cancel_at=_epoch("2040-06-21T00:00:00Z"))
    until(office, "2040-06-16T00:00:00Z")
    row = shown(office, "subs resume lab")
    done(office, "subs resume lab")
    until(office, "2040-07-02T00:00:00Z")
    assert row["next_invoice"] == newest(office, "lab") == 10000


def test_an_end_after_the_next_renewal_does_not_hide_that_renewal(office):
    dashboard(office, f"subscriptions/{stripe_id(office, 'lab')}", cancel_at=_epoch("2040-07-26T00:00:00Z"))
    assert office("sync").code == 0
    row = shown(office, "subs set-seats lab 8")
    assert (row["renews_at"], row["ends_at"]) == ("2040-07-01T00:00:00Z", "2040-07-26T00:00:00Z")
    assert row["next_invoice"] == 8000
    assert office("subs", "resume", "lab", "--yes").code == 0
    assert subs_row(office, "lab")["ends_at"] is None


def test_seats_of_a_term_renewed_by_hand_are_billed_to_its_earlier_end(sandbox):
    freeze(sandbox, "2041-01-01T00:00:00Z")
    prorated = "--interval year --policy term --set increase=prorate_now --set addon_cutoff_days=0"
    done(sandbox, f"plans add pack --price 6.00 --currency usd {prorated}")
    done(sandbox, f"subs buy --plan pack --seats 20 --name acme {BUYER}")
    until(sandbox, "2041-12-20T00:00:00Z")
    done(sandbox, "subs renew acme")
    until(sandbox, "2042-01-01T03:00:00Z")
    until(sandbox, "2042-01-02T00:00:00Z")
    whole = shown(sandbox, "subs add-seats acme 5")["due_now"]
    assert whole == 2992  # 364 of 365 days of 30.00
    ends = _epoch("2042-01-02T00:00:00Z") + 73 * DAY
    dashboard(sandbox, f"subscriptions/{stripe_id(sandbox, 'acme')}", cancel_at=ends)
    assert sandbox("sync").code == 0
    assert shown(sandbox, "subs add-seats acme 5")["due_now"] == 600  # 73 of 365 days of 30.00
    assert done(sandbox, "subs add-seats acme 5")["amount_paid"] == 600


def _epoch(moment: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(moment).timestamp())


# The next invoice -------------------------------------------------------------------------------------


def test_the_next_invoice_is_right_with_any_number_of_prorations(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    later = "--policy flexible --set increase=prorate_next_invoice"
    done(sandbox, f"plans add basic --price 12.00 --currency usd {later}")
    done(sandbox, f"subs buy --plan basic --seats 1 --name lab {BUYER}")
    for day in range(2, 10):
        until(sandbox, f"2040-06-0{day}T00:00:00Z")
        following = shown(sandbox, "subs add-seats lab 1")["next_invoice"]
        done(sandbox, "subs add-seats lab 1")
    less = shown(sandbox, "subs set-seats lab 4")["next_invoice"]
    assert less == following - 5 * 1200
    until(sandbox, "2040-07-02T00:00:00Z")
    assert len(objects(sandbox, "invoice")[-1]["lines"]["data"]) == 17
    assert newest(sandbox, "lab") == following


def test_a_decrease_that_waits_and_seats_for_the_next_invoice_are_shown_together(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    later = "--policy flexible --set increase=prorate_next_invoice"
    done(sandbox, f"plans add basic --price 12.00 --currency usd {later}")
    done(sandbox, f"subs buy --plan basic --seats 10 --name lab {BUYER}")
    done(sandbox, "subs set-seats lab 4")
    until(sandbox, TEN_DAYS_LEFT)
    notes(sandbox, "lab", *[7] * 11)
    following = shown(sandbox, "subs add-seats lab 3")["next_invoice"]
    done(sandbox, "subs add-seats lab 3")
    assert following == 77 + 7 * 1200 + 1200  # and a third of three seats
    until(sandbox, "2040-07-02T00:00:00Z")
    assert newest(sandbox, "lab") == following


def test_what_a_change_takes_along_today_is_not_on_the_next_invoice(office):
    until(office, TEN_DAYS_LEFT)
    notes(office, "lab", *[500] * 11)
    row = shown(office, "subs add-seats lab 3")
    assert row["next_invoice"] == 13000
    assert row["due_now"] in (5500 + 999, 5500 + 1000, 5500 + 1001)
    assert done(office, "subs add-seats lab 3")["amount_paid"] == row["due_now"]
    until(office, "2040-07-02T00:00:00Z")
    assert newest(office, "lab") == 13000


@pytest.mark.parametrize("count", [1, 12])
def test_a_purchase_for_a_customer_for_whom_much_waits_names_its_own_price_and_term(office, count):
    notes(office, "lab", *[500] * count)
    row = shown(office, "subs buy --plan team --seats 2 --name more --bill-to lab")
    assert (row["due_now"], row["unit_amount"]) == (4000 + 500 * count, 2000)
    assert row["renews_at"] == "2040-07-01T00:00:00Z"
    assert (
        done(office, "subs buy --plan team --seats 2 --name more --bill-to lab")["amount_paid"]
        == row["due_now"]
    )


def test_a_contract_with_much_waiting_costs_what_it_costs(sandbox):
    contract = open_contract(sandbox)
    notes(contract, "acme", *[500] * 12)
    assert shown(contract, "subs add-seats acme 5")["due_now"] == 3000
    assert done(contract, "subs add-seats acme 5 --max-spend 30.00")["amount_paid"] == 3000
    until(contract, "2041-12-10T00:00:00Z")
    assert shown(contract, "subs renew acme")["due_now"] == 15000 + 6000
    row = done(contract, "subs renew acme --max-spend 210.00")
    assert "difference" not in row
    assert charges(contract) == [12000, 3000, 15000, 6000]


def test_what_waits_is_billed_by_a_cancellation_as_shown(sandbox):
    """The customer has a credit: the final invoice asks for what it leaves."""
    freeze(sandbox, "2040-06-01T00:00:00Z")
    later = "--policy flexible --set increase=prorate_next_invoice"
    done(sandbox, f"plans add basic --price 12.00 --currency usd {later}")
    done(sandbox, f"subs buy --plan basic --seats 10 --name lab {BUYER}")
    until(sandbox, TEN_DAYS_LEFT)
    done(sandbox, "subs add-seats lab 3")
    (customer,) = objects(sandbox, "customer")
    dashboard(sandbox, f"customers/{customer['id']}/balance_transactions", amount=-200, currency="usd")
    row = done(sandbox, "subs cancel lab --now --dry-run")
    assert row["billed_now"] == 1000
    done(sandbox, "subs cancel lab --now")
    until(sandbox, "2040-06-22T00:00:00Z")
    assert charges(sandbox) == [12000, 1000]


# Discounts --------------------------------------------------------------------------------------------


@pytest.fixture
def coupons(office):
    dashboard(office, "coupons", id="EUR10", amount_off=1000, currency="eur", duration="once")
    dashboard(office, "coupons", id="TENTH", percent_off=10, duration="once")
    dashboard(office, "coupons", id="FREE", percent_off=100, duration="once")
    elsewhere = dashboard(office, "products", name="Rooms")["id"]
    dashboard(office, "coupons", id="ROOMS", percent_off=50, applies_to={"products": [elsewhere]})
    code = {"type": "coupon", "coupon": "EUR10"}
    dashboard(office, "promotion_codes", code="EURO", promotion=code)
    return office


@pytest.mark.parametrize(
    "command",
    [
        f"subs buy --plan team --seats 2 --name more {BUYER} --coupon EUR10",
        f"subs buy --plan team --seats 2 --name more {BUYER} --promo EURO",
        f"subs buy --plan team --seats 2 --name more {BUYER} --promo EURO --coupon TENTH",
        "subs buy --plan team --seats 2 --name more --bill-to lab --coupon EUR10",
        f"subs buy --plan team --seats 2 --name more {BUYER} --coupon ROOMS",
        f"subs buy --plan team --seats 2 --name m {BUYER.partition('--pay')[0]} --on-account --coupon EUR10",
        "subs add-seats lab 2 --coupon EUR10",
        "subs add-seats lab 2 --coupon ROOMS",
        "subs change-plan lab team --coupon EUR10",
        "subs change-plan lab team --at-renewal --promo EURO",
    ],
)
def test_a_discount_that_takes_nothing_off_is_told_before_and_after(coupons, command):
    for words in (f"{command} --dry-run", command):
        result = coupons(*words.split(), "--yes", "-o", "json")
        assert result.code == 0, result.err
        (warning,) = result.json["warnings"]
        assert "coupon gives no discount" in warning
        assert f"warning: {warning}" in result.err
    assert "the coupon gives no discount" in result.json["summary"]
    assert "to reverse it: seatctl subs" in warning
    assert "the coupon gives no discount" in coupons("runs", "list", "-o", "json").json[0]["summary"]


def test_a_discount_that_takes_nothing_off_is_told_also_if_nothing_follows_this_charge(coupons):
    assert coupons("subs", "cancel", "lab", "--yes").code == 0
    result = coupons("subs", "add-seats", "lab", "2", "--coupon", "EUR10", "--yes", "-o", "json")
    assert result.code == 0, result.err
    assert "the coupon gives no discount" in result.json["summary"]


@pytest.mark.parametrize(
    "command",
    [
        f"subs buy --plan team --seats 2 --name more {BUYER} --coupon TENTH",
        f"subs buy --plan team --seats 2 --name more {BUYER} --coupon FREE",
        "subs add-seats lab 2 --coupon TENTH",
        "subs change-plan lab team --coupon TENTH",
        "subs add-seats lab 2",
    ],
)
def test_a_discount_that_takes_something_off_needs_no_word(coupons, command):
    result = coupons(*command.split(), "--yes", "-o", "json")
    assert (result.code, result.err) == (0, ""), result.err
    assert "warnings" not in result.json


def test_a_discount_on_a_contract_that_takes_nothing_off_is_told(sandbox):
    contract = open_contract(sandbox)
    dashboard(contract, "coupons", id="EUR10", amount_off=1000, currency="eur", duration="once")
    until(contract, "2041-12-10T00:00:00Z")
    result = contract("subs", "renew", "acme", "--coupon", "EUR10", "--yes")
    assert (result.code, charges(contract)) == (0, [12000, 12000])
    assert "warning: the coupon gives no discount" in result.err


def test_who_can_be_asked_is_asked_whether_to_buy_without_the_discount(coupons):
    for command in (
        "subs add-seats lab 2 --coupon EUR10",
        f"subs buy --plan team --seats 2 --name m {BUYER} --coupon EUR10",
    ):
        left = coupons(*command.split(), stdin="no\n", tty=True)
        assert "the coupon gives no discount" in left.err
        assert left.err.index("the coupon gives no discount") < left.err.index("[y/N]")
    assert charges(coupons) == [2000, 10000, 3000]


# A difference -----------------------------------------------------------------------------------------


def interrupted(seatctl, command: str, path: str = "/v1/subscriptions") -> None:
    """Begin a change whose call to Stripe goes astray, and which is finished later."""
    fail(seatctl, "timeout", times=9, path=path, method="POST")
    begun = seatctl(*command.split(), "--yes")
    assert begun.code == 75, begun.err
    clear_faults(seatctl, path)


def test_an_update_that_charges_more_than_was_shown_is_told_with_the_way_back(office):
    until(office, TEN_DAYS_LEFT)
    command = "subs add-seats lab 3 --max-spend 12.00"
    due = shown(office, command)["due_now"]
    interrupted(office, command)
    notes(office, "lab", 5000)
    result = office(*command.split(), "--yes", "-o", "json")
    (row,) = result.json["rows"]
    told = {name: row[name] for name in ("amount_paid", "shown", "charged", "difference", "over_max_spend")}
    assert told == {
        "amount_paid": due + 5000,
        "shown": due,
        "charged": due + 5000,
        "difference": 5000,
        "over_max_spend": True,
    }
    assert row["reverse"] == "seatctl subs set-seats lab 10"
    (warning,) = result.json["warnings"]
    assert result.err == f"warning: {warning}\n"
    assert (
        "and more than the 12.00 USD of --max-spend; to reverse it: seatctl subs set-seats lab 10" in warning
    )
    assert done(office, row["reverse"].removeprefix("seatctl "))["next_seats"] == 10
    is_sound(office)


def test_sync_that_finishes_a_change_tells_the_difference_too(office):
    until(office, TEN_DAYS_LEFT)
    interrupted(office, "subs change-plan lab team")
    notes(office, "lab", 5000)
    result = office("sync")
    assert result.code == 0
    assert "that was shown; to reverse it: seatctl subs change-plan lab basic" in result.err
    assert office("sync").err.count("warning") == 0


def test_a_purchase_that_costs_more_than_was_shown_is_told_with_the_way_back(office):
    command = "subs buy --plan team --seats 2 --name more --bill-to lab"
    interrupted(office, command)
    notes(office, "lab", 700)
    result = office(*command.split(), "--yes", "--quiet")
    assert (result.code, result.out) == (0, "more\n")
    assert "Stripe charged 47.00 USD instead of the 40.00 USD that was shown" in result.err
    assert "to reverse it: seatctl subs cancel more --now --refund" in result.err


def test_what_is_finished_by_another_command_tells_the_difference(office):
    until(office, TEN_DAYS_LEFT)
    interrupted(office, "subs add-seats lab 3")
    notes(office, "lab", 5000)
    result = office("subs", "set-seats", "lab", "20", "--yes")
    assert result.code == 75
    assert "to reverse it: seatctl subs set-seats lab 10" in result.err


def test_a_shortfall_that_costs_more_than_was_shown_is_told(office):
    until(office, TEN_DAYS_LEFT)
    people = "email,subscription\n" + "".join(f"p{n}@example.com,lab\n" for n in range(12))
    fail(office, "timeout", times=9, path="/v1/subscriptions", method="POST")
    command = ("seats", "apply", "-", "--buy-shortfall", "--create-users", "--yes", "-o", "json")
    assert office(*command, stdin=people).code == 75
    clear_faults(office)
    notes(office, "lab", 5000)
    result = office(*command, stdin=people)
    assert result.code == 0, result.err
    assert "that was shown; to reverse it: seatctl subs set-seats lab 10" in result.err
    assert len(result.json["warnings"]) == 1


# Too little to charge ---------------------------------------------------------------------------------


def test_what_is_too_little_to_charge_is_shown_as_owed_with_the_next_invoice(sandbox):
    freeze(sandbox, "2040-06-01T00:00:00Z")
    done(sandbox, "plans add cheap --price 0.60 --currency usd --policy flexible")
    done(sandbox, f"subs buy --plan cheap --seats 1 --name lab {BUYER}")
    until(sandbox, "2040-06-16T00:00:00Z")
    report = sandbox("subs", "add-seats", "lab", "1", "--dry-run", "-o", "json").json
    assert (report["rows"][0]["due_now"], report["rows"][0]["carried_over"]) == (0, 30)
    told = "0.30 USD is below Stripe's minimum charge and is added to the next invoice"
    assert told in report["summary"]
    added = sandbox("subs", "add-seats", "lab", "1", "--yes", "-o", "json")
    assert told in added.json["summary"]
    assert "warnings" not in added.json
    until(sandbox, "2040-07-02T00:00:00Z")
    assert charges(sandbox) == [60, 120 + 30]


def test_a_purchase_too_small_to_charge_is_shown_as_owed(sandbox):
    done(sandbox, "plans add cheap --price 0.40 --currency usd --policy flexible")
    row = shown(sandbox, f"subs buy --plan cheap --seats 1 --name lab {BUYER}")
    assert (row["due_now"], row["carried_over"]) == (0, 40)
    asked = sandbox(*f"subs buy --plan cheap --seats 1 --name lab {BUYER}".split(), stdin="no\n", tty=True)
    assert "0.40 USD is below Stripe's minimum charge" in asked.err


def test_what_is_billed_now_is_discounted_by_the_day_and_not_by_the_next_invoice(office):
    """A note of the dashboard waits for a subscription with 10 % off; today's invoice takes it whole."""
    dashboard(office, "coupons", id="TENTH", percent_off=10, duration="forever")
    notes(office, "design", 250)
    dashboard(office, f"subscriptions/{stripe_id(office, 'design')}", discounts=[{"coupon": "TENTH"}])
    told = shown(office, "subs add-seats design 2")
    done(office, "subs add-seats design 2")
    until(office, "2040-07-03T00:00:00Z")
    assert told["next_invoice"] == newest(office, "design") == 3600
