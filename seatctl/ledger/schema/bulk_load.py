"""Loading the rows of another ledger into a file: without triggers, and with the search index made last.

The triggers accept only what commands do: seats that are assigned one after another, entries that are
appended. SQLite changes its schema in transactions: others see either all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from seatctl.ledger.engines.sqlite import SqliteEngine


@contextmanager
def emptied(engine: SqliteEngine, tables: Sequence[str]) -> Iterator[None]:
    """Empty the tables and let rows be inserted as they are, within the open transaction."""
    engine.execute("PRAGMA defer_foreign_keys = ON")
    triggers = [
        (str(row["name"]), str(row["sql"]))
        for row in engine.rows("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY rowid")
    ]
    for name, _ in triggers:
        engine.execute(f"DROP TRIGGER {name}")
    for table in reversed(tables):
        engine.execute(f"DELETE FROM {table}")
    yield
    engine.execute("INSERT INTO users_search (users_search) VALUES ('rebuild')")
    # The next run is numbered after the last one, also if a longer copy was deleted above.
    engine.execute(
        "UPDATE sqlite_sequence SET seq = (SELECT coalesce(max(number), 0) FROM runs) WHERE name = 'runs'"
    )
    for _, statement in triggers:
        engine.execute(statement)
