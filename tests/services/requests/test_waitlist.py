"""The waitlist, the rules that decide about its seats, and requests that close without a decision."""

from __future__ import annotations

import json

import pytest

from tests.support.postbox import plain, use
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DOT = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dot"))
ON = '{"enabled": true}'


@pytest.fixture
def people(sandbox):
    sandbox("users", "add", BOB, CYD, DOT)
    return sandbox


def ask(seatctl, email, *argv):
    return seatctl("requests", "create", email, *argv, "-o", "json")


def request(seatctl, number):
    return seatctl("requests", "show", number, "-o", "json").json


def seated(seatctl):
    return [(row["subscription"], row["email"]) for row in seatctl.rows("seats", "list")]


def any_change(seatctl):
    """Make a change: every change first records what has fallen due."""
    assert seatctl("users", "edit", DOT, "--name", "Dot").code == 0


def rules(seatctl, subscription, **values):
    query(
        ledger_place(seatctl),
        "UPDATE subscriptions SET auto_approval = ? WHERE name = ?",
        json.dumps({"enabled": True, **values}),
        subscription,
    )


# -- rules apply to their subscription -----------------------------------------------------------


def test_a_seat_that_only_a_person_may_give_is_asked_for_and_not_taken(people):
    add_subscription(ledger_place(people), "full", seats=0, auto_approval=ON)
    add_subscription(ledger_place(people), "guarded", seats=5)
    asked = ask(people, BOB)
    assert (asked.code, asked.rows[0]["status"]) == (0, "pending")
    any_change(people)
    assert seated(people) == []
    assert people("requests", "approve", "1").code == 0
    assert seated(people) == [("guarded", BOB)]


def test_who_waits_by_the_rule_of_one_subscription_is_not_seated_in_another_by_time_alone(people):
    add_subscription(ledger_place(people), "full", seats=0, auto_approval=ON)
    add_subscription(ledger_place(people), "guarded", seats=0)
    assert ask(people, BOB).rows[0]["status"] == "waitlisted"
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 3 WHERE name = 'guarded'")
    any_change(people)
    assert seated(people) == []
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 1 WHERE name = 'full'")
    any_change(people)
    assert seated(people) == [("full", BOB)]


@pytest.mark.parametrize(
    ("rule", "moves_up"),
    [
        ({"domains": ["other.org"]}, False),
        ({"groups": ["ops"]}, False),
        ({"keep_free": 1}, False),
        ({}, True),
    ],
)
def test_the_rules_of_the_subscription_with_the_seat_decide(people, rule, moves_up):
    add_subscription(ledger_place(people), "full", seats=0, auto_approval=ON)
    add_subscription(ledger_place(people), "other", seats=0)
    ask(people, BOB)
    rules(people, "other", **rule)
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 1 WHERE name = 'other'")
    any_change(people)
    assert seated(people) == ([("other", BOB)] if moves_up else [])


def test_the_daily_limit_counts_those_who_wait_too(people):
    add_subscription(ledger_place(people), "design", seats=0)
    rules(people, "design", daily_limit=1)
    found = [ask(people, email, "-s", "design").rows[0]["status"] for email in (BOB, CYD, DOT)]
    assert found == ["waitlisted", "pending", "pending"]
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 3")
    any_change(people)
    assert seated(people) == [("design", BOB)]


def test_a_seat_that_comes_later_does_not_change_when_it_was_approved(people):
    add_subscription(ledger_place(people), "design", seats=0)
    rules(people, "design", daily_limit=1)
    ask(people, BOB, "-s", "design")
    query(ledger_place(people), "UPDATE requests SET decided_at = '2026-01-01T00:00:00Z'")
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 2")
    any_change(people)
    assert request(people, 1)["decided_at"] == "2026-01-01T00:00:00Z"
    assert ask(people, CYD, "-s", "design").rows[0]["result"] == "seated"  # today's one


