"""`runs undo`: taking back what only the ledger holds; services/runs/abandon.py does what has not ended."""

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
from seatctl.services.runs.undo_changes import NoInverse, take_back

if TYPE_CHECKING:
    from seatctl.billing.port import Billing


def undo_run(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int) -> Report:
    """Take back what a run did to people, seats and requests, or abandon one that has not ended.

    Raises `unknown_run`, RoleRequired, what `take_back` raises, and CannotUndo with the command that
    reverses it where there is one.
    """
    # Held to the end: a `sync` in another process must not finish what is being abandoned.
    with ledger.money_lock():
        with ledger.reading() as reader:
            run, operation = runs.find(reader, number), operations.of_run(reader, number)
            changed = audit.count_changes(reader, number)
            half_done = run.state is RunState.PENDING or (run.state is RunState.FAILED and not changed)
        if operation is None and not half_done:
            with suppress(NoInverse):
                return take_back(ledger, call, run)
        # In here: it loads all that knows Stripe, which costs as much as the rest of an undo.
        from seatctl.services.runs.abandon import abandon

        return abandon(ledger, billing, call, run, operation)
