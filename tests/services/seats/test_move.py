"""Ends of seats, `seats move`, `swap` and `reclaim`."""

import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query

ANN, BOB, CYD, DAN = (f"{name}@example.com" for name in ("ann", "bob", "cyd", "dan"))


@pytest.fixture
def subscriptions(seatctl, sandbox):
    """design has two seats, of ann and bob; video has two free seats. cyd and dan are users."""
    add_subscription(ledger_place(sandbox), "design", seats=2)
    add_subscription(ledger_place(sandbox), "video", seats=2)
    seatctl("users", "add", ANN, BOB, CYD, DAN)
    seatctl("seats", "assign", "design", ANN, BOB)


def seated(seatctl, name):
    return {row["email"]: row["until"] for row in seatctl.rows("seats", "list", name)}


def error(seatctl, *argv):
    refused = seatctl(*argv, "-o", "json")
    return refused.code, refused.error["code"]


def test_a_seat_ends_at_the_date_or_after_the_span(seatctl, subscriptions):
    assert seatctl("seats", "assign", "video", CYD, "--until", "2031-01-31").code == 0
    assert seatctl("seats", "assign", "video", DAN, "--for", "30d").code == 0
    found = seated(seatctl, "video")
    assert found[CYD] == "2031-01-31T23:59:59Z"
    assert seatctl("sandbox", "advance", "31d").code == 0
    assert seated(seatctl, "video") == {CYD: "2031-01-31T23:59:59Z"}


def test_who_sits_already_gets_the_new_end(seatctl, subscriptions):
    done = seatctl("seats", "assign", "design", ANN, BOB, "--until", "2031-01-31", "-o", "json")
    assert (done.code, [row["result"] for row in done.rows]) == (0, ["until changed"] * 2)
    assert set(seated(seatctl, "design").values()) == {"2031-01-31T23:59:59Z"}
    again = seatctl("seats", "assign", "design", ANN, "--until", "2031-01-31", "-o", "json")
    assert (again.json["run"], again.rows[0]["result"]) == (None, "already seated")


def test_ends_that_contradict_or_lie_behind_are_refused(seatctl, subscriptions):
    assert seatctl("seats", "assign", "video", CYD, "--until", "2031-01-31", "--for", "3d").code == 2
    assert seatctl("seats", "assign", "video", CYD, "--until", "2020-01-31").code == 3
    assert seatctl("seats", "assign", "video", CYD, "--for", "soon").code == 3
    assert seated(seatctl, "video") == {}


def test_what_was_typed_stands_in_no_line(seatctl, subscriptions):
    refused = seatctl("seats", "assign", "design", ANN, "bad@", "--until", "2020-01-31")
    assert refused.code == 3
    assert refused.err.splitlines() == [
        "seatctl: 2 of 2 people cannot be accepted; nothing was changed",
        f"  {ANN}: until is in the past",
        "  bad@: not an e-mail address: there is nothing after the @",
        "hint: correct them, or skip them with --skip-bad",
    ]
    alone = seatctl("seats", "assign", "design", ANN, "--until", "2020-01-31", "-o", "json").error
    assert alone["message"] == f"{ANN} cannot be accepted; nothing was changed"
    assert alone["rows"] == [{"email": ANN, "error": "until is in the past"}]


def test_people_move_together_and_keep_their_end(seatctl, subscriptions):
    seatctl("seats", "assign", "design", ANN, "--until", "2031-01-31")
    moved = seatctl("seats", "move", "design", "video", ANN, BOB, "-o", "json")
    assert (moved.code, moved.json["summary"]) == (0, "moved 2 people from design to video")
    assert seated(seatctl, "video") == {ANN: "2031-01-31T23:59:59Z", BOB: None}
    assert seated(seatctl, "design") == {}
    again = seatctl("seats", "move", "design", "video", ANN, BOB, "-o", "json")
    assert (again.code, again.json["summary"], again.json["run"]) == (0, "nothing to do", None)
    assert query(
        ledger_place(seatctl), "SELECT count(DISTINCT revoked_entry) FROM seats WHERE revoked_at IS NOT NULL"
    ) == [(1,)]


def test_a_move_that_does_not_fit_moves_nobody(seatctl, subscriptions):
    seatctl("seats", "assign", "video", CYD)
    assert error(seatctl, "seats", "move", "design", "video", ANN, BOB) == (4, "no_seats_left")
    assert error(seatctl, "seats", "move", "design", "video", ANN, DAN) == (4, "not_seated")
    assert error(seatctl, "seats", "move", "design", "design", ANN) == (2, "usage")
    assert set(seated(seatctl, "design")) == {ANN, BOB}


