"""Finishes or undoes the operations that a kill, a lost answer or a waiting bank left open."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import Billing
from seatctl.errors import ExitCode, SeatctlError, StripeRefused
from seatctl.ledger import operations
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.operation import Operation
from seatctl.models.report import Record
from seatctl.services.operations.submit import is_open, perform, undo_if_too_old


@dataclass(frozen=True, slots=True)
class Recovered:
    """The outcome of recovering one operation; `bug` is an unexpected error."""

    row: Record
    bug: Exception | None = None
    warnings: tuple[str, ...] = ()


def recover(ledger: Ledger, billing: Billing, call: Call) -> list[Recovered]:
    """Finish or undo every open operation, oldest first.

    If one fails, even by a bug, the others are still recovered; its row has the error.
    """
    # Whoever performs an operation holds this lock, so no operation that is still running is recovered.
    with ledger.money_lock():
        with ledger.reading() as reader:
            unfinished = operations.unfinished(reader)
        return [_recover_one(ledger, billing, call, operation) for operation in unfinished]


def _recover_one(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> Recovered:
    row: Record = {"run": operation.run, "kind": operation.kind}
    try:
        undone = undo_if_too_old(ledger, billing, call, operation)
        if undone is not None:
            return Recovered({**row, "result": "undone", "summary": undone, "error": None})
        report = perform(ledger, billing, call._replace(dry_run=False), operation)
    except SeatctlError as error:
        result = "failed"
        if is_open(ledger, operation):
            result = "waiting" if error.exit_code is ExitCode.WAITING else "pending"
        summary = error.message
        if result == "pending" and isinstance(error, (StripeRefused, UnreadableObject)):
            summary += f"; to give it up: seatctl runs undo {operation.run}"
        return Recovered({**row, "result": result, "summary": summary, "error": error.code})
    except Exception as bug:  # noqa: BLE001  # the next operations may be purchases that somebody waits for
        summary = (
            f"unexpected {type(bug).__name__}; this is a bug; the log has more; the run stays unfinished"
        )
        return Recovered({**row, "result": "failed", "summary": summary, "error": "unexpected"}, bug)
    finished_row = {**row, "result": "finished", "summary": report.summary, "error": None}
    return Recovered(finished_row, warnings=report.warnings)
