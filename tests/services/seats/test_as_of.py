"""`seats list --as-of`: who had a seat at a moment in the past, and its end as it was then."""

from __future__ import annotations

import random

import pytest

ADA, BOB, ZOE = "ada@example.com", "bob@example.com", "zoe@example.com"


@pytest.fixture
def people(sandbox, team):
    assert sandbox("users", "add", ADA, BOB, ZOE).code == 0
    return sandbox


def then(seatctl, moment: str) -> list[tuple]:
    return [
        (row["email"], row["until"])
        for row in sorted(seatctl.rows("seats", "list", "--as-of", moment), key=lambda row: row["email"])
    ]


def now(seatctl) -> list[tuple]:
    return [
        (row["email"], row["until"])
        for row in sorted(seatctl.rows("seats", "list"), key=lambda row: row["email"])
    ]


def clock(seatctl) -> str:
    return seatctl("sandbox", "status", "-o", "json").json["now"]


def test_every_moment_is_answered_as_it_was(people):
    """A random history; at the end, each of its moments is listed again."""
    chance, seen = random.Random(3), {}
    for _ in range(12):
        who = chance.choice([ADA, BOB, ZOE])
        people(*chance.choice([
            ("seats", "assign", "design", who),
            ("seats", "assign", "design", who, "--for", "3d"),
            ("seats", "revoke", "design", who),
            ("runs", "undo", str(people.rows("runs", "list")[0]["number"])),
        ]))  # fmt: skip
        seen[clock(people)] = now(people)
        assert people("sandbox", "advance", "1d").code == 0
    assert {moment: then(people, moment) for moment in seen} == seen


def test_a_date_is_its_end_and_today_is_now(people):
    day = clock(people)[:10]
    people("seats", "assign", "design", ADA)
    assert then(people, day) == [(ADA, None)]
    people("sandbox", "advance", "2d")
    people("seats", "revoke", "design", ADA)
    assert then(people, day) == [(ADA, None)]
    assert then(people, clock(people)[:10]) == []
    assert then(people, "2020-01-01") == []


def test_a_moment_to_come_or_all_seats_is_no_question(people):
    assert people("seats", "list", "--as-of", "2099-01-01").code == 2
    assert people("seats", "list", "--as-of", "2026-01-01", "--all").code == 2
    assert people("seats", "list", "--as-of", "soon").code == 3
