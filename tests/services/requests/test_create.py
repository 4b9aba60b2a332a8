"""`requests create`, and what happens to the request."""

import json

import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DOT = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dot"))


@pytest.fixture
def design(seatctl, sandbox):
    """One seat; ann (the admin), bob, cyd and dot are users."""
    add_subscription(ledger_place(sandbox), seats=1)
    assert seatctl("users", "import", "-", stdin=f"email\n{ANN}\n{BOB}\n{CYD}\n{DOT}\n").code == 0
    return "design"


def ask(seatctl, email, *argv):
    return seatctl("requests", "create", email, "--subscription", "design", *argv, "-o", "json")


def statuses(seatctl):
    return [row["status"] for row in seatctl.rows("requests", "list", "--all")]


def approve_automatically(sandbox, **rules):
    rules = json.dumps({"enabled": True, **rules})
    query(ledger_place(sandbox), "UPDATE subscriptions SET auto_approval = ?", rules)


def test_a_request_waits_for_approval_and_then_seats_its_user(seatctl, design):
    asked = ask(seatctl, BOB, "--note", "new in the team")
    assert (asked.code, asked.rows[0]["status"]) == (0, "pending")
    assert query(ledger_place(seatctl), "SELECT template, recipient_actor FROM outbox") == [
        ("request_received", ANN)
    ]
    approved = seatctl("requests", "approve", "1", "-o", "json")
    assert (approved.code, approved.rows[0]["result"]) == (0, "seated")
    assert seatctl.rows("seats", "list")[0]["email"] == BOB
    shown = seatctl("requests", "show", "1", "-o", "json").json
    assert (shown["status"], shown["decided_by"], shown["note"]) == ("approved", ANN, "new in the team")