def test_who_asks_again_is_judged_by_the_rules_of_today(people):
    add_subscription(ledger_place(people), "design", seats=2)
    assert ask(people, BOB, "-s", "design").rows[0]["status"] == "pending"
    rules(people, "design")
    again = ask(people, BOB, "-s", "design").rows[0]
    assert (again["number"], again["result"]) == (1, "seated")


# -- nobody is seated twice ---------------------------------------------------------------------


def test_who_sits_somewhere_that_fits_needs_no_other_seat(people):
    reports = json.dumps({"features": ["reports"]})
    add_subscription(ledger_place(people), "design", seats=2, auto_approval=ON)
    add_subscription(ledger_place(people), "sales", seats=5, auto_approval=ON, policy=reports)
    people("seats", "assign", "design", BOB)
    asked = ask(people, BOB)
    assert (asked.code, asked.json["run"], asked.rows[0]["subscription"]) == (0, None, "design")
    assert ask(people, BOB, "--feature", "reports").rows[0]["result"] == "seated"
    assert sorted(seated(people)) == [("design", BOB), ("sales", BOB)]


@pytest.mark.parametrize("how", ["assign", "approve"])
def test_a_seat_by_any_way_answers_a_request_for_any(people, how):
    add_subscription(ledger_place(people), "design", seats=2)
    add_subscription(ledger_place(people), "sales", seats=2, policy=json.dumps({"features": ["reports"]}))
    ask(people, BOB)
    ask(people, CYD, "--feature", "reports")
    if how == "assign":
        people("seats", "assign", "design", BOB, CYD)
    else:
        for email in (BOB, CYD):
            people("requests", "approve", ask(people, email, "-s", "design").rows[0]["number"])
    answered, other = request(people, 1), request(people, 2)
    assert (answered["status"], answered["subscription"]) == ("approved", "design")
    assert (other["status"], other["subscription"]) == ("pending", None)
    people("requests", "approve", "--all")
    assert sum(email == BOB for _, email in seated(people)) == 1
    assert people("audit", "verify").code == people("ledger", "check").code == 0


def test_a_feature_that_the_named_subscription_does_not_grant_is_refused(people):
    add_subscription(ledger_place(people), "design", seats=2)
    refused = ask(people, BOB, "-s", "design", "--feature", "reports")
    assert (refused.code, refused.error["code"]) == (3, "bad_request")
    assert refused.error["features"] == ["reports"]


def test_nobody_goes_before_others_by_their_own_word(people):
    add_subscription(ledger_place(people), "design", seats=0, auto_approval=ON)
    ask(people, BOB, "-s", "design")
    refused = ask(people, CYD, "-s", "design", "--priority", "9", "--as", CYD)
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")
    assert "with a --priority above 0" in refused.error["message"]
    assert ask(people, CYD, "-s", "design", "--priority", "-1", "--as", CYD).rows[0]["place"] == 2
    assert ask(people, DOT, "-s", "design", "--priority", "9").rows[0]["place"] == 1
    assert [row["place"] for row in people.rows("requests", "list", "--all")] == [2, 3, 1]


def test_what_fails_among_several_says_whose_it_was(people):
    add_subscription(ledger_place(people), "design", seats=2)
    ask(people, BOB, "-s", "design")
    ask(people, CYD, "-s", "design")
    people("users", "suspend", CYD)
    failed = people("requests", "approve", "1", "2", "-o", "json").rows[1]
    assert (failed["result"], failed["email"], failed["subscription"]) == ("failed", CYD, "design")


def test_a_reason_is_as_short_as_a_note(people):
    add_subscription(ledger_place(people), "design", seats=2)
    ask(people, BOB, "-s", "design")
    refused = people("requests", "deny", "1", "--reason", "x" * 1001, "-o", "json")
    assert (refused.code, refused.error["code"], request(people, 1)["status"]) == (
        3,
        "bad_request",
        "pending",
    )


