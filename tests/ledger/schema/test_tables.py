"""What the schema refuses to any writer, such as a person with the sqlite3 shell, or with psql."""

import sqlite3
from functools import partial

import psycopg
import pytest

from tests.support.subscriptions import add_subscription, ledger_place, query

REFUSED = (sqlite3.IntegrityError, psycopg.IntegrityError)
T = "2026-11-21T00:00:00Z"


@pytest.fixture
def shell(seatctl, sandbox):
    """Runs a statement in the ledger as a shell does: two seats, ann in one."""
    path = ledger_place(sandbox)
    add_subscription(path, seats=2)
    for name in ("ann", "bob", "cyd"):
        seatctl("users", "add", f"{name}@example.com")
    assert seatctl("seats", "assign", "design", "ann@example.com").code == 0
    return partial(query, path)


def state(shell):
    return shell("SELECT capacity, assigned FROM subscriptions")[0]


def seat(shell, user, verb="INSERT"):
    shell(f"{verb} INTO seats (subscription_id, user_id, assigned_at) VALUES (1, ?, ?)", user, T)


def test_a_seat_past_capacity_cannot_be_inserted(shell):
    seat(shell, 2)
    with pytest.raises(REFUSED, match="no_seats_left"):
        seat(shell, 3)
    assert state(shell) == (2, 2)


def test_a_revoked_seat_is_never_reopened(shell):
    shell("UPDATE seats SET revoked_at = ?", T)
    assert state(shell) == (2, 0)
    with pytest.raises(REFUSED, match="never reopened"):
        shell("UPDATE seats SET revoked_at = NULL")
    with pytest.raises(REFUSED, match="never reopened"):
        shell("UPDATE seats SET revoked_at = '2027-01-01T00:00:00Z'")


@pytest.mark.parametrize(
    "change",
    [
        "assigned = 0",
        "assigned = 2",
        "assigned = 2, last_counted = 7",
        "assigned = 0, last_counted = -1",
        "assigned = assigned + 1, last_counted = 99",
        "last_counted = 5",
    ],
)
def test_the_counter_cannot_be_written_by_hand(shell, change):
    with pytest.raises(REFUSED, match="kept by the seats"):
        shell(f"UPDATE subscriptions SET {change}")
    assert state(shell) == (2, 1)


def test_a_user_has_one_seat_in_a_subscription(shell):
    with pytest.raises(REFUSED, match=r"replaces no other|one_active_seat_per_user"):
        seat(shell, 1)
    assert state(shell) == (2, 1)


@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "INSERT OR IGNORE"])
def test_a_seat_neither_replaces_another_nor_is_ignored(shell, verb):
    with pytest.raises(REFUSED, match="replaces no other"):
        seat(shell, 1, verb)
    assert state(shell) == (2, 1)


def test_replacing_a_revoked_seat_does_not_reopen_it(shell):
    shell("UPDATE seats SET revoked_at = ?", T)
    with pytest.raises(REFUSED, match="replaces no other"):
        shell(
            "INSERT OR REPLACE INTO seats (id, subscription_id, user_id, assigned_at) VALUES (1, 1, 1, ?)",
            T,
        )
    assert shell("SELECT revoked_at FROM seats") == [(T,)]


def test_a_seat_cannot_be_moved_to_another_user(shell):
    with pytest.raises(REFUSED, match="keeps its user"):
        shell("UPDATE seats SET user_id = 2")


def test_fewer_paid_seats_remove_nobody_and_admit_nobody(seatctl, shell):
    assert seatctl("seats", "assign", "design", "bob@example.com").code == 0
    shell("UPDATE subscriptions SET capacity = 1")
    assert state(shell) == (1, 2)
    refused = seatctl("seats", "assign", "design", "cyd@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "over_assigned")
    assert seatctl("seats", "assign", "design", "cyd@example.com", "--fill").code == 4


@pytest.mark.parametrize("table", ["audit", "changes"])
def test_the_audit_is_append_only(shell, table):
    with pytest.raises(REFUSED, match="append-only"):
        shell(f"DELETE FROM {table}")
    with pytest.raises(REFUSED, match="append-only"):
        shell(f"UPDATE {table} SET hash = 'x'")


@pytest.mark.parametrize("table", ["audit", "changes"])
def test_no_row_of_the_audit_is_replaced(shell, table):
    with pytest.raises(REFUSED, match="append-only"):
        shell(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_nothing_can_be_added_to_a_written_entry(shell):
    with pytest.raises(REFUSED, match="append-only"):
        shell("INSERT INTO changes (entry, n, entity, entity_id, hash) VALUES (1, 99, 'seat', 1, 'x')")


@pytest.mark.parametrize("moment", ["2026-11-21", "2026-11-21T00:00:00.5Z", "2026-11-21 00:00:00", "later"])
def test_a_time_has_one_written_form(shell, moment):
    with pytest.raises(REFUSED, match="is_a_time"):
        shell("UPDATE seats SET until = ?", moment)
