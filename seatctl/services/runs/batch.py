"""A batch: many commands in one process and one run, each with its own transaction and result.

How a line is carried out is handed in (`Do`); here is what is written before and after it, so that a
batch that is killed goes on where it stopped. What may be a line: rules/batches.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from seatctl.billing.port import Billing
from seatctl.errors import Code, ExitCode, JsonValue, LedgerError, SeatctlError, refuse
from seatctl.ledger import copies, operations
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import audit, batches, runs
from seatctl.ledger.transaction import Reader
from seatctl.models.batch import Line
from seatctl.models.call import BatchRow, Call
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report
from seatctl.models.run import RunState

COLUMNS = ("line", "command", "result", "code", "error")


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """What became of a line: its exit code, and the error or what was done, in a sentence."""

    exit_code: ExitCode
    code: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Batch:
    """How a batch is carried out. `do` takes a line and its row (None where there are no lines)."""

    do: Callable[[Line, BatchRow | None], LineOutcome]
    progress: Callable[[int, int, int], None]
    """Told after each line: how many of how many were tried, and how many of them failed."""
    max_failures: int | None = None


def start(ledger: Ledger, call: Call, lines: Sequence[Line], how: Batch) -> Report:
    """Write every line down, then do one after the other. Raises what stops a batch: LedgerError.

    Under a dry run `ledger` is a copy (`rehearsing`), in which all of it is done.
    """
    if not lines:
        return _go(ledger, call, None, lines, how)
    with ledger.journal() as journal:
        run = batches.begin(journal, call, lines)
    with batches.lock(ledger.path, run):
        return _go(ledger, call, run, lines, how)


@contextmanager
def rehearsing(ledger: Ledger, call: Call) -> Iterator[Ledger]:
    """The ledger in which the lines are done: under a dry run a copy of it, which is thrown away."""
    if not call.dry_run:
        yield ledger
        return
    with copies.rehearsal(ledger) as copy:
        yield copy


def resume(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int, how: Batch) -> Report:
    """Go on with a batch that was killed or stopped; no line that was done is done again.

    Raises `unknown_run`, `no_batch`, `nothing_to_resume`, `batch_busy`.
    """
    with ledger.reading() as reader:
        require_batch(reader, number)
    with batches.lock(ledger.path, number):
        if not call.dry_run:
            _look_after_operations(ledger, billing, call, number)
        with ledger.reading() as reader:
            lines = batches.waiting(reader, number)
            state = runs.find(reader, number).state
        if not lines and state is not RunState.PENDING:
            raise refuse(
                Code.NOTHING_TO_RESUME,
                f"every line of run {number} has been tried",
                hint=f"seatctl runs failures {number}",
                data={"run": number},
            )
        return _go(ledger, call, number, lines, how)


def require_batch(reader: Reader, number: int) -> None:
    """Raises `unknown_run`, and `no_batch` where the run has no lines."""
    runs.find(reader, number)
    if not batches.tally(reader, number).total:
        raise refuse(
            Code.NO_BATCH,
            f"run {number} is not a batch",
            hint=f"seatctl runs show {number}",
            data={"run": number},
        )


def _look_after_operations(ledger: Ledger, billing: Callable[[], Billing], call: Call, run: int) -> None:
    """Purchases that lines began before the batch was killed: finished here, or taken as done.

    To begin the line anew would charge for it a second time.
    """
    with ledger.reading() as reader:
        waiting = {line.n for line in batches.waiting(reader, run)}
        begun = [(n, one) for n, one in operations.of_batch(reader, run) if n in waiting]
    for n, operation in begun:
        row = BatchRow(run, n)
        if operation.state is OperationState.DONE:
            with ledger.journal() as journal:
                batches.mark_done(journal, row)
        elif operation.state is not OperationState.FAILED:
            _finish(ledger, billing(), call._replace(batch_row=row), row, operation)


def _finish(ledger: Ledger, billing: Billing, call: Call, row: BatchRow, operation: Operation) -> None:
    from seatctl.services.operations.submit import perform

    try:
        with ledger.money_lock():
            perform(ledger, billing, call, operation)
    except SeatctlError as error:
        with ledger.journal() as journal:
            batches.mark_failed(journal, row, batches.error_fields(error))


def _go(ledger: Ledger, call: Call, run: int | None, lines: Sequence[Line], how: Batch) -> Report:
    try:
        return _do_lines(ledger, call, run, lines, how)
    except LedgerError as error:
        if run is not None and not call.dry_run:
            error.hint = f"{error.hint + '; then ' if error.hint else ''}to go on: seatctl runs resume {run}"
        raise
    except KeyboardInterrupt:
        kept = None if call.dry_run else run
        hint = None if kept is None else f"to go on: seatctl runs resume {kept}"
        raise refuse(Code.INTERRUPTED, "interrupted", hint=hint, data={"run": kept}) from None


def _do_lines(ledger: Ledger, call: Call, run: int | None, lines: Sequence[Line], how: Batch) -> Report:
    rows: list[dict[str, JsonValue]] = []
    failed = 0
    for line in lines:
        row = None if run is None else BatchRow(run, line.n)
        outcome = how.do(line, row)
        ok = outcome.exit_code is ExitCode.DONE
        failed += not ok
        rows.append(_row(line, outcome))
        if row is not None:
            _mark(ledger, row, outcome)
        how.progress(len(rows), len(lines), failed)
        if how.max_failures is not None and failed >= how.max_failures:
            break
    return _end(ledger, call, run, rows, len(lines) - len(rows))


def _mark(ledger: Ledger, row: BatchRow, outcome: LineOutcome) -> None:
    """Before the next line: it may do what this one was waiting for, or the other way round."""
    with ledger.journal() as journal:
        if outcome.exit_code is ExitCode.DONE:
            batches.mark_done(journal, row)
        else:
            error: dict[str, JsonValue] = {
                "code": outcome.code,
                "exit_code": int(outcome.exit_code),
                "error": outcome.sentence,
            }
            batches.mark_failed(journal, row, error)


def _row(line: Line, outcome: LineOutcome) -> dict[str, JsonValue]:
    ok = outcome.exit_code is ExitCode.DONE
    return {
        "line": line.n,
        "command": line.command,
        "result": "done" if ok else "failed",
        "code": outcome.code,
        "exit_code": int(outcome.exit_code),
        "error": None if ok else outcome.sentence,
        "summary": outcome.sentence if ok else None,
    }


def _end(
    ledger: Ledger, call: Call, run: int | None, rows: Sequence[dict[str, JsonValue]], left: int
) -> Report:
    failed = sum(row["result"] == "failed" for row in rows)
    tally, undo = batches.Tally(left, len(rows) - failed, failed), None
    if run is not None:
        with ledger.reading() as reader:
            tally = batches.tally(reader, run)
            undo = f"seatctl runs undo {run}" if audit.count_changes(reader, run) else None
    summary = _sentence(None if call.dry_run else run, tally)
    if run is not None:
        with ledger.journal() as journal:
            batches.close(journal, run, RunState.FAILED if left else RunState.DONE, summary, call)
    return Report(
        run=None if call.dry_run else run,
        dry_run=call.dry_run,
        summary=summary,
        rows=rows,
        exit_code=ExitCode.PARTIAL if failed or left else ExitCode.DONE,
        undo=None if call.dry_run else undo,
        columns=COLUMNS,
        data={"done": tally.done, "failed": tally.failed, "not_tried": tally.waiting},
    )


def _sentence(run: int | None, tally: batches.Tally) -> str:
    total = tally.total
    if not total:
        return "nothing to do: there are no lines"
    parts = [f"{tally.done:,} of {total:,} line{'' if total == 1 else 's'} done"]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed" + (f" (seatctl runs failures {run})" if run else ""))
    if tally.waiting:
        parts.append(f"{tally.waiting:,} not tried" + (f" (seatctl runs resume {run})" if run else ""))
    return ", ".join(parts)
