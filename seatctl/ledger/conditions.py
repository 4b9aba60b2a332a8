"""Conditions of a query that are there only if something is asked for."""

from __future__ import annotations

from collections.abc import Mapping

from seatctl.ledger.engines.port import SqlValue


def where(params: Mapping[str, SqlValue], *always: str, **conditions: str) -> str:
    """The WHERE clause of `always` and of each condition whose parameter, of the same name, is not None.

    `(:x IS NULL OR column = :x)` says the same, but no index can be used for it: every row is looked at.
    """
    parts = [*always, *(text for name, text in conditions.items() if params[name] is not None)]
    return f" WHERE {' AND '.join(parts)}" if parts else ""
