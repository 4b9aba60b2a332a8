"""`runs undo` of what only the ledger holds: the state before the run is the state again."""

from __future__ import annotations

import time

import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query
from tests.support.tampering import tamper

ADA, BOB, ZOE = "ada@example.com", "bob@example.com", "zoe@example.com"


@pytest.fixture
def people(sandbox, team):
    assert sandbox("users", "add", ADA, BOB, ZOE, "--group", "art").code == 0
    return sandbox


def state(seatctl) -> tuple:
    """Who there is, who sits where until when, and what is asked for."""
    people = [
        (row["email"], row["name"], row["group"], row["status"]) for row in seatctl.rows("users", "list")
    ]
    seats = sorted((row["email"], row["until"]) for row in seatctl.rows("seats", "list"))
    requests = [
        (row["number"], row["status"])
        for row in seatctl.rows("requests", "list", "--all")
        if row["status"] in {"pending", "waitlisted"}
    ]
    return people, seats, requests


def done(seatctl, *words) -> int:
    """Run a command that must succeed; its run."""
    result = seatctl(*words, "--yes", "-o", "json")
    assert result.code in {0, 10}, result.err
    assert result.json["undo"] in {None, f"seatctl runs undo {result.json['run']}"}
    return result.json["run"]


def refused(seatctl, run: int) -> dict:
    result = seatctl("runs", "undo", run, "-o", "json")
    assert result.code == 4, result.out
    return result.error