def test_a_full_subscription_swaps_one_for_another(seatctl, subscriptions):
    seatctl("requests", "create", "design", "--as", DAN)
    seatctl("seats", "assign", "design", ANN, "--until", "2031-01-31")
    done = seatctl("seats", "swap", "design", ANN, CYD)
    assert done.code == 0
    assert "undo: seatctl runs undo " in done.err
    assert seated(seatctl, "design") == {BOB: None, CYD: "2031-01-31T23:59:59Z"}
    assert seatctl("seats", "swap", "design", ANN, CYD, "-o", "json").json["run"] is None
    assert error(seatctl, "seats", "swap", "design", BOB, CYD) == (4, "already_seated")
    assert error(seatctl, "seats", "swap", "design", DAN, ANN) == (4, "not_seated")
    assert seatctl("users", "suspend", DAN).code == 0
    assert error(seatctl, "seats", "swap", "design", BOB, DAN) == (4, "user_not_active")


# -- reclaiming ---------------------------------------------------------------------------------


def reclaimed(seatctl, *options):
    done = seatctl("seats", "reclaim", "design", *options, "--max-revoke", "100%", "-o", "json")
    assert done.code == 0, done.err
    return {row["email"]: (row["why"], row["result"]) for row in done.rows}


def active(seatctl, email, day):
    assert seatctl("users", "import", "-", stdin=f"email,last_active\n{email},{day}\n").code == 0


def test_idle_seats_are_those_of_the_suspended_the_inactive_and_the_never_claimed(seatctl, subscriptions):
    assert seatctl("seats", "reclaim", "design").code == 2
    assert reclaimed(seatctl, "--inactive", "90", "--never-claimed", "10") == {}
    active(seatctl, ANN, "2020-01-01")
    assert reclaimed(seatctl, "--inactive", "90", "--dry-run") == {ANN: ("inactive", "revoked")}
    seatctl("users", "suspend", BOB)
    assert reclaimed(seatctl, "--suspended", "--dry-run") == {BOB: ("suspended", "revoked")}
    seatctl("sandbox", "advance", "11d")
    idle = reclaimed(seatctl, "--never-claimed", "10")
    assert {email: why for email, (why, _) in idle.items()} == {ANN: "never claimed", BOB: "never claimed"}
    assert seated(seatctl, "design") == {}


def test_who_is_exempt_keeps_the_seat(seatctl, subscriptions):
    active(seatctl, ANN, "2020-01-01")
    assert seatctl("users", "edit", ANN, "--exempt").code == 0
    assert seatctl("users", "show", ANN, "-o", "json").json["exempt"] is True
    assert reclaimed(seatctl, "--inactive", "90") == {}
    assert seatctl("users", "edit", ANN, "--no-exempt").code == 0
    assert reclaimed(seatctl, "--inactive", "90") == {ANN: ("inactive", "revoked")}


@pytest.mark.parametrize("option", ["--inactive", "--never-claimed"])
def test_days_before_all_time_are_a_wrong_usage(seatctl, subscriptions, option):
    assert seatctl("seats", "reclaim", "design", option, "99999999").code == 2


def test_too_many_are_refused(seatctl, subscriptions):
    for email in (ANN, BOB):
        active(seatctl, email, "2020-01-01")
    refused = seatctl("seats", "reclaim", "design", "--inactive", "90", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "max_revoke_exceeded")
    assert set(seated(seatctl, "design")) == {ANN, BOB}


def test_with_a_grace_people_are_warned_first_and_who_came_back_stays(seatctl, subscriptions):
    words = ("--inactive", "90", "--grace", "7d")
    for email in (ANN, BOB):
        active(seatctl, email, "2020-01-01")
    assert set(reclaimed(seatctl, *words).values()) == {("inactive", "warned")}
    warned = query(
        ledger_place(seatctl), "SELECT template, ids FROM outbox WHERE template = 'reclaim_warning'"
    )
    assert warned == [("reclaim_warning", '{"from_change":1,"to_change":2}')]
    assert set(reclaimed(seatctl, *words).values()) == {("inactive", "waiting")}
    seatctl("sandbox", "advance", "8d")
    today = seatctl("sandbox", "status", "-o", "json").json
    active(seatctl, BOB, next(str(value) for value in today.values() if str(value).startswith("20"))[:10])
    assert reclaimed(seatctl, *words) == {ANN: ("inactive", "revoked")}
    assert set(seated(seatctl, "design")) == {BOB}
    assert seatctl("ledger", "check").code == 0


def test_a_warning_that_was_undone_is_none(seatctl, subscriptions):
    assert seatctl("users", "suspend", BOB).code == 0
    words = (
        "seats",
        "reclaim",
        "design",
        "--suspended",
        "--grace",
        "7d",
        "--max-revoke",
        "100%",
        "-o",
        "json",
    )
    undo = seatctl(*words).json["undo"]
    assert seatctl(*undo.split()[1:]).code == 0
    seatctl("sandbox", "advance", "8d")
    assert seatctl(*words).rows[0]["result"] == "warned"


def test_a_warning_needs_mail(seatctl, subscriptions):
    assert seatctl("seats", "reclaim", "design", "--suspended", "--grace", "7d", "--no-notify").code == 2
