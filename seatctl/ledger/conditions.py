"""Parts of WHERE clauses: optional conditions, and lists of states."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from seatctl.ledger.engines.port import SqlValue


def where(params: Mapping[str, SqlValue], *always: str, **conditions: str) -> str:
    """Return a WHERE clause of `always` and of each condition whose parameter of the same name is not None.

    `(:x IS NULL OR column = :x)` would mean the same, but no index can be used for it: it scans every row.
    """
    parts = [*always, *(text for name, text in conditions.items() if params[name] is not None)]
    return f" WHERE {' AND '.join(parts)}" if parts else ""


def one_of(states: Iterable[str]) -> str:
    """Return the list of these states for a condition with IN."""
    quoted = ", ".join(f"'{state}'" for state in states)
    return f"({quoted})"
