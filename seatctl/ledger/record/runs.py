"""Queries on runs: who did what, and how it ended. `ledger/transaction.py` writes the runs of changes."""

from __future__ import annotations

from collections.abc import Iterator

from seatctl.errors import Code, refuse
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import mapper
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.run import Run, RunState

# Until a run has ended and has a summary, its operation says what it waits for.
_SELECT = """SELECT r.number, r.command, r.actor, r.os_user, r.state, r.started_at, coalesce(r.summary,
    (SELECT 'waits: ' || json_extract(o.outcome, '$.message') FROM operations o
    WHERE r.state = 'pending' AND o.run = r.number AND o.state = 'waiting' LIMIT 1)) AS summary FROM runs r"""


def listing(reader: Reader, *, actor: str | None = None, state: RunState | None = None) -> Iterator[Run]:
    """Yield runs, newest first."""
    condition, params = _condition(actor, state)
    return map(_run, reader.stream(f"{_SELECT}{condition} ORDER BY r.number DESC", params))


def count(reader: Reader, *, actor: str | None = None, state: RunState | None = None) -> int:
    """Return how many runs `listing` yields."""
    condition, params = _condition(actor, state)
    return reader.count(f"SELECT count(*) FROM runs r{condition}", params)


def _condition(actor: str | None, state: RunState | None) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"actor": actor, "state": None if state is None else state.value}
    return where(params, actor="r.actor = :actor", state="r.state = :state"), params


def find(reader: Reader, number: int) -> Run:
    """Return the run with this number. Raises `unknown_run`."""
    row = reader.row(f"{_SELECT} WHERE r.number = ?", (number,))
    if row is None:
        raise refuse(
            Code.UNKNOWN_RUN, f"there is no run {number}", hint="seatctl runs list", data={"run": number}
        )
    return _run(row)


def undone_by(reader: Reader, number: int) -> int | None:
    """Return the run that undid this run, or None."""
    return reader.number("SELECT max(number) FROM runs WHERE undo_of = ?", (number,))


def note_undo(tx: Transaction, number: int) -> None:
    """Store which run this transaction undoes."""
    tx.execute("UPDATE runs SET undo_of = ? WHERE number = ?", (number, tx.run))


_run = mapper(Run)
