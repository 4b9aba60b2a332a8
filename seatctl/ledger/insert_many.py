"""Many rows written by one statement.

A statement for each row lets the interpreter's lock go and asks for it again each time. While other threads
read pages of Stripe, most of a backfill was spent waiting for that; one statement for a page waits once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from seatctl.errors import JsonValue
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Journal

_AT_ONCE: Final = 100
"""Rows: a page of Stripe's. SQLite takes 32,766 parameters."""


def insert_all(
    journal: Journal, into: str, row: str, rows: Sequence[Sequence[SqlValue]], then: str = ""
) -> None:
    """`into VALUES row, row, … then`: `row` is what one row looks like in SQL, `then` an ON CONFLICT."""
    for start in range(0, len(rows), _AT_ONCE):
        part = rows[start : start + _AT_ONCE]
        values = ", ".join([row] * len(part))
        journal.execute(f"{into} VALUES {values} {then}", [value for one in part for value in one])


def json_list(values: Iterable[str]) -> str:
    """Texts as one parameter, which `json_each` reads."""
    return json.dumps(list(values))


def compact_json(value: Mapping[str, JsonValue]) -> str:
    """An object as a column keeps it."""
    return json.dumps(dict(value), ensure_ascii=False, separators=(",", ":"))
