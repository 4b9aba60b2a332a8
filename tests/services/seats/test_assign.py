"""`seats assign`, `revoke`, `list` and `history`, as they are typed."""

import pytest

from tests.support import ledgers
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD = (f"{name}@example.com" for name in ("ann", "bob", "cyd"))


@pytest.fixture
def design(seatctl, sandbox):
    """Two seats; ann, bob and cyd are users."""
    add_subscription(ledger_place(sandbox), seats=2)
    people = f"email,name\n{ANN},Ann Archer\n{BOB},Bob\n{CYD},Cyd\n"
    assert seatctl("users", "import", "-", stdin=people).code == 0
    return "design"


def seated(seatctl, *argv):
    return [row["email"] for row in seatctl.rows("seats", "list", *argv)]


def test_a_seat_is_assigned_and_the_way_back_is_named(seatctl, design):
    done = seatctl("seats", "assign", design, ANN)
    assert done.code == 0
    assert done.err.splitlines() == ["seated 1 in design; 1 free", "undo: seatctl runs undo 4"]
    assert seated(seatctl, design) == [ANN]


def test_who_sits_already_keeps_the_seat_without_an_error(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    again = seatctl("seats", "assign", design, ANN, BOB, "-o", "json")
    assert again.code == 0
    assert [row["result"] for row in again.rows] == ["already seated", "seated"]
    assert again.json["undo"] == f"seatctl runs undo {again.json['run']}"
    nothing = seatctl("seats", "assign", design, ANN, "-o", "json")
    assert (nothing.code, nothing.json["run"]) == (0, None)


def test_the_last_seat_goes_to_one_and_the_refusal_says_everything(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    refused = seatctl("seats", "assign", design, BOB, CYD, "-o", "json")
    assert (refused.code, refused.error["code"], refused.out) == (4, "no_seats_left", "")
    error = refused.error
    assert (error["free"], error["needed"], error["missing"]) == (1, 2, 1)
    assert [row["email"] for row in error["rows"]] == [CYD]
    assert CYD in error["message"]
    assert error["hint"] == "seatctl subs add-seats design 1, or --fill assigns the free seats"
    assert seated(seatctl, design) == [ANN]


def test_fill_seats_as_many_as_fit_in_order(seatctl, design):
    done = seatctl("seats", "assign", design, CYD, ANN, BOB, "--fill", "-o", "json")
    assert done.code == 6
    assert [row["result"] for row in done.rows] == ["seated", "seated", "no seat free"]
    assert seated(seatctl) == [CYD, ANN]


def test_a_file_is_judged_whole_before_anybody_is_seated(seatctl, design):
    people = f"Work Email,until\n{ANN},\nnot an address,\nnobody@example.com,\n{BOB},2020-01-01\n"
    refused = seatctl(
        "seats", "assign", design, "--from", "-", "--map", "email=Work Email", "-o", "json", stdin=people
    )
    assert (refused.code, refused.error["code"]) == (3, "bad_rows")
    assert [row["line"] for row in refused.error["rows"]] == [3, 4, 5]
    assert seated(seatctl) == []


def test_bad_rows_come_before_shortage(seatctl, design):
    people = f"email\n{ANN}\n{BOB}\n{CYD}\nnobody@example.com\n"
    assert seatctl("seats", "assign", design, "--from", "-", stdin=people).code == 3
    assert seatctl("seats", "assign", design, "--from", "-", "--skip-bad", stdin=people).code == 4
    both = seatctl(
        "seats", "assign", design, "--from", "-", "--skip-bad", "--fill", "-o", "json", stdin=people
    )
    assert both.code == 6
    assert [row["result"] for row in both.rows] == ["seated", "seated", "no seat free", "bad"]


def test_people_who_are_no_users_are_made_only_where_asked_and_only_with_a_seat(seatctl, design):
    people = "email,name\nx@example.com,Xi\ny@example.com,\nz@example.com,\n"
    assert seatctl("seats", "assign", design, "--from", "-", stdin=people).code == 3
    done = seatctl(
        "seats", "assign", design, "--from", "-", "--create-users", "--fill", "-o", "json", stdin=people
    )
    assert done.code == 6
    assert [row["result"] for row in done.rows] == ["added and seated", "added and seated", "no seat free"]
    assert seated(seatctl, "--search", "Xi") == ["x@example.com"]
    assert seated(seatctl, "--search", "x@e") == ["x@example.com"]
    assert seatctl("users", "show", "z@example.com").code == 9


def test_an_unknown_person_is_not_found_and_the_nearest_is_offered(seatctl, design):
    missing = seatctl("seats", "assign", design, "anm@example.com", "-o", "json")
    assert (missing.code, missing.error["code"]) == (9, "unknown_user")
    assert ANN in missing.error["hint"]
    assert seatctl("seats", "assign", "desing", ANN, "-o", "json").error["hint"] == "did you mean design?"


@pytest.mark.parametrize(("verb", "way_out"), [("suspend", "reactivate"), ("remove", "add")])
def test_suspended_and_removed_people_get_no_seat_but_the_way_out(seatctl, design, verb, way_out):
    assert seatctl("users", verb, BOB).code == 0
    refused = seatctl("seats", "assign", design, BOB, "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "user_not_active")
    assert refused.error["hint"] == f"seatctl users {way_out} {BOB}"
    assert seatctl("seats", "assign", design, "--from", "-", stdin=f"email\n{BOB}\n").code == 3


@pytest.mark.parametrize("status", ["canceled", "unpaid", "incomplete", "paused"])
def test_a_subscription_that_does_not_run_seats_nobody(seatctl, design, sandbox, status):
    query(ledger_place(sandbox), "UPDATE subscriptions SET status = ?", status)
    refused = seatctl("seats", "assign", design, ANN, "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "subscription_not_active")


@pytest.mark.parametrize("home", ["led_another", None])
def test_the_seats_of_another_ledger_are_not_touched(seatctl, sandbox, design, home):
    query(ledger_place(sandbox), "UPDATE subscriptions SET home_ledger = ?", home)
    for verb in ("assign", "revoke"):
        refused = seatctl("seats", verb, design, ANN, "-o", "json")
        assert (refused.code, refused.error["code"]) == (8, "foreign_ledger")


def test_revoking_frees_the_seat_and_says_that_billing_stays(seatctl, design):
    seatctl("seats", "assign", design, ANN, BOB)
    done = seatctl("seats", "revoke", design, ANN)
    assert done.code == 0
    assert "what is billed does not change: 2 seats stay paid for" in done.err
    assert seated(seatctl) == [BOB]
    assert seatctl("seats", "revoke", design, ANN, "-o", "json").rows[0]["result"] == "not seated"
    assert seatctl("seats", "assign", design, ANN).code == 0
    assert [row["email"] for row in seatctl.rows("seats", "list", "--all")] == [ANN, BOB, ANN]


def test_a_file_of_leavers_loses_its_seats(seatctl, design):
    seatctl("seats", "assign", design, ANN, BOB)
    listed = seatctl("seats", "list", "-o", "csv").out
    done = seatctl("seats", "revoke", design, "--from", "-", "-o", "json", stdin=listed)
    assert (done.code, done.json["revoked"]) == (0, 2)
    assert seated(seatctl) == []


def test_a_dry_run_shows_what_would_be_and_changes_nothing(seatctl, design):
    dry = seatctl("seats", "assign", design, ANN, BOB, "--dry-run", "-o", "json")
    assert (dry.code, dry.json["dry_run"], dry.json["run"]) == (0, True, None)
    assert [row["result"] for row in dry.rows] == ["seated", "seated"]
    assert seated(seatctl) == []
    assert len(seatctl.rows("runs", "list")) == 3


def test_history_says_who_gave_and_who_took(seatctl, design):
    seatctl("seats", "assign", design, ANN)
    seatctl("seats", "revoke", design, ANN)
    (row,) = seatctl.rows("seats", "history", ANN)
    assert (row["subscription"], row["assigned_by"], row["revoked_by"]) == (design, ANN, ANN)
    assert (row["assigned_run"], row["revoked_run"]) == (4, 5)
    assert seatctl.rows("seats", "history", design) == [row]


def test_a_seat_with_an_end_is_over_when_its_time_has_come_before_any_change(seatctl, sandbox, design):
    people = f"email,until\n{ANN},2030-01-31\n"
    assert seatctl("seats", "assign", design, "--from", "-", stdin=people).code == 0
    assert seatctl.rows("seats", "list")[0]["until"] == "2030-01-31T23:59:59Z"
    query(
        ledger_place(sandbox),
        "UPDATE seats SET until = '2026-02-01T00:00:00Z', assigned_at = '2026-01-01T00:00:00Z'",
    )
    assert seated(seatctl) == []
    assert seatctl.rows("seats", "history")[0]["revoked_by"] == "expiry"
    assert seatctl("seats", "assign", design, BOB, CYD).code == 0


def test_an_assign_names_people_one_way(seatctl, design):
    assert seatctl("seats", "assign", design).code == 2
    assert seatctl("seats", "assign", design, ANN, "--from", "-").code == 2


def test_seats_can_be_searched_and_filtered(seatctl, design):
    seatctl("seats", "assign", design, ANN, BOB)
    assert seated(seatctl, "--search", "archer") == [ANN]
    assert seated(seatctl, "--search", "bo") == [BOB]
    assert seated(seatctl, design, "--user", BOB) == [BOB]
    assert seatctl("seats", "list", "-q").out.split() == [ANN, BOB]
    assert seatctl("seats", "list", "--user", "nobody@example.com").code == 9


def test_after_all_of_it_the_ledger_checks_clean(seatctl, design):
    seatctl("seats", "assign", design, ANN, BOB)
    seatctl("seats", "revoke", design, ANN)
    seatctl("users", "remove", BOB)
    assert seatctl("ledger", "check").code == 0


def test_a_wrong_count_is_found_by_the_check(seatctl, sandbox, design):
    seatctl("seats", "assign", design, ANN)
    of = " ON subscriptions" if ledgers.on_server() else ""
    query(ledger_place(sandbox), f"DROP TRIGGER assigned_is_kept_by_seats{of}")
    query(ledger_place(sandbox), "UPDATE subscriptions SET assigned = 0")
    found = seatctl("ledger", "check", "-o", "json")
    assert found.code == 7
    wrong = [(row["check"], row["detail"]) for row in found.json if not row["ok"]]
    gone = "this trigger is missing or disabled" if ledgers.on_server() else "this trigger is missing"
    assert wrong == [("structure", gone), ("assigned", "0 counted, 1 seats are active")]
