"""The flexible story: three subscriptions side by side, through everything that can happen to them."""

from __future__ import annotations

import pytest

from tests.support.both_sides import charges, fail, objects
from tests.support.office import (
    A_FOUR_HUNDREDTH_LEFT,
    RENEWED,
    TEN_DAYS_LEFT,
    TERM_END,
    change_card,
    clear_faults,
    done,
    entitled,
    is_sound,
    item,
    open_office,
    refused,
    subs_row,
    until,
)


@pytest.fixture
def office(sandbox):
    return open_office(sandbox)


def test_three_subscriptions_each_with_its_own_owner_customer_and_card(office):
    assert [(row["name"], row["owner"], row["seats"]) for row in office.rows("subs", "list")] == [
        ("design", "design@example.com", 2),
        ("field", "field@example.com", 3),
        ("lab", "lab@example.com", 10),
    ]
    customers = {one["id"]: one["email"] for one in objects(office, "customer")}
    assert sorted(customers.values()) == [f"pay-{name}@example.com" for name in ("design", "field", "lab")]
    paid_with = [charge["payment_method_details"]["card"]["brand"] for charge in objects(office, "charge")]
    assert paid_with == ["visa", "mastercard", "amex"]
    done(office, "subs add-seats lab 1")
    assert (subs_row(office, "design")["seats"], subs_row(office, "lab")["seats"]) == (2, 11)


def test_an_increase_is_prorated_and_charged_now_to_the_cent(office):
    until(office, TEN_DAYS_LEFT)
    # A third of the month is left: -20.00/3 = -6.67 (recorded so), +40.00/3 = 13.33; 6.66 is due.
    shown = done(office, "subs add-seats design 2 --dry-run")
    assert (shown["seats"], shown["seats_after"], shown["due_now"]) == (2, 4, 666)
    assert (shown["next_invoice"], shown["renews_at"]) == (4000, TERM_END)
    assert charges(office) == [2000, 10000, 3000]
    added = done(office, "subs add-seats design 2")
    assert (added["seats"], added["amount_paid"]) == (4, 666)
    assert charges(office) == [2000, 10000, 3000, 666]
    # 6480 seconds are left, 1/400: -100.00/400 = -0.25, +4010.00/400 = 10.025, and a half goes down: 10.02.
    until(office, A_FOUR_HUNDREDTH_LEFT)
    assert done(office, "subs add-seats lab 391")["amount_paid"] == 1002 - 25
    # -30.00/400 = -0.075 and +210.00/400 = 0.525 are fractions that no recording settles: not asserted.
    is_sound(office)


def test_halves_go_down_on_both_signs(office):
    done(office, "subs buy --plan basic --seats 1 --name solo --bill-to design")
    until(office, A_FOUR_HUNDREDTH_LEFT)
    # -10.00/400 = -2.5 cents becomes -3; +4010.00/400 = 1002.5 becomes 1002 (recording 01 settles halves).
    assert done(office, "subs add-seats solo 400")["amount_paid"] == 999


def test_max_spend_stops_an_increase_before_it_is_charged(office):
    until(office, TEN_DAYS_LEFT)
    error = refused(office, "subs add-seats design 2 --max-spend 6.65")
    assert (error["code"], error["due_now"]) == ("max_spend_exceeded", 666)
    assert done(office, "subs add-seats design 2 --max-spend 6.66")["seats"] == 4


def test_a_decrease_waits_for_the_renewal(office):
    row = done(office, "subs set-seats lab 4")
    assert (row["seats"], row["next_seats"], row["amount_paid"]) == (10, 4, 0)
    assert (subs_row(office, "lab")["seats"], item(office, "lab")["quantity"]) == (10, 4)
    until(office, "2040-06-30T00:00:00Z")
    assert subs_row(office, "lab")["seats"] == 10
    until(office, RENEWED)
    assert (subs_row(office, "lab")["seats"], charges(office).count(4000)) == (4, 1)
    assert sorted(charges(office)) == [2000, 2000, 3000, 3000, 4000, 10000]
    is_sound(office)


