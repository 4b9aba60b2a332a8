"""Who is entitled, on literals: status, seats, subscriptions, grace."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from seatctl.models.entitlement import Holding
from seatctl.rules.entitlement import entitlement, ways_out

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
DAY = timedelta(days=1)
WHO = "zoe@example.com"


def holding(**changes) -> Holding:
    fields = {
        "subscription": "design",
        "plan": "pro",
        "status": "active",
        "until": None,
        "cancel_at": None,
        "unpaid_since": None,
        "grace_days": 7,
        "features": ("meetings",),
    }
    return Holding(**{**fields, **changes})


def answer(*held: Holding, status: str | None = "active"):
    return entitlement(WHO, status, held, NOW)


@pytest.mark.parametrize(
    ("status", "held", "reason"),
    [
        (None, (), "unknown_user"),
        ("removed", (), "unknown_user"),
        ("removed", (holding(),), "unknown_user"),
        ("suspended", (holding(),), "suspended"),
        ("active", (), "unseated"),
    ],
)
def test_who_has_nothing_is_told_why(status, held, reason):
    found = answer(*held, status=status)
    assert (found.entitled, found.reason, found.until) == (False, reason, None)


@pytest.mark.parametrize("status", ["active", "trialing"])
def test_a_seat_in_a_running_subscription_entitles(status):
    found = answer(holding(status=status))
    assert (found.entitled, found.reason, found.until) == (True, "entitled", None)


@pytest.mark.parametrize("status", ["active", "trialing", "past_due"])
def test_a_seat_where_none_is_paid_does_not(status):
    found = answer(holding(status=status, capacity=0))
    assert (found.entitled, found.reason) == (False, "no_seats_paid")
    hints = ways_out(found, WHO, subscription=None, plan=None)
    assert hints[0] == "seatctl subs set-seats design N"
    assert answer(holding(capacity=0), holding(subscription="lab")).entitled


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("canceled", "ended"),
        ("incomplete_expired", "ended"),
        ("unpaid", "unpaid"),
        ("incomplete", "incomplete"),
        ("paused", "paused"),
    ],
)
def test_a_seat_in_any_other_does_not(status, reason):
    found = answer(holding(status=status))
    assert (found.entitled, found.reason) == (False, reason)


def test_until_is_what_comes_first():
    assert answer(holding(until=NOW + DAY, cancel_at=NOW + 2 * DAY)).until == NOW + DAY
    assert answer(holding(until=NOW + 3 * DAY, cancel_at=NOW + 2 * DAY)).until == NOW + 2 * DAY


def test_a_subscription_whose_end_has_come_has_ended_whatever_its_status_says():
    found = answer(holding(cancel_at=NOW))
    assert (found.entitled, found.reason, found.until) == (False, "ended", NOW)
    assert answer(holding(cancel_at=NOW + timedelta(seconds=1))).entitled


@pytest.mark.parametrize(
    ("since", "days", "entitled"),
    [
        (NOW, 7, True),
        (NOW - 7 * DAY + timedelta(seconds=1), 7, True),
        (NOW - 7 * DAY, 7, False),
        (NOW - 30 * DAY, 7, False),
        (NOW, 0, False),
        (None, 7, True),
        (None, 0, False),
    ],
)
def test_the_grace_runs_from_the_oldest_unpaid_invoice(since, days, entitled):
    found = answer(holding(status="past_due", unpaid_since=since, grace_days=days))
    assert (found.entitled, found.reason) == (entitled, "in_grace" if entitled else "past_due")
    assert found.until == (since or NOW) + days * DAY


def test_the_grace_ends_with_the_subscription():
    found = answer(holding(status="past_due", unpaid_since=NOW, cancel_at=NOW + DAY))
    assert (found.reason, found.until) == ("in_grace", NOW + DAY)


def test_the_best_of_several_seats_counts():
    late = holding(subscription="late", status="past_due", unpaid_since=NOW - 30 * DAY)
    graced = holding(subscription="graced", status="past_due", unpaid_since=NOW)
    gone = holding(subscription="gone", status="canceled")
    assert answer(gone, late, graced, holding()).reason == "entitled"
    assert answer(gone, late, graced).holding == graced
    assert answer(gone, late).reason == "past_due"


def test_the_ways_out_of_a_no():
    def out(found, **asked):
        return ways_out(found, WHO, **{"subscription": None, "plan": None, "only_running": "design", **asked})

    assert out(answer(holding())) == []
    assert out(answer(status="suspended")) == [f"seatctl users reactivate {WHO}"]
    assert out(answer()) == [
        f"seatctl requests create {WHO} --subscription design",
        "seatctl subs buy --plan PLAN --seats N --name NAME",
    ]
    assert out(answer(), subscription="sales eu", plan="pro", only_running=None) == [
        f"seatctl requests create {WHO} --subscription 'sales eu'",
        "seatctl subs buy --plan pro --seats N --name NAME",
    ]
    assert out(answer(status=None))[0] == f"seatctl users add {WHO}"
    late = answer(holding(status="past_due", unpaid_since=NOW - 30 * DAY))
    assert out(late)[0] == "seatctl invoices list design --unpaid"
