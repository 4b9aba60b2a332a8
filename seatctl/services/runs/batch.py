"""A batch: many commands in one process and one run, each with its own transaction and result.

The caller passes in how a line is run (`Batch.do`). This module records what happens before and after it, so
that a batch that was killed can be resumed. `rules/batches.py` says what may be a line.
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
from seatctl.models.call import BatchRow, Call
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report, counted, would_have
from seatctl.models.run import RunState
from seatctl.rules.batches import Line

COLUMNS = ("line", "command", "result", "code", "error")


@dataclass(frozen=True, slots=True)
class LineOutcome:
    """The outcome of a line: its exit code, its refusal code, and one sentence."""

    exit_code: ExitCode
    code: str | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Batch:
    """How a batch is run. `do` runs one line; its row is None if the batch is not recorded."""

    do: Callable[[Line, BatchRow | None], LineOutcome]
    progress: Callable[[int, int, int], None]
    """Called after each line: how many lines were tried, how many there are, how many have failed."""
    max_failures: int | None = None


def start(ledger: Ledger, call: Call, lines: Sequence[Line], options: Batch) -> Report:
    """Store every line, then run one after the other. Raises LedgerError, which stops a batch.

    In a dry run `ledger` is the copy of `ledger_for`.
    """
    if not lines:
        return _run_lines(ledger, call, None, lines, options)
    with ledger.journal() as journal:
        run = batches.begin(journal, call, lines)
    with batches.lock(ledger.engine, run):
        return _run_lines(ledger, call, run, lines, options)


@contextmanager
def ledger_for(ledger: Ledger, call: Call) -> Iterator[Ledger]:
    """The ledger that the lines change: in a dry run a copy, which is deleted at the end."""
    if not call.dry_run:
        yield ledger
        return
    with copies.rehearsal(ledger) as copy:
        yield copy


def resume(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int, options: Batch) -> Report:
    """Continue a batch that was killed or stopped; no line that succeeded is run again.

    Raises `unknown_run`, `no_batch`, `nothing_to_resume`, `batch_busy`.
    """
    with ledger.reading() as reader:
        require_batch(reader, number)
    with batches.lock(ledger.engine, number):
        if not call.dry_run:
            _finish_operations(ledger, billing, call, number)
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
        return _run_lines(ledger, call, number, lines, options)


def require_batch(reader: Reader, number: int) -> None:
    """Raise `unknown_run`, or `no_batch` if the run has no lines."""
    runs.find(reader, number)
    if not batches.tally(reader, number).total:
        raise refuse(
            Code.NO_BATCH,
            f"run {number} is not a batch",
            hint=f"seatctl runs show {number}",
            data={"run": number},
        )


def _finish_operations(ledger: Ledger, billing: Callable[[], Billing], call: Call, run: int) -> None:
    """Finish the operations that lines began before the batch was killed, or mark their lines as done.

    Running such a line again would charge a second time.
    """
    with ledger.reading() as reader:
        waiting = {line.n for line in batches.waiting(reader, run)}
        unfinished = [(n, one) for n, one in operations.of_batch(reader, run) if n in waiting]
    for n, operation in unfinished:
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


def _run_lines(ledger: Ledger, call: Call, run: int | None, lines: Sequence[Line], options: Batch) -> Report:
    try:
        return _try_lines(ledger, call, run, lines, options)
    except LedgerError as error:
        if run is not None and not call.dry_run:
            error.hint = (
                f"{error.hint + '; then ' if error.hint else ''}to continue: seatctl runs resume {run}"
            )
        raise
    except KeyboardInterrupt:
        resumable = None if call.dry_run else run
        hint = None if resumable is None else f"to continue: seatctl runs resume {resumable}"
        raise refuse(Code.INTERRUPTED, "interrupted", hint=hint, data={"run": resumable}) from None


def _try_lines(ledger: Ledger, call: Call, run: int | None, lines: Sequence[Line], options: Batch) -> Report:
    rows: list[dict[str, JsonValue]] = []
    failed = 0
    for line in lines:
        row = None if run is None else BatchRow(run, line.n)
        outcome = options.do(line, row)
        succeeded = outcome.exit_code is ExitCode.DONE
        failed += not succeeded
        rows.append(_row(line, outcome))
        if row is not None:
            _mark(ledger, row, outcome)
        options.progress(len(rows), len(lines), failed)
        if options.max_failures is not None and failed >= options.max_failures:
            break
    return _end(ledger, call, run, rows, len(lines) - len(rows))


def _mark(ledger: Ledger, row: BatchRow, outcome: LineOutcome) -> None:
    """Record the outcome. Done before the next line is run, so that a kill leaves no line in doubt."""
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
    succeeded = outcome.exit_code is ExitCode.DONE
    return {
        "line": line.n,
        "command": line.command,
        "result": "done" if succeeded else "failed",
        "code": outcome.code,
        "exit_code": int(outcome.exit_code),
        "error": None if succeeded else outcome.sentence,
        "summary": outcome.sentence if succeeded else None,
    }


def _end(
    ledger: Ledger, call: Call, run: int | None, rows: Sequence[dict[str, JsonValue]], not_tried: int
) -> Report:
    failed = sum(row["result"] == "failed" for row in rows)
    tally, undo = batches.Tally(not_tried, len(rows) - failed, failed), None
    if run is not None:
        with ledger.reading() as reader:
            tally = batches.tally(reader, run)
            undo = f"seatctl runs undo {run}" if audit.count_changes(reader, run) else None
    summary = _summary(None if call.dry_run else run, tally)
    if run is not None:
        with ledger.journal() as journal:
            batches.close(journal, run, RunState.FAILED if not_tried else RunState.DONE, summary, call)
    return Report(
        run=None if call.dry_run else run,
        dry_run=call.dry_run,
        summary=would_have(summary) if call.dry_run and tally.total else summary,
        rows=rows,
        exit_code=ExitCode.PARTIAL if failed or not_tried else ExitCode.DONE,
        undo=None if call.dry_run else undo,
        columns=COLUMNS,
        data={"done": tally.done, "failed": tally.failed, "not_tried": tally.waiting},
    )


def _summary(run: int | None, tally: batches.Tally) -> str:
    total = tally.total
    if not total:
        return "nothing to do: the batch has no lines"
    parts = [f"completed {tally.done:,} of {counted(total, 'line')}"]
    if tally.failed:
        parts.append(f"{tally.failed:,} failed" + (f" (seatctl runs failures {run})" if run else ""))
    if tally.waiting:
        parts.append(f"{tally.waiting:,} not tried" + (f" (seatctl runs resume {run})" if run else ""))
    return ", ".join(parts)
