"""The check of a server's schema: the tables, columns, indexes, functions and triggers of this version exist.

Their definitions are not compared: each version of PostgreSQL words them in its own way, and only the owner
of the ledger can change them. Views and indexes of others are allowed: they change nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from seatctl.ledger.engines.port import Engine
from seatctl.ledger.schema.postgres.create import statements
from seatctl.ledger.schema.postgres.tables import columns_by_table

_CREATED = re.compile(r"CREATE (?:UNIQUE |UNLOGGED )?(TABLE|VIEW|INDEX|FUNCTION|AGGREGATE|TRIGGER) (\w+)")

_EXISTING = """SELECT CASE c.relkind WHEN 'v' THEN 'view' WHEN 'i' THEN 'index' ELSE 'table' END AS kind,
    c.relname AS name FROM pg_class c
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'i')
    UNION SELECT 'function', p.proname FROM pg_proc p WHERE p.pronamespace = current_schema()::regnamespace
    UNION SELECT 'trigger', t.tgname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A')
    UNION SELECT 'column', c.relname || '.' || a.attname FROM pg_attribute a
    JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND a.attnum > 0
    AND NOT a.attisdropped"""
"""Kind and name of each object. A trigger that is disabled does not count."""

_ALLOWED = frozenset({"view", "index", "column"})
"""What others may have added."""


@cache
def expected() -> frozenset[tuple[str, str]]:
    """Return kind and name of each object that this version creates."""
    found = {
        ("column", f"{table}.{name}")
        for table, names in columns_by_table(statements()).items()
        for name in names
    }
    for created in filter(None, map(_CREATED.match, statements())):
        kind, name = created[1].lower(), created[2]
        found.add(("function" if kind == "aggregate" else kind, name))
    return frozenset(found)


def differences(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield (name, problem) for each object that is missing, or was not created by seatctl."""
    existing = {(str(row["kind"]), str(row["name"])) for row in engine.rows(_EXISTING)}
    for kind, name in sorted(expected() - existing):
        state = "is missing or disabled" if kind == "trigger" else "is missing"
        yield name, f"this {kind} {state}"
    for kind, name in sorted(existing - expected()):
        if kind not in _ALLOWED:
            yield name, f"this {kind} was not created by seatctl"