def test_with_no_seat_free_an_approved_request_waits_and_the_place_is_said(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    ask(seatctl, BOB)
    ask(seatctl, CYD, "--priority", "5")
    first = seatctl("requests", "approve", "1", "-o", "json")
    assert (first.code, first.rows[0]["place"]) == (10, 1)
    ahead = seatctl("requests", "approve", "2")
    assert ahead.code == 10
    assert f"put {CYD} on the waitlist for design as number 1: no seat is free" in ahead.err
    assert [row["place"] for row in seatctl.rows("requests", "list", "--all")] == [2, 1]
    assert seatctl("requests", "approve", "1").code == 10


def test_a_revoked_seat_goes_to_the_first_on_the_waitlist(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    for email in (BOB, CYD):
        ask(seatctl, email)
    seatctl("requests", "approve", "1", "2")
    revoked = seatctl("seats", "revoke", design, ANN)
    assert "seated 1 from the waitlist" in revoked.err
    assert [row["email"] for row in seatctl.rows("seats", "list")] == [BOB]
    assert statuses(seatctl) == ["approved", "waitlisted"]


def test_a_suspended_person_keeps_the_place_and_is_passed_over(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    for email in (BOB, CYD):
        ask(seatctl, email)
    seatctl("requests", "approve", "1", "2")
    seatctl("users", "suspend", BOB)
    seatctl("seats", "revoke", design, ANN)
    assert [row["email"] for row in seatctl.rows("seats", "list")] == [CYD]
    assert statuses(seatctl) == ["waitlisted", "approved"]


def test_of_several_the_worst_result_counts(seatctl, design):
    for email in (BOB, CYD):
        ask(seatctl, email)
    mixed = seatctl("requests", "approve", "1", "2", "77", "-o", "json")
    assert mixed.code == 6
    assert [row["result"] for row in mixed.rows] == ["seated", "waitlisted", "failed"]
    assert "there is no request 77" in mixed.rows[2]["error"]
    assert seatctl("requests", "approve", "1", "2").code == 10
    assert seatctl("requests", "approve", "77").code == 9


def test_automatic_approval_seats_at_once_while_seats_are_free(seatctl, sandbox, design):
    approve_automatically(sandbox)
    assert ask(seatctl, BOB).rows[0]["result"] == "seated"
    waits = ask(seatctl, CYD)
    assert (waits.code, waits.rows[0]["status"], waits.rows[0]["place"]) == (10, "waitlisted", 1)
    assert seatctl("requests", "show", "1", "-o", "json").json["decided_by"] == "auto"


@pytest.mark.parametrize(
    "rules",
    [{"domains": ["other.org"]}, {"groups": ["ops"]}, {"until": "2020-01-01T00:00:00Z"}, {"keep_free": 1}],
)
def test_where_a_rule_does_not_hold_a_person_decides(seatctl, sandbox, design, rules):
    approve_automatically(sandbox, **rules)
    asked = ask(seatctl, BOB)
    assert (asked.code, asked.rows[0]["status"]) == (0, "pending")


def test_the_daily_limit_counts_what_was_approved_automatically_today(seatctl, sandbox):
    add_subscription(ledger_place(sandbox), seats=5)
    seatctl("users", "import", "-", stdin=f"email\n{ANN}\n{BOB}\n{CYD}\n")
    approve_automatically(sandbox, daily_limit=2)
    for email in (ANN, BOB, CYD):
        ask(seatctl, email)
    assert statuses(seatctl) == ["approved", "approved", "pending"]


def test_asking_twice_is_one_request(seatctl, design):
    ask(seatctl, BOB)
    again = ask(seatctl, BOB)
    assert (again.code, again.json["run"], again.rows[0]["result"]) == (0, None, "already requested")
    assert statuses(seatctl) == ["pending"]


def test_who_sits_already_needs_no_request(seatctl, design):
    seatctl("seats", "assign", design, BOB)
    asked = ask(seatctl, BOB)
    assert (asked.code, asked.rows[0]["result"]) == (0, "already seated")
    assert statuses(seatctl) == []


def test_a_seat_assigned_by_hand_answers_the_request(seatctl, design):
    ask(seatctl, BOB)
    seatctl("seats", "assign", design, BOB)
    assert statuses(seatctl) == ["approved"]


def test_a_denied_request_is_over_and_its_reason_is_kept(seatctl, design):
    ask(seatctl, BOB)
    assert seatctl("requests", "deny", "1", "--reason", "use the shared account").code == 0
    assert seatctl("requests", "show", "1", "-o", "json").json["reason"] == "use the shared account"
    refused = seatctl("requests", "approve", "1", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "request_closed")
    assert refused.error["hint"] == f"for a new one: seatctl requests create {BOB} --subscription design"
    assert ask(seatctl, BOB).rows[0]["number"] == 2


def test_anyone_asks_and_takes_back_for_themselves_but_not_for_others(seatctl, design):
    assert ask(seatctl, BOB, "--as", BOB).code == 0
    assert ask(seatctl, CYD, "--as", BOB).code == 8
    assert seatctl("requests", "approve", "1", "--as", BOB).code == 8
    assert seatctl("requests", "cancel", "1", "--as", CYD).code == 8
    assert seatctl("requests", "cancel", "1", "--as", BOB.upper()).code == 0
    assert statuses(seatctl) == ["canceled"]


def test_a_wrong_role_for_one_of_several_changes_none(seatctl, sandbox, design):
    add_subscription(ledger_place(sandbox), "sales", owner_id=4)
    ask(seatctl, BOB)
    seatctl("requests", "create", CYD, "--subscription", "sales")
    refused = seatctl("requests", "approve", "2", "1", "--as", DOT, "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "not_allowed")
    assert statuses(seatctl) == ["pending", "pending"]
    assert seatctl("requests", "approve", "2", "--as", DOT).code == 0


def test_a_request_for_any_subscription_goes_where_most_seats_are_free(seatctl, sandbox, design):
    add_subscription(ledger_place(sandbox), "sales", seats=3)
    assert seatctl("requests", "create", BOB).code == 0
    approved = seatctl("requests", "approve", "1", "-o", "json")
    assert approved.rows[0]["subscription"] == "sales"
    seatctl("requests", "create", CYD)
    assert (
        seatctl("requests", "approve", "2", "-s", "design", "-o", "json").rows[0]["subscription"] == "design"
    )


def test_features_narrow_the_choice(seatctl, sandbox, design):
    policy = json.dumps({"features": ["reports"]})
    add_subscription(ledger_place(sandbox), "sales", seats=3)
    query(ledger_place(sandbox), "UPDATE subscriptions SET policy = ? WHERE name = 'design'", policy)
    seatctl("requests", "create", BOB, "--feature", "reports")
    assert seatctl("requests", "approve", "1", "-o", "json").rows[0]["subscription"] == "design"
    seatctl("requests", "create", CYD, "--feature", "reports")
    waits = seatctl("requests", "approve", "2", "-o", "json")
    assert (waits.code, waits.rows[0]["subscription"]) == (10, None)
    seatctl("seats", "revoke", "design", BOB)
    assert seatctl("requests", "show", "2", "-o", "json").json["subscription"] == "design"


def test_an_expired_request_reads_as_expired_before_any_change_records_it(seatctl, sandbox, design):
    assert ask(seatctl, BOB, "--expires", "14d").code == 0
    query(ledger_place(sandbox), "UPDATE requests SET expires_at = '2026-01-01T00:00:00Z'")
    assert statuses(seatctl) == ["expired"]
    assert seatctl.rows("requests", "list", "--status", "pending") == []
    assert query(ledger_place(sandbox), "SELECT status FROM requests") == [("pending",)]
    assert ask(seatctl, BOB).rows[0]["number"] == 2
    assert query(ledger_place(sandbox), "SELECT status FROM requests") == [("expired",), ("pending",)]


@pytest.mark.parametrize("when", ["2020-01-01", "0d", "soon", "999999w"])
def test_an_expiry_lies_ahead(seatctl, design, when):
    refused = ask(seatctl, BOB, "--expires", when)
    assert refused.code == 3
    assert statuses(seatctl) == []


def test_unknown_and_suspended_people_are_refused_with_the_way_out(seatctl, design):
    unknown = ask(seatctl, "eve@example.org")
    assert (unknown.code, unknown.error["code"]) == (9, "unknown_user")
    seatctl("users", "suspend", BOB)
    refused = ask(seatctl, BOB)
    assert (refused.code, refused.error["hint"]) == (4, f"seatctl users reactivate {BOB}")


def test_removing_a_user_takes_the_requests_away(seatctl, design):
    ask(seatctl, BOB)
    seatctl("users", "remove", BOB)
    assert statuses(seatctl) == ["canceled"]


@pytest.mark.parametrize(
    "verb", ["requests show", "requests approve", "requests cancel", "notify show", "runs show"]
)
def test_a_number_too_long_for_any_ledger_is_a_typing_mistake(seatctl, design, verb):
    refused = seatctl(*verb.split(), "99999999999999999999")
    assert (refused.code, "takes a whole number" in refused.err) == (2, True)


# -- the list -----------------------------------------------------------------------------------


def test_the_list_shows_what_waits_and_with_all_what_was_decided_too(seatctl, design):
    for email in (ANN, BOB, CYD):
        ask(seatctl, email)
    seatctl("requests", "approve", "1")
    seatctl("requests", "approve", "2")
    seatctl("requests", "deny", "3")
    ask(seatctl, DOT)

    def listed(*argv) -> list[int]:
        return [row["number"] for row in seatctl.rows("requests", "list", *argv)]

    assert (listed(), listed("--all"), listed("--status", "denied")) == ([2, 4], [1, 2, 3, 4], [3])
    assert listed("--user", CYD) == []


def test_the_newest_request_is_in_the_table_however_many_wait(seatctl, design):
    query(
        ledger_place(seatctl),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)"
        " INSERT INTO users (email, email_key, created_at)"
        " SELECT 'p' || i || '@example.com', 'p' || i || '@example.com', '2040-01-01T00:00:00Z' FROM n",
    )
    query(
        ledger_place(seatctl),
        "INSERT INTO requests (user_id, subscription_id, status, created_at)"
        " SELECT id, 1, 'pending', '2040-01-01T00:00:00Z' FROM users WHERE email LIKE 'p%' ORDER BY id",
    )
    table = seatctl("requests", "list", tty=True).out
    assert "p60@example.com" in table
    assert "p1@example.com" not in table
    assert seatctl("requests", "list", "-q").out.split()[0] == "1"  # the oldest request is approved first


def test_who_is_seated_at_once_and_who_asks_whether_they_are_sees_where_to_sign_in(sandbox, seatctl):
    page = "https://app.example.com/start"
    add_subscription(ledger_place(sandbox), "app", seats=1, policy=json.dumps({"sign_in_url": page}))
    approve_automatically(sandbox)
    seatctl("users", "add", ANN, BOB)
    asked = seatctl("requests", "create", ANN, "-s", "app", "-o", "json").json
    assert asked["rows"][0]["sign_in_url"] == page
    assert asked["summary"].endswith(f"; sign in: {page}")
    assert seatctl("requests", "create", BOB, "-s", "app", "-o", "json").rows[0]["sign_in_url"] is None
    assert seatctl("check", ANN, "-o", "json").json["sign_in_url"] == page
    assert seatctl("check", BOB, "-o", "json").json["sign_in_url"] is None
    shown = seatctl("check", ANN, "--color", "never", tty=True).out
    assert ["Sign", "in", page] in [line.split() for line in shown.splitlines()]
