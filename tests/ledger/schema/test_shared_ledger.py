"""A ledger of an earlier version gets the columns and tables that a shared ledger needs when it is opened."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from seatctl.ledger.engines.port import MIN_CLIENT
from seatctl.ledger.schema.tables import RECORD_GUARDS
from tests.support.subscriptions import ledger_place, query

EVERYTHING = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1, 2"
BEFORE = (
    "ALTER TABLE users DROP COLUMN group_key",
    "ALTER TABLE steps DROP COLUMN number",
    "DROP INDEX users_by_entry",
    "ALTER TABLE users DROP COLUMN created_entry",
    "DROP INDEX seats_by_entry",
    "DROP TABLE held_seats",
    "DROP TABLE new_requests",
    "DROP INDEX one_entry_per_place",
    "DROP TRIGGER audit_goes_on_at_its_end",
    next(statement for statement in RECORD_GUARDS if "audit_goes_on_at_its_end" in statement),
    "ALTER TABLE audit DROP COLUMN place",
    "ALTER TABLE audit DROP COLUMN origin",
    "DELETE FROM meta WHERE key = 'min_client'",
    'UPDATE requests SET features = \'["sso", "api"]\'',
    "DELETE FROM _sqlite_migrations WHERE name = 'shared_ledger'",
    "PRAGMA user_version = 4",
)


def test_an_earlier_ledger_is_migrated(sandbox, team):
    assert sandbox("users", "add", "bo@example.com", "--group", "Sales  Öst").code == 0
    assert sandbox("requests", "create", "bo@example.com").code == 0
    path = ledger_place(sandbox)
    made, steps = query(path, EVERYTHING), query(path, "SELECT * FROM steps ORDER BY rowid")
    with closing(sqlite3.connect(path)) as db, db:
        for statement in BEFORE:
            db.execute(statement)
        hold = '{"until":"2099-01-01T00:00:00Z","pools":{"1":2}}'
        db.execute("INSERT INTO meta VALUES ('held_seats', ?)", (f'{{"1":{hold}}}',))
    assert [row["email"] for row in sandbox.rows("users", "list", "--group", "SALES öst")] == [
        "bo@example.com"
    ]
    assert query(path, EVERYTHING) == made
    assert query(path, "SELECT * FROM steps ORDER BY rowid") == steps
    assert query(path, "SELECT count(*) FROM audit WHERE place IS DISTINCT FROM seq") == [(0,)]
    assert query(path, "SELECT value FROM meta WHERE key = 'min_client'") == [(MIN_CLIENT,)]
    ((entries,),) = query(path, "SELECT count(*) FROM audit")
    assert sandbox("users", "add", "cy@example.com").code == 0
    assert query(path, "SELECT count(*), max(seq), max(place) FROM audit") == [(entries + 1,) * 3]
    assert {(step[0], step[-1]) for step in steps} == {(1, 1), (1, 2), (2, 1), (2, 2)}
    assert query(path, "SELECT features FROM requests") == [('["sso","api"]',)]
    assert query(path, "SELECT * FROM held_seats") == [(1, 1, "2099-01-01T00:00:00Z", 2)]
    assert query(path, "SELECT count(*) FROM meta WHERE key = 'held_seats'") == [(0,)]