COMMANDS = [
    "users add new@example.com other@example.com",
    f"users edit {BOB} --name Robert --group '' --email rob@example.com",
    f"users suspend {ADA} {ZOE}",
    f"users remove {ADA}",
    f"seats assign design {BOB} {ZOE}",
    f"seats revoke design {ADA}",
    f"requests create {BOB} --subscription design",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_undo_brings_back_what_was(people, command):
    import shlex

    done(people, "seats", "assign", "design", ADA)
    before = state(people)
    run = done(people, *shlex.split(command))
    assert state(people) != before
    undone = people("runs", "undo", run, "-o", "json")
    assert undone.code == 0, undone.err
    assert state(people) == before
    assert people.rows("runs", "list")[0]["number"] == undone.json["run"]
    assert people("audit", "verify").code == 0
    # The undo is a run like any other.
    assert undone.json["undo"] == f"seatctl runs undo {undone.json['run']}"


@pytest.mark.parametrize("where", [(), ("--subscription", "design")])
def test_a_role_that_was_granted_or_taken_away_is_so_again(people, where):
    before = people.rows("roles", "list")
    run = done(people, "roles", "grant", BOB, "assignor", *where)
    granted = people.rows("roles", "list")
    shown = people("runs", "show", run, "-o", "json").json["changes"][0]
    assert (shown["subject"], shown["after"]["actor"]) == (BOB, BOB)
    undo = done(people, "runs", "undo", run)
    assert people.rows("roles", "list") == before
    done(people, "runs", "undo", undo)
    assert people.rows("roles", "list") == granted
    taken = done(people, "roles", "revoke", BOB, "assignor", *where)
    # Its number is free now, and goes to somebody else's role.
    done(people, "roles", "grant", ZOE, "viewer")
    done(people, "runs", "undo", taken)
    assert {(row["actor"], row["role"]) for row in people.rows("roles", "list")} >= {
        (BOB, "assignor"),
        (ZOE, "viewer"),
    }
    assert people("audit", "verify").code == 0


def test_an_undo_leaves_an_admin(people):
    run = done(people, "roles", "grant", BOB, "admin")
    done(people, "roles", "revoke", "ann@example.com", "admin")
    assert people("--as", BOB, "runs", "undo", run, "-o", "json").error["code"] == "last_admin"
    assert people("--as", ADA, "runs", "undo", run).code == 8


def test_an_undo_is_undone_and_that_too(people):
    before = state(people)
    run = done(people, "seats", "assign", "design", ADA, BOB)
    after = state(people)
    undo = done(people, "runs", "undo", run)
    error = refused(people, run)
    assert (error["code"], error["undone_by"]) == ("undone_already", undo)
    redo = done(people, "runs", "undo", undo)
    assert state(people) == after
    # What was done again is what is taken back now.
    done(people, "runs", "undo", run)
    assert state(people) == before
    assert refused(people, redo)["code"] == "undone_already"


def test_a_dry_run_says_what_would_be_undone(people):
    run = done(people, "seats", "assign", "design", ADA)
    before = state(people)
    shown = people("runs", "undo", run, "--dry-run", "-o", "json")
    assert (shown.code, shown.json["run"]) == (0, None)
    assert shown.rows == [{"entity": "seat", "subject": f"{ADA} in design", "result": "revoked"}]
    assert state(people) == before


@pytest.mark.parametrize(
    ("first", "then"),
    [
        (f"seats assign design {ADA}", f"seats revoke design {ADA}"),
        (f"users edit {ADA} --name Ada", f"users edit {ADA} --name Lovelace"),
        ("users add new@example.com", "seats assign design new@example.com"),
        ("users add new@example.com", "requests create new@example.com --subscription design"),
    ],
)
def test_what_a_later_run_built_on_is_not_undone(people, first, then):
    run = done(people, *first.split())
    later = done(people, *then.split())
    error = refused(people, run)
    assert (error["code"], error["changed_by"]) == ("changed_since", later)
    assert error["hint"].endswith(f", first: seatctl runs undo {later}")
    done(people, "runs", "undo", later)
    done(people, "runs", "undo", run)


def test_a_seat_that_was_taken_by_another_is_not_given_back(people):
    everybody = [f"p{n}@example.com" for n in range(4)]
    done(people, "users", "add", *everybody)
    done(people, "seats", "assign", "design", ADA, *everybody)
    run = done(people, "seats", "revoke", "design", ADA)
    done(people, "seats", "assign", "design", BOB)
    error = refused(people, run)
    assert error["code"] == "no_seats_left"


def test_who_moved_up_goes_back_to_the_waitlist(people):
    everybody = [f"p{n}@example.com" for n in range(4)]
    done(people, "users", "add", *everybody)
    done(people, "seats", "assign", "design", ADA, *everybody)
    done(people, "requests", "create", BOB, "--subscription", "design")
    done(people, "requests", "approve", "1")
    before = state(people)
    run = done(people, "seats", "revoke", "design", ADA)
    assert BOB in {row["email"] for row in people.rows("seats", "list")}
    done(people, "runs", "undo", run)
    assert state(people) == before


def test_a_file_of_people_is_undone_whole(people, tmp_path):
    before = state(people)
    (tmp_path / "people.csv").write_text(f"email,name\n{ADA},Ada\nnew@example.com,New\nold@example.com,Old\n")
    run = done(people, "seats", "assign", "design", "--from", tmp_path / "people.csv", "--create-users")
    assert len(people.rows("seats", "list")) == 3
    done(people, "runs", "undo", run)
    assert state(people) == before


FILE = "email,name\nnew@example.com,New\nold@example.com,Old\n"


@pytest.mark.parametrize(
    "command",
    [
        "seats apply FILE -s design --create-users",
        "seats assign design --from FILE --create-users",
        "users import FILE",
    ],
)
def test_after_an_undo_the_file_can_be_corrected_and_used_again(people, tmp_path, command):
    (tmp_path / "people.csv").write_text(FILE)
    words = command.replace("FILE", str(tmp_path / "people.csv")).split()
    before = state(people)
    done(people, *words)
    after = state(people)
    done(people, "runs", "undo", people.rows("runs", "list")[0]["number"])
    assert state(people) == before
    told = people(*words, "-o", "json")
    assert {row["result"] for row in told.json["rows"]} <= {"added and seated", "added"}
    again = told.json["run"]
    assert state(people) == after
    done(people, "runs", "undo", again)
    assert state(people) == before
    # Whom somebody has removed stays removed, whatever an undo did before.
    done(people, *words)
    done(people, "users", "remove", "new@example.com")
    assert people(*words, "-o", "json").code == (0 if words[0] == "users" else 3)
    assert "new@example.com" not in {row[0] for row in state(people)[0]}
    assert people("ledger", "check").code == 0


def test_a_batch_is_undone_whole(people, tmp_path):
    before = state(people)
    (tmp_path / "lines").write_text(
        f"users add new@example.com\nseats assign design new@example.com {ADA}\n"
        f"seats revoke design {ADA}\nusers edit {BOB} --name B\nusers edit {BOB} --name C\n"
    )
    run = done(people, "batch", tmp_path / "lines")
    done(people, "runs", "undo", run)
    assert state(people) == before


def test_undoing_a_batch_says_that_what_it_bought_stays(people, tmp_path):
    (tmp_path / "lines").write_text("subs add-seats design 2 --yes\nseats assign design zoe@example.com\n")
    run = done(people, "batch", tmp_path / "lines")
    bought = next(one["number"] for one in people.rows("runs", "list") if "add-seats" in one["command"])
    undone = people("runs", "undo", run)
    assert f"; what run {bought} did in Stripe stays (seatctl runs undo {bought} names" in undone.err
    assert people.rows("seats", "list") == []
    assert people.rows("subs", "list")[0]["seats"] == 7
    assert "subs set-seats" in refused(people, bought)["command"]


def test_a_seat_that_expired_meanwhile_stays_over(people, tmp_path):
    (tmp_path / "people.csv").write_text(f"email,until\n{ADA},2027-01-05\n{BOB},\n")
    run = done(people, "seats", "assign", "design", "--from", tmp_path / "people.csv")
    assert people("sandbox", "advance", "2027-01-10").code == 0
    done(people, "runs", "undo", run)
    assert people.rows("seats", "list") == []


def test_only_who_may_do_it_may_undo_it(people):
    run = done(people, "users", "suspend", ADA)
    assert people("--as", BOB, "runs", "undo", run).code == 8


def test_money_is_not_undone_but_reversed(people):
    assert people("subs", "add-seats", "design", "2", "--yes").code == 0
    error = refused(people, people.rows("runs", "list")[0]["number"])
    assert error["code"] == "cannot_undo"
    assert error["command"].startswith("seatctl subs set-seats design 5")


def test_to_undo_an_undo_costs_about_what_the_undo_cost(sandbox, tmp_path):
    """Both look at every change; a lookup without an index takes ten times as long at this size."""
    add_subscription(ledger_place(sandbox), seats=5000)
    people = tmp_path / "people.csv"
    people.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(5000)))
    run = done(sandbox, "seats", "assign", "design", "--from", people, "--create-users")
    undo, first = timed(sandbox, "runs", "undo", run)
    _, second = timed(sandbox, "runs", "undo", undo)
    assert sandbox.rows("subs", "list")[0]["assigned"] == 5000
    assert second < 4 * first, f"{second:.2f} s against {first:.2f} s"