def test_an_actor_who_is_no_address_is_sent_nothing(people):
    add_subscription(ledger_place(people), "design", seats=2)
    people("roles", "grant", "ci:deploy@host", "admin")
    ask(people, BOB, "-s", "design")
    assert [row["recipient"] for row in people.rows("notify", "list")] == [ANN]


def test_who_decides_sees_what_the_seat_must_grant(people):
    assert ask(people, BOB, "--feature", "").code == 3
    ask(people, BOB, "--feature", "reports", "--feature", "export")
    assert request(people, 1)["features"] == ["reports", "export"]
    assert "reports, export" in people("requests", "show", "1", "-o", "table").out


# -- what closes by itself ----------------------------------------------------------------------


def test_what_was_asked_of_a_subscription_that_has_ended_is_denied_and_told(people, team):
    for email in (BOB, CYD):
        ask(people, email, "-s", team)
    assert people("subs", "cancel", team, "--now", "--yes").code == 0
    assert [row["status"] for row in people.rows("requests", "list", "--all")] == ["denied", "denied"]
    done = people("requests", "approve", "--all", "-o", "json")
    assert (done.code, done.json["summary"]) == (0, "no request waits for a decision")
    assert request(people, 1)["reason"] == "the subscription has ended"
    told = [row["recipient"] for row in people.rows("notify", "list") if row["template"] == "request_denied"]
    assert sorted(told) == [BOB, CYD]


def test_an_undo_of_the_run_that_noticed_it_asks_no_ended_subscription_again(people, team):
    ask(people, BOB, "-s", team)
    assert people("subs", "cancel", team, "--now", "--yes").code == 0
    noticed = people("users", "edit", DOT, "--name", "Dot", "-o", "json").json["run"]
    undone = people("runs", "undo", noticed, "-o", "json")
    assert (undone.code, [row["entity"] for row in undone.rows]) == (0, ["user"])
    any_change(people)
    assert request(people, 1)["status"] == "denied"
    told = [row for row in people.rows("notify", "list") if row["template"] == "request_denied"]
    assert len(told) == 1


def test_who_expired_takes_no_place_on_the_waitlist(people):
    add_subscription(ledger_place(people), "design", seats=0, auto_approval=ON)
    ask(people, BOB, "-s", "design", "--expires", "14d")
    ask(people, CYD, "-s", "design")
    assert request(people, 2)["place"] == 2
    query(ledger_place(people), "UPDATE requests SET expires_at = '2026-01-01T00:00:00Z' WHERE number = 1")
    assert request(people, 2)["place"] == 1
    assert people.rows("requests", "list", "design")[-1]["place"] == 1


def test_mails_count_no_expired_requests_before_one_and_tell_nobody_of_an_expired_one(people, postbox):
    add_subscription(ledger_place(people), "design", seats=0, auto_approval=ON)
    ask(people, BOB, "-s", "design", "--expires", "14d")
    ask(people, CYD, "-s", "design")
    query(ledger_place(people), "UPDATE requests SET expires_at = '2026-01-01T00:00:00Z' WHERE number = 1")
    use(people, postbox)
    sent = {row["recipient"]: row for row in people.rows("notify", "send")}
    assert (sent[BOB]["result"], sent[BOB]["error"]) == ("held", "the request is no longer on the waitlist")
    assert [letter.to for letter in postbox.letters] == [CYD]
    assert "number 1 on the waitlist" in plain(postbox.letters[0])
    shown = people("notify", "show", sent[BOB]["id"], "-o", "json").json["text"]
    assert "number" not in shown


def test_who_comes_back_gets_the_seat_that_waited_for_them(people):
    add_subscription(ledger_place(people), "design", seats=0, auto_approval=ON)
    ask(people, BOB, "-s", "design")
    people("users", "suspend", BOB)
    query(ledger_place(people), "UPDATE subscriptions SET capacity = 1")
    back = people("users", "reactivate", BOB)
    assert "seated 1 from the waitlist" in back.err
    assert seated(people) == [("design", BOB)]
