"""`runs undo`: undoes a run that changed only the ledger; `abandon.py` handles all other runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from seatctl.ledger import operations
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import audit, runs
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.models.run import RunState
from seatctl.services.runs.undo_changes import NotOnlyLedger, undo_changes

if TYPE_CHECKING:
    from seatctl.billing.port import Billing


def undo_run(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int) -> Report:
    """Undo what a run changed of people, seats, requests and roles, or abandon its open operation.

    Raises `unknown_run`, RoleRequired, what `undo_changes` raises, and CannotUndo with the command that
    reverses the run if there is one.
    """
    # Held to the end, so that a `sync` in another process does not finish an operation being abandoned.
    with ledger.money_lock():
        with ledger.reading() as reader:
            run, operation = runs.find(reader, number), operations.of_run(reader, number)
            changed = audit.count_changes(reader, number)
            half_done = run.state is RunState.PENDING or (run.state is RunState.FAILED and not changed)
        if operation is None and not half_done:
            with suppress(NotOnlyLedger):
                return undo_changes(ledger, call, run)
        # Imported late: it loads everything about Stripe, which takes as long as the rest of an undo.
        from seatctl.services.runs.abandon import abandon

        return abandon(ledger, billing, call, run, operation)
