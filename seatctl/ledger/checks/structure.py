"""The check of a ledger's schema: its tables, indexes and triggers must be those that this version creates.

The expected schema is created in memory by the same migrations. Objects whose statements are written by
SQLite or sqlite-utils are compared by name only, because other versions of these libraries word them
differently.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from seatctl.ledger.engines.port import Engine
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.schema.migrate import new_schema

_OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_NOT_OURS = re.compile(r"sqlite_\w+|idx__sqlite_migrations_\w+")
"""SQLite's own objects, and an index that not every version of sqlite-utils creates."""
_WORDED_BY_OTHERS = re.compile(r"users_search_\w+|_sqlite_migrations")
_TIME = re.compile(r"CONSTRAINT \w+_is_a_time CHECK \((\w+) GLOB")
_CHOICE = re.compile(r"CONSTRAINT \w+_is_known CHECK \((\w+) IN \(([^)]*)\)\)")
_TEXT = re.compile(r"[(,]\s*(\w+) TEXT\b")


class SchemaObject(NamedTuple):
    """A table, index or trigger with its statement."""

    kind: str
    name: str
    sql: str


class TableContents(NamedTuple):
    """A table with its text columns, time columns, and columns of given values."""

    name: str
    texts: tuple[str, ...]
    times: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]


@cache
def expected() -> dict[str, SchemaObject]:
    """Return the objects that this version creates, by name."""
    return {name: SchemaObject(kind, name, _normal(sql)) for kind, name, sql in new_schema()}


@cache
def tables() -> tuple[TableContents, ...]:
    """Return the tables of this version with the contents of their columns, read from their statements."""
    own = (entry for entry in expected().values() if entry.kind == "table" and "STRICT" in entry.sql)
    return tuple(
        TableContents(
            name=table.name,
            texts=tuple(_TEXT.findall(table.sql)),
            times=tuple(_TIME.findall(table.sql)),
            choices={
                column: tuple(re.findall("'([^']*)'", values))
                for column, values in _CHOICE.findall(table.sql)
            },
        )
        for table in own
    )


def differences(engine: Engine) -> Iterator[tuple[str, str]]:
    """Yield (name, problem) for each object that is missing, differs, or was not created by seatctl.

    Views are allowed: they change nothing, and somebody may want one for queries.
    """
    if not isinstance(engine, SqliteEngine):
        from seatctl.ledger.checks import server_structure

        yield from server_structure.differences(engine)
        return
    rows = engine.rows(_OBJECTS)
    actual = {row["name"]: SchemaObject(row["type"], row["name"], _normal(row["sql"])) for row in rows}
    for wanted in expected().values():
        if _NOT_OURS.fullmatch(wanted.name):
            continue
        existing = actual.get(wanted.name)
        if existing is None:
            yield wanted.name, f"this {wanted.kind} is missing"
        elif not _WORDED_BY_OTHERS.fullmatch(wanted.name) and existing != wanted:
            yield wanted.name, f"this {wanted.kind} differs from the one that this version creates"
    for existing in actual.values():
        name, kind = existing.name, existing.kind
        if name not in expected() and kind != "view" and not _NOT_OURS.fullmatch(name):
            yield name, f"this {kind} was not created by seatctl"


def _normal(sql: str) -> str:
    """Return the statement without its line breaks."""
    return " ".join(sql.split())
