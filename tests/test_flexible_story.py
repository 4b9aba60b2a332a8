"""The flexible story: three subscriptions side by side, through everything that can happen to them.

Bought at the beginning of a June, which has 30 days, so that fractions of the month are those that the
recordings settle to the cent: a third (ten days left) and 1/400 (6480 seconds left).
"""

from __future__ import annotations

import json
from datetime import datetime

import pytest

from tests.support.both_sides import charges, fail, objects

START = "2040-06-01T00:00:00Z"
TEN_DAYS_LEFT = "2040-06-21T00:00:00Z"
A_FOUR_HUNDREDTH_LEFT = "2040-06-30T22:12:00Z"
RENEWED = "2040-07-01T03:00:00Z"
"""Stripe finalizes a renewal's invoice an hour after the period began."""
TERM_END = "2040-07-01T00:00:00Z"

CARDS = {"design": "pm_card_visa", "lab": "pm_card_mastercard", "field": "pm_card_amex"}


@pytest.fixture
def office(sandbox):
    """Plans `basic` (10.00) and `team` (20.00); `design`, `lab` and `field` with 2, 10 and 3 seats of basic."""
    freeze(sandbox, START)
    for slug, price in (("basic", "10.00"), ("team", "20.00")):
        done(sandbox, f"plans add {slug} --price {price} --currency usd --policy flexible")
    for name, seats in (("design", 2), ("lab", 10), ("field", 3)):
        done(
            sandbox,
            f"subs buy --plan basic --seats {seats} --name {name} --owner {name}@example.com"
            f" --billing-email pay-{name}@example.com --payment-method {CARDS[name]}",
        )
    assert charges(sandbox) == [2000, 10000, 3000]
    return sandbox


def freeze(seatctl, moment: str) -> None:
    """Stop the sandbox's clock there, so that a slow machine changes no fraction of a month."""
    from seatctl.sandbox import clock
    from tests.support.both_sides import twin

    with twin(seatctl) as stripe, stripe.store.transaction():
        clock.freeze(stripe.store, int(datetime.fromisoformat(moment).timestamp()))


def done(seatctl, command: str) -> dict:
    """The first row of what a command reports that must succeed."""
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert result.code == 0, (command, result.err)
    return result.json["rows"][0] if result.json["rows"] else {}


def refused(seatctl, command: str, code: int = 4) -> dict:
    """The error of a command that is refused, and that charges nothing."""
    before = charges(seatctl)
    result = seatctl(*command.split(), "--yes", "-o", "json")
    assert (result.code, result.out) == (code, ""), result
    assert charges(seatctl) == before
    return json.loads(result.err)["error"]


def pool(seatctl, name: str = "design") -> dict:
    return next(row for row in seatctl.rows("subs", "list") if row["name"] == name)


def until(seatctl, moment: str) -> None:
    """Move the clock and read Stripe again."""
    assert seatctl("sandbox", "advance", moment).code == 0
    assert seatctl("sync").code == 0


def item(seatctl, name: str = "design") -> dict:
    wanted = pool(seatctl, name)["stripe_subscription"]
    return next(one for one in objects(seatctl, "subscription_item") if one["subscription"] == wanted)


def is_sound(seatctl) -> None:
    assert seatctl("audit", "verify").code == seatctl("ledger", "check").code == 0


def entitled(seatctl, email: str) -> tuple[int, str]:
    answer = seatctl("check", email, "-o", "json")
    return answer.code, answer.json["reason"]


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
    assert (pool(office, "design")["seats"], pool(office, "lab")["seats"]) == (2, 11)


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
    assert (pool(office, "lab")["seats"], item(office, "lab")["quantity"]) == (10, 4)
    until(office, "2040-06-30T00:00:00Z")
    assert pool(office, "lab")["seats"] == 10
    until(office, RENEWED)
    assert (pool(office, "lab")["seats"], charges(office).count(4000)) == (4, 1)
    assert sorted(charges(office)) == [2000, 2000, 3000, 3000, 4000, 10000]
    is_sound(office)


def test_the_ledger_alone_knows_the_decrease_when_its_date_has_come(office):
    done(office, "subs set-seats lab 4")
    assert office("sandbox", "advance", RENEWED).code == 0
    assert pool(office, "lab")["seats"] == 4


def test_an_increase_after_a_pending_decrease_charges_no_one_twice(office):
    done(office, "subs set-seats lab 4")
    until(office, TEN_DAYS_LEFT)
    # Ten are paid for until July, whatever waits: twelve cost two more for a third of the month.
    # -100.00/3 = -33.33, which is credited as -33.34 or -33.33; 120.00/3 = 40.00.
    row = done(office, "subs add-seats lab 2")
    assert (row["seats"], row["next_seats"]) == (12, 6)
    assert row["amount_paid"] in (666, 667)
    until(office, RENEWED)
    assert pool(office, "lab")["seats"] == 6
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
    assert pool(office, "field")["unit_amount"] == 2000


def test_several_pending_changes_compose_and_none_is_lost(office):
    assert done(office, "subs change-plan field team --at-renewal")["plan"] == "basic"
    assert done(office, "subs set-seats field 2")["next_seats"] == 2
    until(office, TEN_DAYS_LEFT)
    # Three more of what runs, which is basic: -10.00, +20.00.
    row = done(office, "subs add-seats field 3")
    assert (row["plan"], row["seats"], row["next_seats"], row["amount_paid"]) == ("basic", 6, 5, 1000)
    assert refused(office, "subs change-plan field team")["code"] == "change_waits"
    assert pool(office, "field")["unit_amount"] == 1000
    until(office, RENEWED)
    field = pool(office, "field")
    assert (field["plan"], field["seats"], field["unit_amount"]) == ("team", 5, 2000)
    assert charges(office).count(10000) == 3  # lab twice, and field: five of team at 20.00
    is_sound(office)


