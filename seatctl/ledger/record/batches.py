"""Batches: a run with its lines, stored before the first of them is executed, and the result of each line.

`ledger/transaction.py` marks a line as done in the transaction of its change. This module marks the others:
lines that changed nothing, and lines that failed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.ledger.engines.port import Engine
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import BatchRow, Call, format_time
from seatctl.models.run import RunState
from seatctl.rules.batches import Line


@dataclass(frozen=True, slots=True)
class Tally:
    """How many lines of a batch are waiting, done and failed."""

    waiting: int
    done: int
    failed: int

    @property
    def total(self) -> int:
        """The number of lines in the batch."""
        return self.waiting + self.done + self.failed


def begin(journal: Journal, call: Call, lines: Iterable[Line]) -> int:
    """Open the run of a batch, store all its lines, and return the run's number."""
    run = journal.insert_run(call)
    rows = ((run, line.n, line.command) for line in lines)
    journal.load("batch_rows", ("run", "n", "command"), rows)
    return run


def waiting(reader: Reader, run: int) -> list[Line]:
    """Return the lines that are still to be executed, in order."""
    rows = reader.rows(
        "SELECT n, command FROM batch_rows WHERE run = ? AND state = 'waiting' ORDER BY n", (run,)
    )
    return [Line.read(row["n"], row["command"]) for row in rows]


def failures(reader: Reader, run: int) -> Iterator[dict[str, JsonValue]]:
    """Yield the failed lines in order: line, command, code, exit_code, error."""
    rows = reader.rows(
        "SELECT n, command, error FROM batch_rows WHERE run = ? AND state = 'failed' ORDER BY n", (run,)
    )
    for row in rows:
        yield {"line": row["n"], "command": row["command"], **failure_fields(row["error"])}


def failure_fields(error: str | None) -> dict[str, JsonValue]:
    """Return code, exit_code and error of a failed line; an erasure blanks those of lines with the name."""
    if error is None:
        return {"code": "erased", "exit_code": None, "error": "blanked, because it named an erased person"}
    fields: dict[str, JsonValue] = json.loads(error)
    return fields


def tally(reader: Reader, run: int) -> Tally:
    """Return the counts of a batch's lines by state; all zero if the run is not a batch."""
    rows = reader.rows("SELECT state, count(*) FROM batch_rows WHERE run = ? GROUP BY state", (run,))
    counts = {row[0]: row[1] for row in rows}
    return Tally(counts.get("waiting", 0), counts.get("done", 0), counts.get("failed", 0))


def is_done(reader: Reader, row: BatchRow) -> bool:
    """Return whether the change of a line has been committed."""
    return reader.value("SELECT state FROM batch_rows WHERE run = ? AND n = ?", row) == "done"


def mark_done(journal: Journal, row: BatchRow) -> None:
    """Mark a line as done that changed nothing, or that needed several transactions."""
    journal.execute("UPDATE batch_rows SET state = 'done' WHERE run = ? AND n = ? AND state = 'waiting'", row)


def mark_failed(journal: Journal, row: BatchRow, error: dict[str, JsonValue]) -> None:
    """Mark a line as failed and store `code`, `exit_code` and `error`."""
    journal.execute(
        "UPDATE batch_rows SET state = 'failed', error = ? WHERE run = ? AND n = ?",
        (json.dumps(error, ensure_ascii=False), *row),
    )


def close(journal: Journal, run: int, state: RunState, summary: str, call: Call) -> None:
    """End the run of a batch."""
    journal.execute(
        "UPDATE runs SET state = ?, finished_at = ?, summary = ? WHERE number = ?",
        (state.value, format_time(call.now), summary, run),
    )


def error_fields(error: SeatctlError) -> dict[str, JsonValue]:
    """Return the fields that are stored for the error of a line."""
    return {"code": error.code, "exit_code": int(error.exit_code), "error": error.message}


@contextmanager
def lock(engine: Engine, run: int) -> Iterator[None]:
    """Hold the lock for executing a batch, so that two processes do not execute the same line.

    Raises `batch_busy` if another process holds it.
    """
    with engine.hold(f"batch:{run}", 0) as held:
        if not held:
            raise refuse(
                Code.BATCH_BUSY,
                f"another process is executing the lines of run {run}",
                hint=f"seatctl runs show {run}",
                data={"run": run},
            )
        yield
