"""Parts of statements: optional conditions, flags, lists of states and ids."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seatctl.ledger.engines.port import SqlValue

ALL_ROWS = 2**63 - 1
"""A LIMIT that is none: OFFSET cannot stand alone in SQLite."""


def numbers_in(parameter: str) -> str:
    """Return the list of the numbers of a JSON array, for a condition with IN: `numbers_in(":ids")`."""
    return f"(SELECT CAST(value AS BIGINT) FROM json_each({parameter}))"


def only_in(column: str, subscriptions: str | None) -> str:
    """Return ` AND …`: the column is one of the numbers of `:only`, a JSON array; empty if that is None."""
    return "" if subscriptions is None else f" AND {column} IN {numbers_in(':only')}"


def texts_in(parameter: str) -> str:
    """Return the list of the texts of a JSON array, for a condition with IN."""
    return f"(SELECT value FROM json_each({parameter}))"


def where(params: Mapping[str, SqlValue], *always: str, **conditions: str) -> str:
    """Return a WHERE clause of `always` and of each condition whose parameter of the same name is not None.

    `(:x IS NULL OR column = :x)` would mean the same, but no index can be used for it: it scans every row.
    """
    parts = [*always, *(text for name, text in conditions.items() if params[name] is not None)]
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def flag(condition: str) -> str:
    """Return an expression for a result column: 1 if the condition holds, else 0."""
    return f"CASE WHEN {condition} THEN 1 ELSE 0 END"


def one_of(states: Iterable[str]) -> str:
    """Return the list of these states for a condition with IN."""
    quoted = ", ".join(f"'{state}'" for state in states)
    return f"({quoted})"