def test_a_plan_change_that_waits_is_taken_back_at_the_price_that_runs(office):
    done(office, "subs change-plan field team --at-renewal")
    done(office, "plans edit basic --price 15.00")
    done(office, "subs change-plan field basic --at-renewal")
    until(office, RENEWED)
    field = pool(office, "field")
    assert (field["plan"], field["unit_amount"], charges(office).count(3000)) == ("basic", 1000, 2)


def test_cancel_at_the_period_s_end_and_resume(office):
    assert office("seats", "assign", "design", "design@example.com").code == 0
    shown = done(office, "subs cancel design --dry-run")
    assert (shown["seats_until"], shown["given_back"], pool(office)["ends"]) == (TERM_END, 0, False)
    assert done(office, "subs cancel design")["seats_until"] == TERM_END
    assert (pool(office)["ends"], pool(office)["status"]) == (True, "active")
    assert "nothing" not in office("subs", "cancel", "design", "--yes").err
    answer = office("check", "design@example.com", "-o", "json").json
    assert (answer["entitled"], answer["until"]) == (True, TERM_END)
    assert done(office, "subs resume design")["status"] == "active"
    assert pool(office)["ends"] is False
    until(office, RENEWED)
    assert charges(office).count(2000) == 2
    done(office, "subs cancel design")
    until(office, "2040-08-02")
    assert (pool(office)["status"], charges(office).count(2000)) == ("canceled", 2)
    assert entitled(office, "design@example.com") == (7, "ended")
    assert refused(office, "subs resume design")["code"] == "subscription_not_running"
    is_sound(office)


def test_a_decrease_and_a_plan_change_survive_a_cancellation_that_is_taken_back(office):
    done(office, "subs set-seats field 2")
    done(office, "subs change-plan field team --at-renewal")
    done(office, "subs cancel field")
    done(office, "subs resume field")
    until(office, RENEWED)
    assert (pool(office, "field")["plan"], pool(office, "field")["seats"]) == ("team", 2)


def test_a_card_that_fails_at_renewal_entitles_in_the_grace_and_not_after(office):
    done(
        office,
        "subs buy --plan basic --seats 1 --name solo --owner sue@example.com"
        " --billing-email sue@example.com --payment-method pm_card_visa",
    )
    assert office("seats", "assign", "solo", "sue@example.com").code == 0
    change_card(office, "sue@example.com", "pm_card_chargeCustomerFail")
    until(office, "2040-07-01T02:00:00Z")
    assert pool(office, "solo")["status"] == "past_due"
    assert entitled(office, "sue@example.com") == (0, "in_grace")
    until(office, "2040-07-08T00:00:00Z")  # seven days from 01:00 on the 1st, when it was finalized
    assert entitled(office, "sue@example.com") == (0, "in_grace")
    until(office, "2040-07-08T02:00:00Z")
    assert entitled(office, "sue@example.com") == (7, "past_due")
    # A new card, and the open invoice is paid by the next attempt.
    change_card(office, "sue@example.com", "pm_card_visa")
    until(office, "2040-07-20")
    assert entitled(office, "sue@example.com") == (0, "entitled")
    assert charges(office).count(1000) == 2
    is_sound(office)


def change_card(seatctl, email: str, card: str) -> None:
    """Another card, straight at Stripe, as the customer portal would do it."""
    from tests.support.both_sides import twin

    with twin(seatctl) as stripe:
        customer = next(one["id"] for one in objects(seatctl, "customer") if one["email"] == email)
        subscription = next(
            one["id"] for one in objects(seatctl, "subscription") if one["customer"] == customer
        )
        form = "application/x-www-form-urlencoded"
        headers = {"Authorization": "Bearer sk_test_portal", "Content-Type": form}
        made = stripe.handle("POST", f"/v1/payment_methods/{card}/attach", headers, f"customer={customer}")
        method = json.loads(made.body)["id"]
        for path, body in (
            (f"/v1/customers/{customer}", f"invoice_settings[default_payment_method]={method}"),
            (f"/v1/subscriptions/{subscription}", f"default_payment_method={method}"),
        ):
            assert stripe.handle("POST", path, headers, body).status == 200


def test_a_lost_answer_adds_the_seats_once(office):
    until(office, TEN_DAYS_LEFT)
    fail(office, "lost", times=8, method="POST", path="/v1/subscriptions")
    assert office("subs", "add-seats", "design", "2", "--yes").code == 75
    clear_faults(office)
    fail(office, "lost", method="POST", path="/v1/subscriptions")  # and once more while it is repeated
    again = done(office, "subs add-seats design 2")
    assert (again["seats"], pool(office)["seats"], item(office)["quantity"]) == (4, 4, 4)
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
    assert (pool(office)["seats"], pool(office)["plan"]) == (seats, plan)
    assert len(charges(office)) == 4
    assert office.rows("runs", "list", "--state", "pending") == []


def clear_faults(seatctl) -> None:
    """Let what is still armed be used up by questions that change nothing."""
    from tests.support.both_sides import faults_left, twin

    while faults_left(seatctl):
        with twin(seatctl) as stripe:
            try:
                stripe.handle("POST", "/v1/subscriptions/none", {"Authorization": "Bearer sk_test_x"}, "")
            except ConnectionError:
                continue
