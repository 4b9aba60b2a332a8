"""What a ledger is made of, compared with what this version makes: tables, indexes, triggers.

The expected schema is made in memory by the same migrations. What SQLite or sqlite-utils words themselves is
compared by name only, since other versions of them word it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from seatctl.ledger.engines.port import Engine
from seatctl.ledger.schema.migrate import new_schema

_OBJECTS = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL"
_NOT_OURS = re.compile(r"sqlite_\w+|idx__sqlite_migrations_\w+")
"""SQLite's own, and an index that not every version of sqlite-utils makes."""
_WORDED_BY_OTHERS = re.compile(r"users_search_\w+|_sqlite_migrations")
_TIME = re.compile(r"CONSTRAINT \w+_is_a_time CHECK \((\w+) GLOB")
_CHOICE = re.compile(r"CONSTRAINT \w+_is_known CHECK \((\w+) IN \(([^)]*)\)\)")
_TEXT = re.compile(r"[(,]\s*(\w+) TEXT\b")


class SchemaObject(NamedTuple):
    """A table, an index or a trigger, with its statement."""

    kind: str
    name: str
    sql: str


class TableContents(NamedTuple):
    """A table, and what its columns hold."""

    name: str
    texts: tuple[str, ...]
    times: tuple[str, ...]
    choices: dict[str, tuple[str, ...]]


@cache
def expected() -> dict[str, SchemaObject]:
    """What this version makes, by name."""
    return {name: SchemaObject(kind, name, _normal(sql)) for kind, name, sql in new_schema()}


@cache
def tables() -> tuple[TableContents, ...]:
    """The tables of this version, as their statements describe them."""
    found = (one for one in expected().values() if one.kind == "table" and "STRICT" in one.sql)
    return tuple(
        TableContents(
            name=one.name,
            texts=tuple(_TEXT.findall(one.sql)),
            times=tuple(_TIME.findall(one.sql)),
            choices={
                column: tuple(re.findall("'([^']*)'", values)) for column, values in _CHOICE.findall(one.sql)
            },
        )
        for one in found
    )


def differences(engine: Engine) -> Iterator[tuple[str, str]]:
    """(name, what is wrong) of whatever is missing, other than this version makes it, or not of its making.

    A view reads and changes nothing, so that one of the user's own is left alone.
    """
    rows = engine.rows(_OBJECTS)
    found = {row["name"]: SchemaObject(row["type"], row["name"], _normal(row["sql"])) for row in rows}
    for made in expected().values():
        if _NOT_OURS.fullmatch(made.name):
            continue
        there = found.get(made.name)
        if there is None:
            yield made.name, f"this {made.kind} is missing"
        elif not _WORDED_BY_OTHERS.fullmatch(made.name) and there != made:
            yield made.name, f"this {made.kind} is not as this version makes it"
    for there in found.values():
        if there.name not in expected() and there.kind != "view" and not _NOT_OURS.fullmatch(there.name):
            yield there.name, f"this {there.kind} is not of seatctl's making"


def _normal(sql: str) -> str:
    """The statement without its line breaks."""
    return " ".join(sql.split())
