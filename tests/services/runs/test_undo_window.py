"""For `undo_window` minutes a bulk revoke can be undone with nobody seated instead and nobody told."""

from __future__ import annotations

import json

import pytest

from tests.support.office import freeze
from tests.support.postbox import Postbox, use
from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DOT, EVE = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dot", "eve"))
NOON, LATER = "2030-03-01T12:00:00Z", "2030-03-01T12:10:00Z"


@pytest.fixture
def design(sandbox):
    """Three seats, held by bob, cyd and dot; eve waits for one."""
    freeze(sandbox, NOON)
    add_subscription(ledger_place(sandbox), seats=3)
    done(sandbox, "users", "add", BOB, CYD, DOT, EVE)
    done(sandbox, "seats", "assign", "design", BOB, CYD, DOT)
    wait(sandbox, EVE)
    return "design"


def done(seatctl, *words):
    result = seatctl(*words, "--yes", "-o", "json")
    assert result.code in {0, 10}, result.err
    return result.json


def wait(seatctl, email: str) -> None:
    number = done(seatctl, "requests", "create", email, "--subscription", "design")["rows"][0]["number"]
    assert seatctl("requests", "approve", number).code == 10


def seated(seatctl) -> list[str]:
    return sorted(row["email"] for row in seatctl.rows("seats", "list"))


def pass_time(seatctl) -> None:
    """The window passes, and anything at all is changed."""
    freeze(seatctl, LATER)
    done(seatctl, "users", "add", f"somebody{len(seatctl.rows('runs', 'list'))}@example.com")


def revoke_two(seatctl, tmp_path):
    return done(seatctl, "seats", "revoke", "design", BOB, CYD)


def prune_two(seatctl, tmp_path):
    file = tmp_path / "seats.csv"
    file.write_text(f"email,subscription\n{DOT},design\n")
    return done(seatctl, "seats", "apply", file, "--prune", "--max-revoke", "100%")


def remove_two(seatctl, tmp_path):
    return done(seatctl, "users", "remove", BOB, CYD)


def reclaim_two(seatctl, tmp_path):
    done(seatctl, "users", "suspend", BOB, CYD)
    return done(seatctl, "seats", "reclaim", "design", "--suspended", "--max-revoke", "100%")


def batch_two(seatctl, tmp_path):
    file = tmp_path / "lines"
    file.write_text(f"seats revoke design {BOB}\nseats revoke design {CYD}\n")
    return done(seatctl, "batch", file)


def batch_of_removals(seatctl, tmp_path):
    """A line of several transactions, which is marked by the batch when all of it is done."""
    file = tmp_path / "lines"
    file.write_text(f"users remove {BOB} {CYD}\n")
    return done(seatctl, "batch", file)


BULK = [revoke_two, prune_two, remove_two, reclaim_two, batch_two, batch_of_removals]


@pytest.mark.parametrize("revoke", BULK)
def test_the_waitlist_moves_up_only_after_the_window(sandbox, design, tmp_path, revoke):
    revoke(sandbox, tmp_path)
    assert seated(sandbox) == [DOT]
    freeze(sandbox, "2030-03-01T12:09:59Z")
    done(sandbox, "users", "add", "somebody@example.com")
    assert seated(sandbox) == [DOT]
    pass_time(sandbox)
    assert seated(sandbox) == [DOT, EVE]
    assert sandbox("ledger", "check").code == sandbox("audit", "verify").code == 0


@pytest.mark.parametrize("revoke", BULK)
def test_an_undo_within_the_window_finds_the_seats_free(sandbox, design, tmp_path, revoke):
    run = revoke(sandbox, tmp_path)["run"]
    done(sandbox, "runs", "undo", run)
    assert seated(sandbox) == [BOB, CYD, DOT]
    pass_time(sandbox)
    assert seated(sandbox) == [BOB, CYD, DOT]
    # What was undone holds nothing any more.
    done(sandbox, "seats", "revoke", "design", DOT)
    assert seated(sandbox) == [BOB, CYD, EVE]


def test_undoing_an_assignment_of_several_waits_too(sandbox, design):
    done(sandbox, "seats", "revoke", "design", BOB, CYD)
    run = done(sandbox, "seats", "assign", "design", BOB, CYD)["run"]
    undo = done(sandbox, "runs", "undo", run)["run"]
    assert seated(sandbox) == [DOT]
    done(sandbox, "runs", "undo", undo)
    assert seated(sandbox) == [BOB, CYD, DOT]


@pytest.mark.parametrize(
    "revoke", [revoke_two, prune_two, remove_two, reclaim_two], ids=lambda one: one.__name__
)
def test_every_report_says_that_the_waitlist_waits(sandbox, design, tmp_path, revoke):
    summary = revoke(sandbox, tmp_path)["summary"]
    assert f"; the waitlist moves up after {LATER}" in summary
    assert "what is billed " in summary
    assert sandbox.rows("runs", "list")[0]["summary"] == summary


