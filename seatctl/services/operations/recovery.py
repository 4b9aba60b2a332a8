"""Finishing or undoing what a kill, a lost answer or a waiting bank left open."""

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
    """What became of one operation; `bug` is the error that this program did not mean to raise."""

    row: Record
    bug: Exception | None = None
    warnings: tuple[str, ...] = ()


def recover(ledger: Ledger, billing: Billing, call: Call) -> list[Recovered]:
    """Finish or undo every open operation, oldest first; one row each says what became of it.

    One that fails does not keep the others from being recovered, not even by a bug; its row has the error.
    """
    # Whoever runs an operation holds this lock, so nothing that is still running is replayed here.
    with ledger.money_lock():
        with ledger.reading() as reader:
            left = operations.unfinished(reader)
        return [_recover_one(ledger, billing, call, operation) for operation in left]


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
        told = error.message
        if result == "pending" and isinstance(error, (StripeRefused, UnreadableObject)):
            told += f"; to give it up: seatctl runs undo {operation.run}"
        return Recovered({**row, "result": result, "summary": told, "error": error.code})
    except Exception as bug:  # noqa: BLE001  # those behind it may be purchases that somebody waits for
        told = f"unexpected {type(bug).__name__}; this is a bug; the log has more; the run stays unfinished"
        return Recovered({**row, "result": "failed", "summary": told, "error": "unexpected"}, bug)
    done = {**row, "result": "finished", "summary": report.summary, "error": None}
    return Recovered(done, warnings=report.warnings)
