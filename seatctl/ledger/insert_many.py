"""INSERT of many rows as one statement.

Each statement releases the interpreter's lock and waits for it again. While other threads read pages from
Stripe, a backfill spent most of its time in that wait; one statement per page waits once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Final

from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Journal

_AT_ONCE: Final = 100
"""Rows per statement: a page of Stripe's. SQLite allows 32,766 parameters."""


def insert_all(
    journal: Journal, into: str, row: str, rows: Sequence[Sequence[SqlValue]], then: str = ""
) -> None:
    """Run `into VALUES row, row, … then`: `row` is the SQL of one row, `then` an ON CONFLICT clause."""
    for start in range(0, len(rows), _AT_ONCE):
        page = rows[start : start + _AT_ONCE]
        marks = ", ".join([row] * len(page))
        journal.execute(f"{into} VALUES {marks} {then}", [value for values in page for value in values])


def json_list(values: Iterable[str]) -> str:
    """Return texts as one parameter for `json_each`."""
    return json.dumps(list(values))
