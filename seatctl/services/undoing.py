"""`runs undo`: abandoning an operation that waits, taking back what only the ledger holds, and saying what
reverses any other run."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

from seatctl.billing.port import Billing
from seatctl.errors import JsonValue, Refused
from seatctl.ledger import audit, batches, operations, runs, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.run import Run, RunState
from seatctl.rules.reversal import Changed, reversal
from seatctl.services import handlers
from seatctl.services.operations import end_as_failed
from seatctl.services.permissions import allow
from seatctl.services.steps import Running
from seatctl.services.undoing_changes import NoInverse, take_back


class CannotUndo(Refused):
    """The run waits for nobody, so that nothing of it can be abandoned."""

    code = "cannot_undo"


def undo_run(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int) -> Report:
    """Take back what a run did to people, seats and requests, or abandon one that waits for a bank.

    Raises UnknownRun, RoleRequired, what `take_back` raises, and CannotUndo with the command that
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
        with ledger.reading() as reader:
            if operation is None or operation.state is not OperationState.WAITING:
                return _not_waiting(reader, run, operation)
            _allow(reader, call, operation)
        row: dict[str, JsonValue] = {"run": number, "kind": operation.kind}
        if call.dry_run:
            shown = {**row, "result": "would be abandoned"}
            return Report(None, True, f"would abandon run {number}", (shown,))
        done = _abandon(Running(ledger, billing(), call, operation))
    return Report(number, False, f"abandoned run {number}: {done}", ({**row, "result": "abandoned"},))


def _abandon(running: Running) -> str:
    """Take back what reached Stripe; what was done. Raises CannotUndo where it was paid meanwhile."""
    done = handlers.undo(running)
    if done is None:
        raise CannotUndo(
            f"run {running.operation.run} has gone through at Stripe in the meantime",
            hint="seatctl sync takes it over",
            data={"run": running.operation.run},
        )
    end_as_failed(running, f"abandoned by {running.call.actor}: {done}")
    return done


def _not_waiting(reader: Reader, run: Run, operation: Operation | None) -> Report:
    if run.state is RunState.FAILED and not audit.count_changes(reader, run.number):
        return Report(None, False, f"run {run.number} came to nothing; there is nothing to undo")
    if run.state is RunState.PENDING:
        raise CannotUndo(
            f"run {run.number} is being done, or was interrupted; it waits for nobody",
            hint=f"seatctl runs resume {run.number} goes on with it"
            if batches.tally(reader, run.number).total
            else "seatctl sync finishes or undoes it",
            data={"run": run.number},
        )
    changes = [
        Changed(change.entity, subject, _facts(reader, change.before), _facts(reader, change.after))
        for subject, change in audit.changes_of_run(reader, run.number)
        if change.entity != "operation"
    ]
    payload = None if operation is None else operation.payload
    command = reversal(payload, _name_of(reader, operation), changes)
    raise CannotUndo(
        f"run {run.number} is done and cannot be undone: {run.summary}",
        hint=command or f"seatctl runs show {run.number} shows what it changed",
        data={"run": run.number, "command": command},
    )


def _name_of(reader: Reader, operation: Operation | None) -> str | None:
    if operation is None or operation.subscription_id is None:
        return None
    return subscriptions.by_id(reader, operation.subscription_id).name


def _allow(reader: Reader, call: Call, operation: Operation) -> None:
    """Who may buy, or add seats there, may also give up doing so."""
    if operation.subscription_id is None:
        allow(reader, call.actor, Action.BUY)
    else:
        allow(reader, call.actor, Action.ADD_SEATS, subscriptions.by_id(reader, operation.subscription_id))


def _facts(reader: Reader, text: str | None) -> dict[str, JsonValue] | None:
    found = None if text is None else json.loads(text)
    if not isinstance(found, dict):
        return None
    owner = found.get("owner_id")
    return {**found, "owner": users.email_of(reader, owner)} if isinstance(owner, int) else found
