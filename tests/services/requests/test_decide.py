"""Approval: which subscription a request for any gets, automatic rules, many at once, a race."""

from __future__ import annotations

import json
import shlex

import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query

BOB, CYD, DOT = (f"{name}@example.com" for name in ("bob", "cyd", "dot"))


@pytest.fixture
def subscriptions(sandbox):
    """`a` has two free seats, `b` five, `c` one with the feature reports; bob is in the group ops."""
    ledger = ledger_place(sandbox)
    add_subscription(ledger, "a", seats=2)
    add_subscription(ledger, "b", seats=5)
    add_subscription(ledger, "c", seats=1, policy=json.dumps({"features": ["reports"]}))
    sandbox("users", "add", BOB, "--group", "ops")
    sandbox("users", "add", CYD, DOT)
    return sandbox


def test_where_no_subscription_is_named_the_choice_is_explained(subscriptions):
    subscriptions("requests", "create", BOB)
    approved = subscriptions("requests", "approve", "1", "-o", "json")
    assert (approved.rows[0]["subscription"], approved.rows[0]["why"]) == ("b", "most seats free: 5, a has 2")
    subscriptions("requests", "create", CYD, "--feature", "reports")
    approved = subscriptions("requests", "approve", "2", "-o", "json")
    assert approved.rows[0]["why"] == "the only subscription with a free seat that grants reports"
    assert approved.json["summary"].endswith("(the only subscription with a free seat that grants reports)")


def test_a_request_for_any_goes_where_a_rule_lets_it(subscriptions):
    subscriptions(
        "config", "auto-approve", "b", "on", "--yes"
    )  # these were not bought: Stripe does not have them
    rules = json.dumps({"enabled": True, "groups": ["ops"]})
    query(ledger_place(subscriptions), "UPDATE subscriptions SET auto_approval = ? WHERE name = 'a'", rules)
    query(
        ledger_place(subscriptions),
        "UPDATE subscriptions SET auto_approval = ? WHERE name = 'b'",
        '{"enabled": false}',
    )
    seated = subscriptions("requests", "create", BOB, "-o", "json").rows[0]
    assert (seated["subscription"], seated["result"]) == ("a", "seated")
    assert seated["why"] == "the only subscription with a free seat that approves requests automatically"
    assert subscriptions("requests", "create", CYD, "-o", "json").rows[0]["status"] == "pending"


def test_the_rules_are_set_shown_and_tried(sandbox, team):
    sandbox("users", "add", BOB, "--group", "ops")
    rules = f"config auto-approve {team} on --domain example.com --group ops --daily-limit 3"
    assert sandbox(*rules.split(), "--until", "2041-01-31", "--keep-free", "2").code == 0
    shown = sandbox("config", "auto-approve", team, "-o", "json").json
    assert shown["rules"] == {
        "enabled": True,
        "domains": ["example.com"],
        "groups": ["ops"],
        "daily_limit": 3,
        "until": "2041-01-31T23:59:59Z",
        "keep_free": 2,
    }
    again = sandbox("config", "auto-approve", team, "on", "--keep-free", "2", "-o", "json")
    assert (again.code, again.json["run"]) == (0, None)

    def decided(*argv, email=BOB):
        tried = sandbox("config", "auto-approve", team, "--test", email, *argv, "-o", "json").json
        return tried["outcome"], tried["rule"]

    assert decided() == ("seat", "enabled")
    assert decided("--domain", "other.org") == ("ask", "domain")
    assert decided("--group", "sales") == ("ask", "group")
    assert decided("--daily-limit", "0") == ("ask", "daily_limit")
    assert decided("--keep-free", "5") == ("ask", "keep_free")
    assert decided("off") == ("ask", "enabled")
    assert decided(email="nobody@example.com") == ("refused", "user")
    assert sandbox("config", "auto-approve", team, "on", "--reset").code == 0
    assert sandbox("config", "auto-approve", team, "-o", "json").json["rules"]["domains"] == []


