"""Runs by number: what was done, by whom, and how it ended. `transaction.py` writes those of changes."""

from __future__ import annotations

from collections.abc import Iterator

from seatctl.errors import Code, refuse
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import parse_time
from seatctl.models.run import Run, RunState

# What a run waits for stands with its operation until the run has ended and has a summary of its own.
_SELECT = """SELECT r.*, CASE WHEN r.state = 'pending' AND r.summary IS NULL THEN
    (SELECT json_extract(o.outcome, '$.message') FROM operations o
    WHERE o.run = r.number AND o.state = 'waiting' LIMIT 1) END AS waits FROM runs r"""


def listing(reader: Reader, *, actor: str | None = None, state: RunState | None = None) -> Iterator[Run]:
    """Runs, newest first."""
    chosen, params = _chosen(actor, state)
    return map(_run, reader.rows(f"{_SELECT}{chosen} ORDER BY r.number DESC", params))


def count(reader: Reader, *, actor: str | None = None, state: RunState | None = None) -> int:
    """How many `listing` yields."""
    chosen, params = _chosen(actor, state)
    return reader.count(f"SELECT count(*) FROM runs r{chosen}", params)  # noqa: S608 - conditions of ours


def _chosen(actor: str | None, state: RunState | None) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"actor": actor, "state": None if state is None else state.value}
    return where(params, actor="r.actor = :actor", state="r.state = :state"), params


def find(reader: Reader, number: int) -> Run:
    """The run with this number. Raises `unknown_run`."""
    row = reader.row(f"{_SELECT} WHERE r.number = ?", (number,))
    if row is None:
        raise refuse(
            Code.UNKNOWN_RUN, f"there is no run {number}", hint="seatctl runs list", data={"run": number}
        )
    return _run(row)


def undone_by(reader: Reader, number: int) -> int | None:
    """The run that has undone this one, if there is one."""
    found = reader.value("SELECT max(number) FROM runs WHERE undo_of = ?", (number,))
    return found if isinstance(found, int) else None


def note_undo(tx: Transaction, number: int) -> None:
    """Say which run it is that this change takes back."""
    tx.execute("UPDATE runs SET undo_of = ? WHERE number = ?", (number, tx.run))


def _run(row: Row) -> Run:
    return Run(
        number=row["number"],
        command=row["command"],
        actor=row["actor"],
        os_user=row["os_user"],
        state=RunState(row["state"]),
        started_at=parse_time(row["started_at"]),
        summary=row["summary"] if row["waits"] is None else f"waits: {row['waits']}",
    )
