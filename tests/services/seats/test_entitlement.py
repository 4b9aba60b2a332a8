"""`seatctl check`: yes exits with 0, no with 7, and a no names the ways out."""

from __future__ import annotations

from datetime import timedelta

import pytest

from seatctl.ledger import entitlements, locks, subscription_handles
from seatctl.models.call import format_time, parse_time
from tests.sandbox.seed import send
from tests.support.both_sides import contents, objects, twin
from tests.support.subscriptions import add_subscription, ledger_place, query

ZOE = "zoe@example.com"


@pytest.fixture
def zoe(sandbox, team):
    """Zoe has a seat in `design`; the sandbox."""
    assert sandbox("users", "add", ZOE).code == 0
    assert sandbox("seats", "assign", team, ZOE).code == 0
    return sandbox


def check(seatctl, *argv):
    result = seatctl("check", *argv, "-o", "json")
    return result.code, result.json["reason"], result.json


def moment(seatctl, days: float) -> str:
    """The time so many days after the sandbox's clock."""
    now = parse_time(seatctl("sandbox", "status", "-o", "json").json["now"])
    return format_time(now + timedelta(days=days))


def turn(seatctl, **columns) -> None:
    """Change the mirror of `design`, as if Stripe had changed."""
    for column, value in columns.items():
        query(ledger_place(seatctl), f"UPDATE subscriptions SET {column} = ?", value)


def test_a_seat_entitles(zoe):
    code, reason, answer = check(zoe, ZOE)
    assert (code, reason, answer["entitled"]) == (0, "entitled", True)
    assert (answer["subscription"], answer["plan"], answer["ways_out"]) == ("design", "pro", [])
    assert check(zoe, "ZOE@Example.com")[0] == 0


@pytest.mark.parametrize("argv", [(), ("-s", "design"), ("--plan", "pro")])
def test_questions_that_the_seat_answers(zoe, argv):
    assert check(zoe, ZOE, *argv)[:2] == (0, "entitled")


def test_a_seat_elsewhere_does_not_count(zoe):
    assert zoe("plans", "add", "eu", "--price", "9", "--currency", "eur").code == 0
    assert zoe("subs", "buy", "--plan=pro", "--seats=1", "--name=lab", "--bill-to=design", "--yes").code == 0
    assert check(zoe, ZOE, "-s", "lab")[:2] == (7, "unseated")
    assert check(zoe, ZOE, "--plan", "eu")[:2] == (7, "unseated")
    assert check(zoe, ZOE, "--feature", "recordings")[:2] == (7, "unseated")


def test_a_feature_that_the_subscription_was_bought_with(sandbox, pro):
    assert sandbox("plans", "edit", "pro", "--set", "features=meetings,recordings").code == 0
    buy = "subs buy --plan pro --seats 1 --name lab --payment-method pm_card_visa --yes"
    assert sandbox(*buy.split()).code == 0
    assert sandbox("seats", "assign", "lab", "ann@example.com", "--create-users").code == 0
    code, _, answer = check(sandbox, "ann@example.com", "--feature", "recordings")
    assert (code, answer["features"]) == (0, ["meetings", "recordings"])


def test_who_has_no_seat_can_ask_or_buy(sandbox, team):
    assert sandbox("users", "add", ZOE).code == 0
    code, reason, answer = check(sandbox, ZOE)
    assert (code, reason, answer["entitled"]) == (7, "unseated", False)
    request, buy = answer["ways_out"]
    assert request == f"seatctl requests create {ZOE} --subscription design"
    assert sandbox(*request.split()[1:]).code == 0
    assert buy.startswith("seatctl subs buy")


def test_who_has_asked_already_is_told_what_became_of_it(sandbox, team):
    assert sandbox("users", "add", ZOE).code == 0
    assert sandbox("requests", "create", ZOE, "-s", team).code == 0
    for argv in ((), ("-s", team)):
        code, _, answer = check(sandbox, ZOE, *argv)
        assert (code, answer["message"].partition("; ")[2]) == (7, "request 1 awaits approval")
        assert answer["ways_out"][0] == "seatctl requests approve 1"
    assert sandbox(*answer["ways_out"][0].split()[1:]).code == 0
    assert check(sandbox, ZOE)[0] == 0


def test_who_waits_is_told_the_place_and_how_many_seats_it_takes(sandbox, team):
    fill = [f"p{number}@example.com" for number in range(sandbox.rows("subs", "list")[0]["seats"])]
    assert sandbox("seats", "assign", team, *fill, "--create-users").code == 0
    assert sandbox("users", "add", ZOE).code == 0
    sandbox("requests", "create", ZOE, "-s", team)
    sandbox("requests", "approve", "1")
    _, _, answer = check(sandbox, ZOE, "-s", team)
    assert answer["message"].endswith("; number 1 on the waitlist (request 1)")
    assert sandbox(*answer["ways_out"][0].split()[1:], "--yes").code == 0
    assert check(sandbox, ZOE, "-s", team)[0] == 0


def test_who_is_unknown_is_told_so(sandbox, team):
    code, reason, answer = check(sandbox, "nobody@example.com")
    assert (code, reason) == (7, "unknown_user")
    assert answer["ways_out"][0] == "seatctl users add nobody@example.com"


def test_who_is_suspended_is_not_entitled_and_keeps_the_seat(zoe):
    assert zoe("users", "suspend", ZOE).code == 0
    code, reason, answer = check(zoe, ZOE)
    assert (code, reason) == (7, "suspended")
    (way,) = answer["ways_out"]
    assert zoe(*way.split()[1:]).code == 0
    assert check(zoe, ZOE)[0] == 0


