"""What a kind of operation is: how it is done, how it ends, how one that came to nothing is cleaned up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from seatctl.errors import ExitCode
from seatctl.ledger.transaction import Transaction
from seatctl.models.report import Record
from seatctl.services.operations.steps import OperationRun


@dataclass(frozen=True, slots=True)
class OperationResult:
    """What the last transaction of an operation did, and what a repetition will be told."""

    summary: str
    rows: tuple[Record, ...]
    columns: tuple[str, ...] = ()
    exit_code: ExitCode = ExitCode.DONE
    charged: int | None = None
    """What the invoices that Stripe made of it ask for, in minor units; None where it makes none."""


Apply = Callable[[Transaction], OperationResult]


@dataclass(frozen=True, slots=True)
class OperationHandler:
    """One kind of operation: how it is done, and how one that came to nothing is cleaned up."""

    run: Callable[[OperationRun], Apply]
    undo: Callable[[OperationRun], str | None] | None = None
    """For what must not happen a day late: take back what reached Stripe of an operation that is too old
    to go on, and say what was done; None where it had gone too far, so that it is finished after all.
    Without it an operation is finished however old it is."""
    abandon: Callable[[OperationRun], str | None] | None = None
    """As `undo`, where `runs undo` can take back what is otherwise finished however old it is."""