def test_what_waits_is_on_the_subscription_s_page_and_in_the_audit(office):
    done(office, "subs set-seats lab 4")
    done(office, "subs change-plan lab team --at-renewal")
    page = office("subs", "show", "lab", "-o", "json").json
    assert (page["seats"], page["next_seats"], page["plan"], page["next_plan"]) == (10, 4, "basic", "team")
    assert "From 2040-07-01 on it has 4 seats of team." in page["calendar"]
    decided = [
        [change["after"] for change in run["changes"] if change["entity"] == "subscription"]
        for run in (
            office("runs", "show", row["number"], "-o", "json").json
            for row in office.rows("runs", "list")[:2]
        )
    ]
    assert [(one["next_seats"], one["next_plan"]) for (one,) in decided] == [(4, "team"), (4, "basic")]
    done(office, "subs set-seats lab 10")
    done(office, "subs change-plan lab basic --at-renewal")
    page = office("subs", "show", "lab", "-o", "json").json
    assert (page["next_seats"], page["next_plan"], len(page["calendar"])) == (10, "basic", 3)


def test_the_ledger_alone_knows_the_decrease_when_its_date_has_come(office):
    done(office, "subs set-seats lab 4")
    assert office("sandbox", "advance", RENEWED).code == 0
    assert subs_row(office, "lab")["seats"] == 4


def test_an_increase_after_a_pending_decrease_charges_no_one_twice(office):
    done(office, "subs set-seats lab 4")
    until(office, TEN_DAYS_LEFT)
    # Ten are paid for until July, whatever waits: twelve cost two more for a third of the month.
    # -100.00/3 = -33.33, which is credited as -33.34 or -33.33; 120.00/3 = 40.00.
    row = done(office, "subs add-seats lab 2")
    assert (row["seats"], row["next_seats"]) == (12, 6)
    assert row["amount_paid"] in (666, 667)
    until(office, RENEWED)
    assert subs_row(office, "lab")["seats"] == 6
    assert charges(office).count(6000) == 1
    is_sound(office)


def test_a_decrease_is_taken_back_while_it_waits(office):
    done(office, "subs set-seats lab 4")
    row = done(office, "subs set-seats lab 10")
    assert (row["seats"], row["next_seats"], row["amount_paid"]) == (10, 10, 0)
    assert done(office, "subs set-seats lab 10")["seats"] == 10
    assert charges(office) == [2000, 10000, 3000]
    until(office, RENEWED)
    assert charges(office).count(10000) == 2


def test_an_upgrade_is_prorated_and_charged_now(office):
    until(office, TEN_DAYS_LEFT)
    # Three seats of 10.00 become three of 20.00 for a third of the month: -10.00, +20.00.
    row = done(office, "subs change-plan field team")
    assert (row["plan"], row["seats"], row["amount_paid"]) == ("team", 3, 1000)
    until(office, RENEWED)
    assert charges(office)[-3:].count(6000) == 1
    assert subs_row(office, "field")["unit_amount"] == 2000


def test_several_pending_changes_compose_and_none_is_lost(office):
    assert done(office, "subs change-plan field team --at-renewal")["plan"] == "basic"
    assert done(office, "subs set-seats field 2")["next_seats"] == 2
    until(office, TEN_DAYS_LEFT)
    # Three more of what runs, which is basic: -10.00, +20.00.
    row = done(office, "subs add-seats field 3")
    assert (row["plan"], row["seats"], row["next_seats"], row["amount_paid"]) == ("basic", 6, 5, 1000)
    assert refused(office, "subs change-plan field team")["code"] == "change_waits"
    assert subs_row(office, "field")["unit_amount"] == 1000
    until(office, RENEWED)
    field = subs_row(office, "field")
    assert (field["plan"], field["seats"], field["unit_amount"]) == ("team", 5, 2000)
    assert charges(office).count(10000) == 3  # lab twice, and field: five of team at 20.00
    is_sound(office)


def test_a_plan_change_that_waits_is_taken_back_at_the_price_that_runs(office):
    done(office, "subs change-plan field team --at-renewal")
    done(office, "plans edit basic --price 15.00")
    done(office, "subs change-plan field basic --at-renewal")
    until(office, RENEWED)
    field = subs_row(office, "field")
    assert (field["plan"], field["unit_amount"], charges(office).count(3000)) == ("basic", 1000, 2)


