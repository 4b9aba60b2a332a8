"""Seats and real processes: the last seat is assigned once, even if several ask at the same moment."""

import contextlib
import json
import subprocess

import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query
from tests.support.warm import python

ROUNDS = 50

# Each line of stdin is a command; its exit code and error code go back on stdout. So both are running
# already when a round begins, and meet in the ledger rather than in a start.
WORKER = """
    import contextlib, io, json, sys
    from seatctl.__main__ import main
    for line in sys.stdin:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(json.loads(line))
        error = json.loads(err.getvalue())["error"]["code"] if code == 4 else None
        print(json.dumps([int(code), error]), flush=True)
"""


@pytest.fixture
def workers(seatctl, sandbox):
    """Start processes that run the commands written to their stdin."""
    started = []

    def start(number):
        started.extend(
            python(WORKER, env=seatctl.environment(), stdin=subprocess.PIPE, stderr=None)
            for _ in range(number)
        )
        return started

    yield start
    for process in started:
        process.communicate()


def run_at_once(processes, commands):
    for process, command in zip(processes, commands, strict=True):
        process.stdin.write(json.dumps([*command, "-o", "json"]) + "\n")
    for process in processes:
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in processes]


def test_two_processes_race_for_the_last_seat_and_one_wins_every_time(seatctl, sandbox, workers):
    ledger = ledger_place(sandbox)
    for number in range(ROUNDS):
        add_subscription(ledger, f"design{number}", seats=1)
    assert seatctl("users", "import", "-", stdin="email\na@example.com\nb@example.com\n").code == 0
    racers = workers(2)
    for number in range(ROUNDS):
        assign = ("seats", "assign", f"design{number}")
        results = run_at_once(racers, [(*assign, "a@example.com"), (*assign, "b@example.com")])
        assert sorted(results, key=str) == [[0, None], [4, "no_seats_left"]]
    assert query(ledger, "SELECT DISTINCT assigned, capacity FROM subscriptions") == [(1, 1)]
    winners = dict(query(ledger, "SELECT user_id, count(*) FROM seats GROUP BY user_id"))
    assert sum(winners.values()) == ROUNDS
    assert seatctl("ledger", "check").code == 0


def test_of_many_who_ask_at_once_as_many_are_seated_as_fit_and_the_rest_wait_in_order(
    seatctl, sandbox, workers
):
    ledger = ledger_place(sandbox)
    add_subscription(ledger, "design", seats=3, auto_approval='{"enabled": true}')
    people = [f"p{number}@example.com" for number in range(8)]
    seatctl("users", "import", "-", stdin="\n".join(["email", *people]))
    asked = run_at_once(workers(8), [("requests", "create", email, "-s", "design") for email in people])
    assert sorted(code for code, _ in asked) == [0, 0, 0, 10, 10, 10, 10, 10]
    places = [row["place"] for row in seatctl.rows("requests", "list", "--status", "waitlisted")]
    assert places == [1, 2, 3, 4, 5]
    first = seatctl.rows("requests", "list", "--status", "waitlisted")[0]["email"]
    seatctl("seats", "revoke", "design", seatctl.rows("seats", "list")[0]["email"])
    assert first in [row["email"] for row in seatctl.rows("seats", "list")]
    assert seatctl("audit", "verify").code == 0


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.2, 0.3])
def test_a_bulk_assignment_killed_at_any_time_seats_everybody_or_nobody(seatctl, sandbox, tmp_path, seconds):
    people = tmp_path / "people.csv"
    people.write_text("email\n" + "".join(f"p{number}@example.com\n" for number in range(8000)))
    assert seatctl("users", "import", people).code == 0
    ledger = ledger_place(sandbox)
    add_subscription(ledger, "design", seats=8000)
    bulk = seatctl.process("seats", "assign", "design", "--from", people)
    with contextlib.suppress(subprocess.TimeoutExpired):
        bulk.communicate(timeout=seconds)
    bulk.kill()
    bulk.communicate()
    assert query(ledger, "SELECT assigned FROM subscriptions")[0][0] in {0, 8000}
    assert seatctl("ledger", "check").code == 0
    again = seatctl("seats", "assign", "design", "--from", people, "-o", "json")
    assert again.code == 0
    assert query(ledger, "SELECT assigned FROM subscriptions") == [(8000,)]