def test_rules_that_stripe_could_not_keep_are_refused(sandbox, team):
    domains = [word for number in range(40) for word in ("--domain", f"a-long-domain-{number}.example.com")]
    refused = sandbox("config", "auto-approve", team, "on", *domains, "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "too_long_for_stripe")


@pytest.mark.parametrize(("column", "value"), [("status", "canceled"), ("home_ledger", "led_another")])
def test_a_try_says_no_where_asking_would_be_refused(sandbox, team, column, value):
    sandbox("users", "add", BOB)
    query(ledger_place(sandbox), f"UPDATE subscriptions SET {column} = ?", value)
    tried = sandbox("config", "auto-approve", team, "on", "--test", BOB, "-o", "json").json
    assert (tried["outcome"], tried["rule"]) == ("refused", "subscription")
    refused = sandbox("requests", "create", BOB, "-s", team, "-o", "json")
    assert (refused.code in {4, 8}, refused.error["message"]) == (True, tried["why"])


def test_a_change_of_the_rules_says_what_takes_it_back(sandbox, team):
    rules = "--domain example.com --group ops --daily-limit 3 --until 2041-01-31 --keep-free 2"
    before = sandbox("config", "auto-approve", team, "-o", "json").json["rules"]
    first = sandbox("config", "auto-approve", team, "on", *rules.split(), "-o", "json").json
    set_by_hand = sandbox("config", "auto-approve", team, "-o", "json").json["rules"]
    second = sandbox(
        "config", "auto-approve", team, "off", "--reset", "--domain", "other.org", "-o", "json"
    ).json
    refused = sandbox("runs", "undo", second["run"], "-o", "json").error
    assert refused["hint"] == second["undo"]
    for undo, rules_then in ((second["undo"], set_by_hand), (first["undo"], before)):
        assert sandbox(*shlex.split(undo)[1:]).code == 0
        assert sandbox("config", "auto-approve", team, "-o", "json").json["rules"] == rules_then
    assert sandbox("config", "auto-approve", team, "on", "--dry-run", "-o", "json").json["undo"] is None


@pytest.mark.parametrize("domain", ["bücher.example", "@BÜCHER.example", "xn--bcher-kva.example"])
def test_a_domain_counts_however_it_is_written(sandbox, team, domain):
    sandbox("users", "add", "zoë@bücher.example")
    assert sandbox("config", "auto-approve", team, "on", "--domain", domain).code == 0
    asked = sandbox("requests", "create", "zoë@bücher.example", "-s", team, "-o", "json")
    assert asked.rows[0]["result"] == "seated"
    assert sandbox("config", "auto-approve", team, "-o", "json").json["domains"] == ["xn--bcher-kva.example"]


@pytest.mark.parametrize(
    "rule",
    [
        ("--domain", ""),
        ("--domain", "foo bar"),
        ("--domain", "a@b.example"),
        ("--domain", "com"),
        ("--group", " "),
    ],
)
def test_a_rule_that_could_hold_for_nobody_is_refused(sandbox, team, rule):
    refused = sandbox("config", "auto-approve", team, "on", *rule, "-o", "json")
    assert (refused.code, refused.error["code"]) == (3, "bad_rule")
    assert sandbox("config", "auto-approve", team, "-o", "json").json["auto_approve"] is False


# -- many at once -------------------------------------------------------------------------------


def ask_all(subscriptions):
    for email in (BOB, CYD, DOT):
        subscriptions("requests", "create", email, "-s", "a")


def test_all_are_approved_in_the_order_of_the_waitlist(subscriptions):
    ask_all(subscriptions)
    subscriptions("requests", "cancel", "3")
    subscriptions("requests", "create", DOT, "-s", "a", "--priority", "9")
    done = subscriptions("requests", "approve", "--all", "-o", "json")
    assert (done.code, [row["email"] for row in done.rows]) == (10, [DOT, BOB, CYD])
    assert [row["result"] for row in done.rows] == ["seated", "seated", "waitlisted"]
    nothing = subscriptions("requests", "approve", "--all", "-o", "json")
    assert (nothing.code, nothing.json["summary"]) == (0, "no request waits for a decision")


@pytest.mark.parametrize("form", ["csv", "tsv", "jsonl", "-q"])
def test_what_list_prints_is_what_approve_reads(subscriptions, form):
    ask_all(subscriptions)
    listed = subscriptions("requests", "list", *(["-q"] if form == "-q" else ["-o", form])).out
    done = subscriptions("requests", "approve", "--from", "-", "-o", "json", stdin=listed)
    assert (done.code, len(done.rows)) == (10, 3)


def test_a_bad_line_is_told_and_nothing_is_decided(subscriptions):
    ask_all(subscriptions)
    bad = subscriptions("requests", "deny", "--from", "-", "-o", "json", stdin="1\ntwo\n3\n")
    two = {"line": 2, "error": "'two' is not the number of a request"}
    assert (bad.code, bad.error["rows"]) == (3, [two])
    assert [row["status"] for row in subscriptions.rows("requests", "list", "--all")] == ["pending"] * 3
    assert subscriptions("requests", "approve").code == 2
    assert subscriptions("requests", "approve", "1", "--all").code == 2


def test_an_owner_approves_all_of_theirs_and_no_others(subscriptions):
    query(ledger_place(subscriptions), "UPDATE subscriptions SET owner_id = 3 WHERE name = 'b'")
    subscriptions("requests", "create", BOB, "-s", "a")
    subscriptions("requests", "create", BOB, "-s", "b")
    done = subscriptions("requests", "approve", "--all", "--as", DOT, "-o", "json")
    assert [row["number"] for row in done.rows] == [2]
    assert subscriptions("requests", "approve", "--all", "--as", DOT).code == 8


def test_who_is_unknown_or_suspended_is_refused_with_the_way_out(subscriptions):
    unknown = subscriptions("requests", "create", "new@example.com", "-s", "a", "-o", "json")
    assert unknown.code == 9
    assert unknown.error["hint"].endswith("--create-users adds the user")
    made = subscriptions("requests", "create", "new@example.com", "-s", "a", "--create-users", "-o", "json")
    assert (made.code, made.rows[0]["status"]) == (0, "pending")
    refused = subscriptions("requests", "create", "x@example.com", "--create-users", "--as", "x@example.com")
    assert refused.code == 8
    subscriptions("users", "suspend", BOB)
    suspended = subscriptions("requests", "create", BOB, "-s", "a", "-o", "json")
    assert (suspended.code, suspended.error["hint"]) == (4, f"seatctl users reactivate {BOB}")


# -- at once ------------------------------------------------------------------------------------


def test_twenty_processes_ask_for_seven_seats(sandbox):
    add_subscription(ledger_place(sandbox), seats=7, auto_approval='{"enabled": true}')
    people = [f"p{number:02}@example.com" for number in range(20)]
    sandbox("users", "add", *people)
    processes = [sandbox.process("requests", "create", email, "-s", "design") for email in people]
    codes = [process.wait(120) for process in processes]
    for process in processes:
        process.communicate()
    assert sorted(codes) == [0] * 7 + [10] * 13
    requests = sandbox.rows("requests", "list", "--all")
    assert [row["status"] for row in requests] == ["approved"] * 7 + ["waitlisted"] * 13
    waiting = [row for row in requests if row["status"] == "waitlisted"]
    assert [row["place"] for row in waiting] == list(range(1, 14))
    seated = [row["email"] for row in sandbox.rows("seats", "list", "design")]
    assert sorted(seated) == sorted(row["email"] for row in requests[:7])
    assert sandbox("seats", "revoke", "design", seated[3]).code == 0
    now = [row["email"] for row in sandbox.rows("seats", "list", "design")]
    assert set(now) == set(seated) - {seated[3]} | {waiting[0]["email"]}
    assert sandbox("ledger", "check").code == 0
    assert sandbox("audit", "verify").code == 0
