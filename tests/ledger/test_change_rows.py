"""Change rows that statements write: the same bytes on every engine, and as `Transaction.record` writes."""

from __future__ import annotations

import json
import sqlite3

import pytest

from seatctl.ledger import change_rows
from seatctl.ledger.json_text import json_array, json_flag, json_rows

TIME = "2026-11-21T12:00:00Z"
TEXTS = (
    "Ann",
    "",
    'quote " and \\ backslash',
    "".join(map(chr, range(1, 32))) + "\x7f",
    "Ünïcödé 李明 🙂 \u2028",
    "</script> / ' %s :name ?",
    None,
)


@pytest.fixture
def db():
    connection = sqlite3.connect(":memory:")
    yield connection
    connection.close()


def written(row: dict[str, object]) -> str:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_user_is_the_one_that_json_object_and_python_write(db, text):
    db.execute("CREATE TABLE users (email, group_name, last_active, name, reclaim_exempt, status)")
    for exempt in (0, 1):
        db.execute("DELETE FROM users")
        db.execute("INSERT INTO users VALUES ('a@x.com', ?, ?, ?, ?, 'active')", (text, TIME, text, exempt))
        by_sqlite = """json_object('email', email, 'group', group_name, 'last_active', last_active,
            'name', name, 'reclaim_exempt', json(iif(reclaim_exempt, 'true', 'false')), 'status', status)"""
        ours, theirs = db.execute(f"SELECT {change_rows.user()}, {by_sqlite} FROM users").fetchone()
        row = {"email": "a@x.com", "group": text, "last_active": TIME, "name": text, "status": "active"}
        assert ours == theirs == written({**row, "reclaim_exempt": bool(exempt)})


def test_the_text_of_a_seat_has_the_values_that_it_is_about_to_get(db):
    db.execute("CREATE TABLE seats (assigned_at, claimed_at, subscription_id, until, user_id)")
    db.execute("INSERT INTO seats VALUES (?, NULL, 3, NULL, 9007199254740993)", (TIME,))
    row = {"assigned_at": TIME, "claimed_at": None, "subscription_id": 3, "until": None}
    row["user_id"] = 9007199254740993
    ended = change_rows.seat("t", until=":until", revoked_at="coalesce(t.until, :until)")
    (text,) = db.execute(f"SELECT {ended} FROM seats t", {"until": TIME}).fetchone()
    assert text == written({**row, "until": TIME, "revoked_at": TIME})
    (text,) = db.execute(f"SELECT {change_rows.seat()} FROM seats").fetchone()
    assert text == written(row)


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_request_has_its_features_as_they_are_stored(db, text):
    texts = ("decided_at", "decided_by", "expires_at", "note", "reason", "status", "waitlisted_at")
    db.execute(f"CREATE TABLE requests ({', '.join(texts)}, features, priority, subscription_id, user_id)")
    db.execute(f"INSERT INTO requests VALUES ({'?, ' * 7} ?, -1, NULL, 7)", (*[text] * 7, '["a","b"]'))
    row = {**dict.fromkeys(texts, text), "features": ["a", "b"], "priority": -1}
    (ours,) = db.execute(f"SELECT {change_rows.request()} FROM requests").fetchone()
    assert ours == written({**row, "subscription_id": None, "user_id": 7})


def test_rows_become_an_array_of_their_texts(db):
    element = json_array("json_quote(n)", json_flag("n > 1"))
    query = f"SELECT {json_rows(element)} FROM (SELECT 1 AS n UNION ALL SELECT 2)"
    assert sorted(json.loads(db.execute(query).fetchone()[0])) == [[1, False], [2, True]]
    assert db.execute(f"{query} WHERE n > 2").fetchone()[0] == "[]"