def test_who_was_removed_is_unknown(zoe):
    assert zoe("users", "remove", ZOE, "--yes").code == 0
    assert check(zoe, ZOE)[:2] == (7, "unknown_user")


@pytest.mark.parametrize(
    ("days_ago", "code", "reason"), [(0, 0, "in_grace"), (6, 0, "in_grace"), (8, 7, "past_due")]
)
def test_past_due_within_and_after_the_grace(zoe, days_ago, code, reason):
    since = moment(zoe, -days_ago)
    turn(zoe, status="past_due", unpaid_since=since)
    found = check(zoe, ZOE)
    assert found[:2] == (code, reason)
    assert found[2]["until"] == format_time(parse_time(since) + timedelta(days=7))
    if code:
        assert found[2]["ways_out"][0] == "seatctl invoices list design --unpaid"


@pytest.mark.parametrize("status", ["canceled", "incomplete_expired"])
def test_a_subscription_that_has_ended_entitles_nobody(zoe, status):
    turn(zoe, status=status)
    code, reason, answer = check(zoe, ZOE)
    assert (code, reason, answer["features"]) == (7, "ended", [])
    assert answer["ways_out"] == ["seatctl subs buy --plan pro --seats N --name NAME"]


@pytest.mark.parametrize(
    ("status", "way"),
    [
        ("unpaid", "seatctl invoices list design --unpaid"),
        ("paused", "seatctl subs billing design --payment-method PM"),
        ("incomplete", "seatctl sync"),
    ],
)
def test_one_that_does_not_run_entitles_nobody_and_advises_no_second_purchase(zoe, status, way):
    turn(zoe, status=status)
    code, reason, answer = check(zoe, ZOE)
    assert (code, reason, answer["features"]) == (7, status, [])
    assert (answer["ways_out"][0], "subs buy" in str(answer)) == (way, False)


def test_the_end_counts_from_its_second_on_without_a_sync(zoe):
    turn(zoe, cancel_at=moment(zoe, 1))
    assert check(zoe, ZOE)[:2] == (0, "entitled")
    assert zoe("sandbox", "advance", "25h").code == 0
    assert check(zoe, ZOE)[:2] == (7, "ended")


def test_a_subscription_without_any_paid_seats_entitles_nobody(zoe):
    """Its quantity in Stripe is 0: Zoe keeps her seat, which entitles again when a seat is paid."""
    item = objects(zoe, "subscription_item")[0]["id"]
    for quantity, code, reason in ((0, 7, "no_seats_paid"), (1, 0, "entitled")):
        with twin(zoe) as stripe:
            send(stripe, f"subscription_items/{item}", {"quantity": quantity, "proration_behavior": "none"})
        assert zoe("sync").code == 0
        answer = check(zoe, ZOE)
        assert answer[:2] == (code, reason)
        if code:
            assert answer[2]["ways_out"][0] == "seatctl subs set-seats design N"
            assert zoe("reconcile", "-o", "json").rows[0]["drift"] == "over_assigned"


def test_the_best_seat_counts(zoe):
    add_subscription(ledger_place(zoe), "spare")
    assert zoe("seats", "assign", "spare", ZOE).code == 0
    query(ledger_place(zoe), "UPDATE subscriptions SET status = 'canceled' WHERE name = 'design'")
    assert check(zoe, ZOE)[2]["subscription"] == "spare"


def test_an_unknown_name_is_an_error_and_not_a_no(zoe):
    for option in (("-s", "desing"), ("--plan", "prp")):
        refused = zoe("check", ZOE, *option, "-o", "json")
        assert (refused.code, refused.out) == (9, "")
        assert refused.error["hint"].startswith("did you mean")


def test_a_question_writes_nothing(zoe):
    before = contents(zoe)
    assert check(zoe, ZOE)[0] == 0
    assert check(zoe, "nobody@example.com")[0] == 7
    assert contents(zoe) == before


def test_the_reason_is_the_handle_for_scripts(zoe):
    assert zoe("check", ZOE, "-q").out == "entitled\n"
    assert zoe("check", "nobody@example.com", "-q").out == "unknown_user\n"


def test_a_no_says_where_the_seat_is_missing(zoe):
    assert zoe("subs", "buy", "--plan=pro", "--seats=1", "--name=lab", "--bill-to=design", "--yes").code == 0
    assert check(zoe, ZOE, "-s", "LAB")[2]["message"] == f"{ZOE} has no seat in lab"
    assert check(zoe, ZOE, "--feature", "x")[2]["message"] == f"{ZOE} has no seat with the feature x"
    assert zoe("users", "add", "kim@example.com").code == 0
    assert check(zoe, "kim@example.com")[2]["message"] == "kim@example.com has no seat"


def test_as_of_is_the_last_sync(zoe):
    assert check(zoe, ZOE)[2]["as_of"] is None
    assert zoe("sync").code == 0
    assert check(zoe, ZOE)[2]["as_of"] is not None


def test_what_is_no_address_is_not_to_be_added(sandbox, team):
    code, reason, told = check(sandbox, "notamail")
    assert (code, reason, told["ways_out"]) == (7, "unknown_user", ["seatctl users list"])


def test_the_conditions_of_the_question_are_those_of_the_rest():
    """They are written out, so that `check` loads no module for them."""
    assert f"status IN {locks.OPEN}" == entitlements.IS_OPEN
    assert entitlements.IS_RUNNING == subscription_handles.IS_RUNNING
    assert entitlements.HAS_ENDED == subscription_handles.HAS_ENDED