def timed(seatctl, *words) -> tuple[int, float]:
    """A command's run, and the seconds of processor that it took."""
    began = time.process_time()
    return done(seatctl, *words), time.process_time() - began


@pytest.mark.parametrize(
    ("words", "rows"),
    [
        (("users", "import"), "email,name\n{ada},Ada\n"),
        (("seats", "apply"), "email,name,subscription\n{ada},Ada,design\n"),
    ],
)
@pytest.mark.parametrize("older", [False, True])
def test_who_is_exempt_is_exempt_again_after_an_undo(people, words, rows, older):
    done(people, "users", "edit", ADA, "--exempt")
    run = done_from(people, words, rows.format(ada=ADA))
    if older:  # what an earlier version recorded of a bulk change does not say who was exempt
        forget(people, "reclaim_exempt")
    done(people, "runs", "undo", run)
    shown = people("users", "show", ADA, "-o", "json").json
    assert (shown["exempt"], shown["name"]) == (True, None)


def test_an_exemption_that_was_given_is_taken_back(people):
    run = done(people, "users", "edit", ADA, "--exempt")
    done(people, "runs", "undo", run)
    assert people("users", "show", ADA, "-o", "json").json["exempt"] is False


def test_a_claimed_seat_is_a_claimed_seat_again(people):
    done(people, "seats", "assign", "design", ADA)
    query(ledger_place(people), "UPDATE seats SET claimed_at = '2026-01-31T12:00:00Z'")
    run = done(people, "seats", "revoke", "design", ADA)
    done(people, "runs", "undo", run)
    (seat,) = people.rows("seats", "list", "design")
    assert (seat["email"], seat["claimed_at"]) == (ADA, "2026-01-31T12:00:00Z")
    assert people.rows("seats", "list", "--unclaimed") == []


@pytest.mark.parametrize("older", [False, True])
def test_a_request_that_waits_again_keeps_its_decision_and_its_place(people, older):
    add_subscription(ledger_place(people), "small", seats=1)
    done(people, "seats", "assign", "small", ADA)
    done(people, "requests", "create", ZOE, "--subscription", "small")
    done(people, "requests", "approve", "1")
    decision = "SELECT status, decided_by, decided_at, reason, waitlisted_at FROM requests"
    before = query(ledger_place(people), decision)
    assert people("sandbox", "advance", "1h").code == 0
    run = done(people, "requests", "cancel", "1")
    if older:
        forget(people, "decided_at", "reason", "waitlisted_at")
    done(people, "runs", "undo", run)
    (status, by, at, reason, since) = query(ledger_place(people), decision)[0]
    assert (status, by, reason, since) == ("waitlisted", *(before[0][n] for n in (1, 3, 4)))
    assert older or at == before[0][2], "an older row does not say when"


def test_what_was_decided_is_open_again_without_the_decision(people):
    done(people, "requests", "create", ZOE, "--subscription", "design")
    run = done(people, "requests", "deny", "1", "--reason", "no budget")
    done(people, "runs", "undo", run)
    found = query(ledger_place(people), "SELECT status, decided_by, decided_at, reason FROM requests")
    assert found == [("pending", None, None, None)]
    assert people("audit", "verify").code == 0


def test_the_undone_removal_of_who_had_asked_is_done_again(people):
    done(people, "requests", "create", ZOE, "--subscription", "design")
    undone = done(people, "runs", "undo", done(people, "users", "remove", ZOE))
    assert people.rows("requests", "list", "--all")[0]["status"] == "pending"
    done(people, "runs", "undo", undone)
    assert people.rows("requests", "list", "--all")[0]["status"] == "canceled"


def done_from(seatctl, words, text: str) -> int:
    result = seatctl(*words, "-", "-o", "json", stdin=text)
    assert result.code == 0, result.err
    return result.json["run"]


def forget(seatctl, *keys: str) -> None:
    """Make the change rows those of a version that did not record these keys."""
    for path in (f"'$.{key}'" for key in keys):
        less = f"before = json_remove(before, {path}), after = json_remove(after, {path})"
        tamper(ledger_place(seatctl), f"UPDATE changes SET {less}")
