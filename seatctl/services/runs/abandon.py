"""`runs undo` of what is more than changes of the ledger: abandoning an operation that has not ended, and
saying what reverses any other run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from datetime import timedelta

from seatctl.billing.complete_lists import UnreadableList
from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, Refused, SeatctlError, StripeRefused
from seatctl.ledger import operations, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import audit, batches
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.run import Run, RunState
from seatctl.rules import hints, subscription_changes
from seatctl.rules.undo_command import ChangedFact, reversal
from seatctl.services.operations import handlers
from seatctl.services.operations.steps import OperationRun
from seatctl.services.operations.submit import end_as_failed, perform
from seatctl.services.runs.remaining_objects import left_in_stripe
from seatctl.services.subscriptions.snapshot import read_running
from seatctl.services.users.permissions import allow

_UNDER_WAY = timedelta(minutes=2)
"""For so long a call whose answer never came may still be carried out: longer than any time-out."""

_ACTIONS = {
    "buy": Action.BUY,
    "checkout": Action.BUY,
    "plan_add": Action.MANAGE_PLANS,
    "plan_edit": Action.MANAGE_PLANS,
    "adopt": Action.MANAGE_LEDGER,
    "change": Action.ADD_SEATS,
    "addon": Action.ADD_SEATS,
    "renew": Action.ADD_SEATS,
}


class CannotUndo(Refused):
    """What the run did cannot be taken back, or is for `sync` to finish."""

    kind = Code.CANNOT_UNDO


def abandon(
    ledger: Ledger, billing: Callable[[], Billing], call: Call, run: Run, operation: Operation | None
) -> Report:
    """Abandon the operation of a run under the money lock, or say why there is none that could be.

    Raises RoleRequired, and CannotUndo with the command that reverses the run where there is one.
    """
    try:
        with ledger.reading() as reader:
            if operation is None or operation.state in {OperationState.DONE, OperationState.FAILED}:
                return _not_open(reader, run, operation)
            _allow(reader, call, operation)
    except CannotUndo as error:
        _name_what_is_accepted(ledger, billing, call, error)
        raise
    _require_quiet(ledger, call, operation)
    row: dict[str, JsonValue] = {"run": run.number, "kind": operation.kind}
    if call.dry_run:
        shown = {**row, "result": "would be abandoned"}
        return Report(None, True, f"would abandon run {run.number}", (shown,))
    done = _abandon(OperationRun(ledger, billing(), call, operation))
    return Report(run.number, False, f"abandoned run {run.number}: {done}", ({**row, "result": "abandoned"},))


def _require_quiet(ledger: Ledger, call: Call, operation: Operation) -> None:
    """Raise CannotUndo while a call may be under way: what it does would not be seen, and not taken back."""
    if operation.state is not OperationState.PENDING:
        return
    with ledger.reading() as reader:
        sent = [step.sent_at for step in operations.steps(reader, operation.id) if step.answer is None]
    if sent and call.now - max(sent) < _UNDER_WAY:
        raise CannotUndo(
            f"run {operation.run} was interrupted; its last call may still be under way at Stripe",
            hint=hints.to("to finish or undo it", hints.command("sync")),
            data={"run": operation.run},
        )


def _abandon(running: OperationRun) -> str:
    """Take back what reached Stripe, or give it up if it cannot be finished either; what was done.

    Raises CannotUndo if it has gone through.
    """
    try:
        done = handlers.undo(running, asked=True)
        if done is None:
            done = _given_up(running, _finish(running))
    except (StripeRefused, Refused, UnreadableObject, UnreadableList) as error:
        if isinstance(error, CannotUndo):
            raise
        done = _given_up(running, error)
    end_as_failed(running, f"abandoned by {running.call.actor}: {done}")
    return done


def _given_up(running: OperationRun, why: SeatctlError) -> str:
    held = left_in_stripe(running)
    told = f"Stripe holds of it: {'; '.join(held)}" if held else "Stripe holds nothing of it"
    return f"it cannot be finished ({why.message}); {told}"


def _finish(running: OperationRun) -> SeatctlError:
    """Why an operation cannot be finished that has gone through at Stripe, as far as that goes.

    Raises CannotUndo if it can, and what only passes.
    """
    operation = running.operation
    went = CannotUndo(
        f"run {operation.run} has gone through at Stripe in the meantime",
        hint=hints.to("to take it over", hints.command("sync")),
        data={"run": operation.run},
    )
    if operation.state is OperationState.WAITING:
        raise went
    try:
        perform(running.ledger, running.billing, running.call, operation)
    except (StripeRefused, Refused, UnreadableObject, UnreadableList) as error:
        return error
    went.message = f"run {operation.run} had gone through at Stripe, and is finished"
    went.hint = hints.to("for the command that reverses it", hints.command("runs", "undo", operation.run))
    raise went


def _not_open(reader: Reader, run: Run, operation: Operation | None) -> Report:
    if run.state is RunState.FAILED and not audit.count_changes(reader, run.number):
        return Report(None, False, f"run {run.number} came to nothing; there is nothing to undo")
    if run.state is RunState.PENDING:
        raise CannotUndo(
            f"run {run.number} is being done, or was interrupted; it waits for nobody",
            hint=hints.to("to go on with it", hints.command("runs", "resume", run.number))
            if batches.tally(reader, run.number).total
            else hints.to("to finish or undo it", hints.command("sync")),
            data={"run": run.number},
        )
    changes = [
        ChangedFact(change.entity, subject, _facts(reader, change.before), _facts(reader, change.after))
        for subject, change in audit.changes_of_run(reader, run.number)
        if change.entity != "operation"
    ]
    payload = None if operation is None else operation.payload
    command = reversal(payload, _name_of(reader, operation), changes)
    shows = hints.to("to see what it changed", hints.command("runs", "show", run.number))
    raise CannotUndo(
        f"run {run.number} is done and cannot be undone: {run.summary}",
        hint=command or shows,
        data={"run": run.number, "command": command},
    )


def _name_what_is_accepted(
    ledger: Ledger, billing: Callable[[], Billing], call: Call, error: CannotUndo
) -> None:
    """Where the policy refuses the command that would reverse a run, say why and what is allowed instead."""
    words = shlex.split(str(error.data.get("command") or ""))
    if words[1:3] not in (["subs", "set-seats"], ["subs", "change-plan"]):
        return
    try:
        found = read_running(ledger, billing(), call, words[3], Action.ADD_SEATS)
        state = found.state
        if words[2] == "change-plan":
            subscription_changes.change_plan(
                state, "", words[4], found.stripe_time, at_renewal="--at-renewal" in words
            )
        elif int(words[4]) > state.now.seats:
            subscription_changes.increase(state, int(words[4]) - state.now.seats, found.stripe_time)
        else:
            subscription_changes.decrease(state, int(words[4]), found.stripe_time)
    except Refused as refused:
        error.message = f"{error.message}; nor can it be reversed now: {refused.message}"
        error.hint = refused.hint or error.hint
        error.data |= {"command": None, "support_contact": refused.data.get("support_contact")}
    except SeatctlError as unknown:  # Stripe cannot be asked: then the command itself tells
        error.add_note(unknown.message)


def _name_of(reader: Reader, operation: Operation | None) -> str | None:
    if operation is None or operation.subscription_id is None:
        return None
    return subscriptions.by_id(reader, operation.subscription_id).name


def _allow(reader: Reader, call: Call, operation: Operation) -> None:
    """Who may do a thing may also give up doing it."""
    subscription = operation.subscription_id
    action = _ACTIONS.get(operation.kind, Action.MANAGE_SUBSCRIPTION)
    allow(
        reader,
        call.actor,
        action,
        None if subscription is None else subscriptions.by_id(reader, subscription),
    )


def _facts(reader: Reader, text: str | None) -> dict[str, JsonValue] | None:
    found = None if text is None else json.loads(text)
    if not isinstance(found, dict):
        return None
    owner = found.get("owner_id")
    return {**found, "owner": users.email_of(reader, owner)} if isinstance(owner, int) else found