def test_cancel_at_the_period_s_end_and_resume(office):
    assert office("seats", "assign", "design", "design@example.com").code == 0
    shown = done(office, "subs cancel design --dry-run")
    assert (shown["seats_until"], shown["given_back"], subs_row(office)["ends"]) == (TERM_END, 0, False)
    assert done(office, "subs cancel design")["seats_until"] == TERM_END
    assert (subs_row(office)["ends"], subs_row(office)["status"]) == (True, "active")
    assert "nothing" not in office("subs", "cancel", "design", "--yes").err
    answer = office("check", "design@example.com", "-o", "json").json
    assert (answer["entitled"], answer["until"]) == (True, TERM_END)
    assert done(office, "subs resume design")["status"] == "active"
    assert subs_row(office)["ends"] is False
    until(office, RENEWED)
    assert charges(office).count(2000) == 2
    done(office, "subs cancel design")
    until(office, "2040-08-02")
    assert (subs_row(office)["status"], charges(office).count(2000)) == ("canceled", 2)
    assert entitled(office, "design@example.com") == (7, "ended")
    assert refused(office, "subs resume design")["code"] == "subscription_not_running"
    is_sound(office)


def test_a_decrease_and_a_plan_change_survive_a_cancellation_that_is_taken_back(office):
    done(office, "subs set-seats field 2")
    done(office, "subs change-plan field team --at-renewal")
    done(office, "subs cancel field")
    done(office, "subs resume field")
    until(office, RENEWED)
    assert (subs_row(office, "field")["plan"], subs_row(office, "field")["seats"]) == ("team", 2)


def test_a_card_that_fails_at_renewal_entitles_in_the_grace_and_not_after(office):
    done(
        office,
        "subs buy --plan basic --seats 1 --name solo --owner sue@example.com"
        " --billing-email sue@example.com --payment-method pm_card_visa",
    )
    assert office("seats", "assign", "solo", "sue@example.com").code == 0
    change_card(office, "sue@example.com", "pm_card_chargeCustomerFail")
    until(office, "2040-07-01T02:00:00Z")
    assert subs_row(office, "solo")["status"] == "past_due"
    assert entitled(office, "sue@example.com") == (0, "in_grace")
    until(office, "2040-07-08T00:00:00Z")  # seven days from 01:00 on the 1st, when it was finalized
    assert entitled(office, "sue@example.com") == (0, "in_grace")
    until(office, "2040-07-08T02:00:00Z")
    assert entitled(office, "sue@example.com") == (7, "past_due")
    # A new card pays at once what is owed, once.
    done(office, "subs billing solo --payment-method pm_card_mastercard")
    assert (subs_row(office, "solo")["status"], charges(office).count(1000)) == ("active", 2)
    assert entitled(office, "sue@example.com") == (0, "entitled")
    until(office, "2040-07-20T00:00:00Z")
    assert charges(office).count(1000) == 2
    is_sound(office)


def test_a_lost_answer_adds_the_seats_once(office):
    until(office, TEN_DAYS_LEFT)
    fail(office, "lost", times=8, method="POST", path="/v1/subscriptions")
    assert office("subs", "add-seats", "design", "2", "--yes").code == 75
    clear_faults(office)
    fail(office, "lost", method="POST", path="/v1/subscriptions")  # and once more while it is repeated
    again = done(office, "subs add-seats design 2")
    assert (again["seats"], subs_row(office)["seats"], item(office)["quantity"]) == (4, 4, 4)
    assert charges(office) == [2000, 10000, 3000, 666]
    is_sound(office)


@pytest.mark.parametrize(
    ("command", "seats", "plan"),
    [("subs set-seats design 4", 4, "basic"), ("subs change-plan design team", 2, "team")],
)
def test_a_repetition_finishes_what_stripe_has_done_already(office, command, seats, plan):
    until(office, TEN_DAYS_LEFT)
    fail(office, "lost", times=8, method="POST", path="/v1/subscriptions")
    assert office(*command.split(), "--yes").code == 75
    clear_faults(office)
    row = done(office, command)
    assert (row["seats"], row["plan"]) == (seats, plan)
    assert (subs_row(office)["seats"], subs_row(office)["plan"]) == (seats, plan)
    assert len(charges(office)) == 4
    assert office.rows("runs", "list", "--state", "pending") == []
