"""Changes of a running subscription: seats at once and later, another plan, and a change that is refused.

A month has 30 days, so that a third of it is left after 20.
"""

from __future__ import annotations

import pytest

from tests.conformance.story import Story, share

DAY = 86_400
A_THIRD_LEFT = 20 * DAY
RENEWED = 2 * 3600
"""Seconds after a period's end: its invoice is finalized and paid after about an hour."""


@pytest.fixture
def office(story) -> Story:
    """`design`: three seats of `basic` (10.00); `team` costs 20.00."""
    story.plan("basic", "10.00")
    story.plan("team", "20.00")
    assert story.buy("basic", 3)["amount_paid"] == 3000
    return story


def quantity(story: Story) -> int:
    (subscription,) = story.stripe_subscriptions()
    (item,) = subscription["items"]["data"]
    return int(item["quantity"])


def test_an_addition_is_prorated_and_charged_now(office):
    office.until(office.start + A_THIRD_LEFT)
    # -30.00/3 = -10.00 and +50.00/3 = 16.67: 6.67 now.
    shown = office.done("subs add-seats design 2 --dry-run")
    assert (shown["due_now"], shown["seats_after"], shown["next_invoice"]) == (667, 5, 5000)
    added = office.done("subs add-seats design 2")
    assert (added["amount_paid"], added["seats"], quantity(office)) == (667, 5, 5)
    assert office.charges() == [3000, 667]
    assert office.synced() == []
    office.until(office.at_month(1, RENEWED))
    assert office.charges() == [3000, 667, 5000]


def test_an_addition_at_full_price_is_charged_whole(story):
    story.plan("term", "6.00", "--interval year --policy term")
    assert story.buy("term", 10)["amount_paid"] == 6000
    story.until(story.at_month(3))
    added = story.done("subs add-seats design 5")
    assert (added["amount_paid"], added["seats"], quantity(story)) == (3000, 15, 15)
    assert story.charges() == [6000, 3000]
    assert story.of_customers("invoiceitems", pending="true") == []
    assert story.synced() == []


def test_a_decrease_that_waits_an_increase_and_another_plan(office):
    row = office.done("subs set-seats design 1")
    assert (row["seats"], row["next_seats"], row["amount_paid"]) == (3, 1, 0)
    office.until(office.start + A_THIRD_LEFT)
    # Three are paid for, whatever waits. Six instead: -30.00/3 = -10.00, +60.00/3 = 20.00.
    row = office.done("subs add-seats design 3")
    assert (row["seats"], row["next_seats"], row["amount_paid"]) == (6, 4, 1000)
    assert office.charges() == [3000, 1000]
    office.done("subs change-plan design {team} --at-renewal")
    assert office.synced() == []
    office.until(office.at_month(1, RENEWED))
    found = office.sub()
    assert (found["seats"], found["plan"], quantity(office)) == (4, office.plans["team"], 4)
    assert office.charges() == [3000, 1000, 8000]  # 4 x 20.00


def test_another_plan_now_is_prorated(office):
    office.until(office.start + A_THIRD_LEFT)
    # -30.00/3 = -10.00, +60.00/3 = 20.00.
    row = office.done("subs change-plan design {team}")
    assert (row["plan"], row["seats"], row["amount_paid"]) == (office.plans["team"], 3, 1000)
    assert office.charges() == [3000, 1000]
    office.until(office.at_month(1, RENEWED))
    assert office.charges() == [3000, 1000, 6000]


@pytest.mark.parametrize("command", ["subs add-seats design 2", "subs change-plan design {team}"])
def test_a_change_with_a_refused_card_changes_nothing(office, command):
    """Not proved by a recording: whether Stripe leaves an invoice or a pending item of a declined update."""
    office.until(office.start + A_THIRD_LEFT)
    office.use_card("pm_card_chargeCustomerFail")
    office.done("sync")
    before, found = office.everything(), office.sub()
    assert office.refused(command, 5)["code"] == "card_declined"
    assert office.everything() == before
    assert office.sub() == found
    assert office.synced() == []
    office.use_card("pm_card_visa")
    assert office.done(command)["amount_paid"] in (667, 1000)
    assert len(office.charges()) == 2


def test_monthly_becomes_yearly_in_the_middle_of_a_month(office):
    office.plan("annual", "96.00", "--interval year")
    office.until(office.start + A_THIRD_LEFT)
    # -30.00/3, and 3 x 96.00 for what is left of the year that began with the month.
    year = office.at_month(12) - office.start
    due = share(3 * 9600, year - A_THIRD_LEFT, year) - 1000
    shown = office.done("subs change-plan design {annual} --dry-run")
    assert (shown["due_now"], office.charges()) == (due, [3000])
    assert office.done("subs change-plan design {annual}")["amount_paid"] == due
    (subscription,) = office.stripe_subscriptions()
    (item,) = subscription["items"]["data"]
    assert (item["current_period_start"], item["current_period_end"]) == (office.start, office.at_month(12))
    assert office.charges() == [3000, due]
    assert office.synced() == []
    office.until(office.at_month(2, RENEWED))
    assert office.charges() == [3000, due]


def test_a_limit_stops_what_costs_more(office):
    office.until(office.start + A_THIRD_LEFT)
    error = office.refused("subs add-seats design 2 --max-spend 6.66", 4)
    assert (error["code"], error["due_now"]) == ("max_spend_exceeded", 667)
    assert (office.charges(), quantity(office)) == ([3000], 3)
    assert office.done("subs add-seats design 2 --max-spend 6.67")["amount_paid"] == 667