def test_a_move_says_so_too(sandbox, design):
    add_subscription(ledger_place(sandbox), "video", seats=2)
    moved = done(sandbox, "seats", "move", "design", "video", BOB, CYD)
    assert moved["summary"] == f"moved 2 people from design to video; the waitlist moves up after {LATER}"


def test_the_undo_of_an_assignment_says_so_too(sandbox, design):
    revoke_two(sandbox, None)
    given = done(sandbox, "seats", "assign", "design", BOB, CYD)["run"]
    summary = done(sandbox, "runs", "undo", given)["summary"]
    assert f"; what is billed does not change; the waitlist moves up after {LATER}" in summary


def test_a_report_says_until_when_the_waitlist_waits(sandbox, design):
    said = sandbox("seats", "revoke", "design", BOB, CYD).err
    assert f"the waitlist moves up after {LATER}" in said


def test_a_single_seat_goes_on_at_once(sandbox, design):
    assert "seated 1 from the waitlist" in sandbox("seats", "revoke", "design", BOB).err
    assert seated(sandbox) == [CYD, DOT, EVE]


def test_somebody_may_be_assigned_a_held_seat_and_that_one_is_held_no_more(sandbox, design):
    done(sandbox, "seats", "revoke", "design", BOB, CYD)
    done(sandbox, "seats", "assign", "design", ANN, "--create-users")
    assert seated(sandbox) == [ANN, DOT]
    # One seat is free and held. Another one that is given back by hand is not.
    done(sandbox, "seats", "revoke", "design", ANN)
    assert seated(sandbox) == [DOT, EVE]


def test_automatic_approval_takes_no_held_seat(sandbox, design):
    rules = {"enabled": True}
    query(ledger_place(sandbox), "UPDATE subscriptions SET auto_approval = ?", json.dumps(rules))
    done(sandbox, "seats", "revoke", "design", BOB, CYD)
    done(sandbox, "users", "add", "fay@example.com")
    asked = done(sandbox, "requests", "create", "fay@example.com", "--subscription", "design")
    assert asked["rows"][0]["result"] == "waitlisted"
    pass_time(sandbox)
    assert seated(sandbox) == [DOT, EVE, "fay@example.com"]


def test_the_window_is_a_setting_and_0_is_none(sandbox, design):
    assert sandbox("config", "set", "undo_window", "0").code == 0
    said = sandbox("seats", "revoke", "design", BOB, CYD).err
    assert "seated 1 from the waitlist" in said
    assert seated(sandbox) == [DOT, EVE]
    assert sandbox("config", "set", "undo_window", "soon").code == 3


def test_a_dry_run_holds_nothing(sandbox, design):
    assert sandbox("seats", "revoke", "design", BOB, CYD, "--dry-run").code == 0
    done(sandbox, "seats", "revoke", "design", BOB)
    assert seated(sandbox) == [CYD, DOT, EVE]


# -- mail ---------------------------------------------------------------------------------------


@pytest.fixture
def postbox(sandbox, design):
    box = Postbox().open()
    use(sandbox, box)
    sandbox("notify", "send")
    box.letters.clear()
    yield box
    box.close()


def revoked_mails(seatctl) -> list[str]:
    """The states of the messages about seats that were given back."""
    rows = query(ledger_place(seatctl), "SELECT state FROM outbox WHERE template = 'seat_revoked'")
    return [state for (state,) in rows]


@pytest.mark.parametrize("revoke", BULK)
def test_nobody_is_told_before_the_window_has_passed(sandbox, postbox, tmp_path, revoke):
    revoke(sandbox, tmp_path)
    assert sandbox("notify", "send").code == 0
    assert postbox.letters == []
    freeze(sandbox, LATER)
    assert sandbox("notify", "send").code == 0
    assert sorted(letter.to for letter in postbox.letters) == [BOB, CYD]


def test_who_gets_the_seat_back_never_hears_that_it_was_gone(sandbox, postbox):
    run = done(sandbox, "seats", "revoke", "design", BOB, CYD)["run"]
    done(sandbox, "runs", "undo", run)
    freeze(sandbox, LATER)
    assert sandbox("notify", "send").code == 0
    assert revoked_mails(sandbox) == ["held"]
    # The new seat has a new sign-in code.
    assert sorted((one.to, one["Subject"]) for one in postbox.letters) == [
        (BOB, "Your seat in design"),
        (CYD, "Your seat in design"),
    ]


def test_a_single_one_is_told_at_once(sandbox, postbox):
    done(sandbox, "seats", "revoke", "design", BOB)
    assert BOB in [letter.to for letter in postbox.letters]
