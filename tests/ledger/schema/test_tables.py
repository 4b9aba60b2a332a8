"""What the schema refuses to any writer, such as a person with the sqlite3 shell."""

import sqlite3
from contextlib import closing

import pytest

from tests.support.subscriptions import add_subscription, ledger_path

T = "2026-11-21T00:00:00Z"


@pytest.fixture
def shell(seatctl, sandbox):
    """The ledger as the sqlite3 shell sees it: two seats, ann in one."""
    path = ledger_path(sandbox)
    add_subscription(path, seats=2)
    for name in ("ann", "bob", "cyd"):
        seatctl("users", "add", f"{name}@example.com")
    assert seatctl("seats", "assign", "design", "ann@example.com").code == 0
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        yield db


def state(db):
    return db.execute("SELECT capacity, assigned FROM subscriptions").fetchone()


def seat(db, user, verb="INSERT"):
    db.execute(f"{verb} INTO seats (subscription_id, user_id, assigned_at) VALUES (1, ?, ?)", (user, T))


def test_a_seat_past_capacity_cannot_be_inserted(shell):
    seat(shell, 2)
    with pytest.raises(sqlite3.IntegrityError, match="no_seats_left"):
        seat(shell, 3)
    assert state(shell) == (2, 2)


def test_a_revoked_seat_is_never_reopened(shell):
    shell.execute("UPDATE seats SET revoked_at = ?", (T,))
    assert state(shell) == (2, 0)
    with pytest.raises(sqlite3.IntegrityError, match="never reopened"):
        shell.execute("UPDATE seats SET revoked_at = NULL")
    with pytest.raises(sqlite3.IntegrityError, match="never reopened"):
        shell.execute("UPDATE seats SET revoked_at = '2027-01-01T00:00:00Z'")


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
    with pytest.raises(sqlite3.IntegrityError, match="kept by the seats"):
        shell.execute(f"UPDATE subscriptions SET {change}")
    assert state(shell) == (2, 1)


def test_a_user_has_one_seat_in_a_subscription(shell):
    for verb in ("INSERT", "INSERT OR REPLACE", "INSERT OR IGNORE"):
        with pytest.raises(sqlite3.IntegrityError, match="replaces no other"):
            seat(shell, 1, verb)
    assert state(shell) == (2, 1)


def test_replacing_a_revoked_seat_does_not_reopen_it(shell):
    shell.execute("UPDATE seats SET revoked_at = ?", (T,))
    with pytest.raises(sqlite3.IntegrityError, match="replaces no other"):
        shell.execute(
            "INSERT OR REPLACE INTO seats (id, subscription_id, user_id, assigned_at) VALUES (1, 1, 1, ?)",
            (T,),
        )
    assert shell.execute("SELECT revoked_at FROM seats").fetchall() == [(T,)]


def test_a_seat_cannot_be_moved_to_another_user(shell):
    with pytest.raises(sqlite3.IntegrityError, match="keeps its user"):
        shell.execute("UPDATE seats SET user_id = 2")


def test_fewer_paid_seats_remove_nobody_and_admit_nobody(seatctl, shell):
    assert seatctl("seats", "assign", "design", "bob@example.com").code == 0
    shell.execute("UPDATE subscriptions SET capacity = 1")
    assert state(shell) == (1, 2)
    refused = seatctl("seats", "assign", "design", "cyd@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "over_assigned")
    assert seatctl("seats", "assign", "design", "cyd@example.com", "--fill").code == 4


@pytest.mark.parametrize("table", ["audit", "changes"])
def test_the_audit_is_append_only(shell, table):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        shell.execute(f"DELETE FROM {table}")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        shell.execute(f"UPDATE {table} SET hash = 'x'")
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        shell.execute(f"INSERT OR REPLACE INTO {table} SELECT * FROM {table}")


def test_nothing_can_be_added_to_a_written_entry(shell):
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        shell.execute(
            "INSERT INTO changes (entry, n, entity, entity_id, hash) VALUES (1, 99, 'seat', 1, 'x')"
        )


@pytest.mark.parametrize("moment", ["2026-11-21", "2026-11-21T00:00:00.5Z", "2026-11-21 00:00:00", "later"])
def test_a_time_has_one_written_form(shell, moment):
    with pytest.raises(sqlite3.IntegrityError, match="is_a_time"):
        shell.execute("UPDATE seats SET until = ?", (moment,))
