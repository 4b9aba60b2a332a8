"""`runs undo` for runs that did more than change the ledger: abandons an open operation, or refuses.

A refusal names the command that reverses the run, if there is one. An operation that can neither be
undone nor finished is given up, and the message names what Stripe still has of it.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator

from seatctl.billing import endpoints
from seatctl.billing.answers import UnreadableList
from seatctl.billing.objects import UnreadableObject
from seatctl.billing.port import Billing, MissingInStripe, Read, StripeJson
from seatctl.errors import Code, JsonValue, Refused, SeatctlError, StripeRefused
from seatctl.ledger import operations, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import audit, batches
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.money import format_money
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report, change_report
from seatctl.models.role import Action
from seatctl.models.run import Run, RunState
from seatctl.models.subscription import Subscription
from seatctl.rules import hints, subscription_changes
from seatctl.rules.metadata import made_by
from seatctl.rules.run_changes import ChangedFact, reversal
from seatctl.services.operations import handlers
from seatctl.services.operations.steps import STILL_CARRIED_OUT, OperationRun, Payload, SubscriptionPayload
from seatctl.services.operations.submit import end_as_failed, perform
from seatctl.services.purchases.buy_operation import known_customer
from seatctl.services.subscriptions.snapshot import ChangeRequest, read_running
from seatctl.services.users.permissions import allow


class CannotUndo(Refused):
    """The run cannot be undone, or `sync` has to finish it first."""

    kind = Code.CANNOT_UNDO


def abandon(
    ledger: Ledger, billing: Callable[[], Billing], call: Call, run: Run, operation: Operation | None
) -> Report:
    """Abandon the open operation of a run. The caller holds the money lock.

    Raises RoleRequired, and CannotUndo, with the command that reverses the run if there is one.
    """
    try:
        with ledger.reading() as reader:
            if operation is None or operation.state in {OperationState.DONE, OperationState.FAILED}:
                return _not_open(reader, run, operation)
            action = handlers.handler_for(operation.kind).action  # as for beginning it
            allow(reader, call.actor, action, _subscription(reader, operation))
    except CannotUndo as error:
        _say_what_the_policy_allows(ledger, billing, call, error)
        raise
    _require_no_call_under_way(ledger, call, operation)
    row: dict[str, JsonValue] = {"run": run.number, "kind": operation.kind, "result": "abandoned"}
    if call.dry_run:
        return change_report(f"abandoned run {run.number}", (row,), dry_run=True)
    undone = _abandon(handlers.start(ledger, billing(), call, operation))
    return Report(run.number, False, f"abandoned run {run.number}: {undone}", (row,))


def _require_no_call_under_way(ledger: Ledger, call: Call, operation: Operation) -> None:
    """Raise CannotUndo while a call may be under way: what it does would not be seen and not undone."""
    if operation.state is not OperationState.PENDING:
        return
    with ledger.reading() as reader:
        sent = [step.sent_at for step in operations.steps(reader, operation.id) if step.answer is None]
    if sent and call.now - max(sent) < STILL_CARRIED_OUT:
        raise CannotUndo(
            f"run {operation.run} was interrupted; its last call may still be under way at Stripe",
            hint=hints.to("to finish or undo it", hints.command("sync")),
            data={"run": operation.run},
        )


def _abandon(running: OperationRun[Payload]) -> str:
    """Undo what reached Stripe, or give the operation up if it can be neither undone nor finished.

    Returns what was done, in words. Raises CannotUndo if it has gone through.
    """
    try:
        undone = handlers.undo(running, on_request=True)
        if undone is None:
            undone = _give_up(running, _finish(running))
    except (StripeRefused, Refused, UnreadableObject, UnreadableList) as error:
        if isinstance(error, CannotUndo):
            raise
        undone = _give_up(running, error)
    end_as_failed(running, f"abandoned by {running.call.actor}: {undone}")
    return undone


def _give_up(running: OperationRun[Payload], why: SeatctlError) -> str:
    remaining = remaining_in_stripe(running)
    rest = f"Stripe still has {', '.join(remaining)}" if remaining else "Stripe has nothing of it"
    return f"it cannot be finished ({why.message}); {rest}"


def _finish(running: OperationRun[Payload]) -> SeatctlError:
    """Try to finish an operation that has gone through at Stripe; return why it cannot be finished.

    Raises CannotUndo if it is finished or waits, and errors that pass.
    """
    operation = running.operation
    refusal = CannotUndo(
        f"run {operation.run} has gone through at Stripe in the meantime",
        hint=hints.to("to finish it", hints.command("sync")),
        data={"run": operation.run},
    )
    if operation.state is OperationState.WAITING:
        raise refusal
    try:
        perform(running.ledger, running.billing, running.call, operation)
    except (StripeRefused, Refused, UnreadableObject, UnreadableList) as error:
        return error
    refusal.message = f"run {operation.run} had gone through at Stripe and is finished now"
    refusal.hint = hints.to("for the command that reverses it", hints.command("runs", "undo", operation.run))
    raise refusal


def _not_open(reader: Reader, run: Run, operation: Operation | None) -> Report:
    if run.state is RunState.FAILED and not audit.count_changes(reader, run.number):
        summary = f"run {run.number} changed nothing; there is nothing to undo"
        return change_report(summary, dry_run=False, unchanged=True)
    if run.state is RunState.PENDING:
        raise CannotUndo(
            f"run {run.number} is in progress or was interrupted; there is nothing to abandon",
            hint=hints.to("to continue it", hints.command("runs", "resume", run.number))
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
    subscription = None if operation is None else _subscription(reader, operation)
    command = reversal(payload, None if subscription is None else subscription.name, changes)
    shows = hints.to("to see what it changed", hints.command("runs", "show", run.number))
    raise CannotUndo(
        f"run {run.number} is done and cannot be undone: {run.summary}",
        hint=command or shows,
        data={"run": run.number, "command": command},
    )


def _say_what_the_policy_allows(
    ledger: Ledger, billing: Callable[[], Billing], call: Call, error: CannotUndo
) -> None:
    """If the policy refuses the command that would reverse a run, say why and what is allowed instead."""
    argv = shlex.split(str(error.data.get("command") or ""))
    if argv[1:3] not in (["subs", "set-seats"], ["subs", "change-plan"]):
        return
    try:
        snapshot = read_running(ChangeRequest(ledger, billing(), call, argv[3], action=Action.ADD_SEATS))
        state = snapshot.state
        if argv[2] == "change-plan":
            subscription_changes.change_plan(
                state, "", argv[4], snapshot.stripe_time, at_renewal="--at-renewal" in argv
            )
        elif int(argv[4]) > state.now.seats:
            subscription_changes.increase(state, int(argv[4]) - state.now.seats, snapshot.stripe_time)
        else:
            subscription_changes.decrease(state, int(argv[4]), snapshot.stripe_time)
    except Refused as refused:
        error.message = f"{error.message}; nor can it be reversed now: {refused.message}"
        error.hint = refused.hint or error.hint
        error.data |= {"command": None, "support_contact": refused.data.get("support_contact")}
    except SeatctlError as unknown:  # Stripe cannot be asked now: running the command will tell
        error.add_note(unknown.message)


def _subscription(reader: Reader, operation: Operation) -> Subscription | None:
    subscription_id = operation.subscription_id
    return None if subscription_id is None else subscriptions.by_id(reader, subscription_id)


def _facts(reader: Reader, text: str | None) -> dict[str, JsonValue] | None:
    facts = None if text is None else json.loads(text)
    if not isinstance(facts, dict):
        return None
    owner = facts.get("owner_id")
    return {**facts, "owner": users.email_of(reader, owner)} if isinstance(owner, int) else facts


READ_BY_ID = frozenset(("customer", "product", "price", "invoice", "checkout.session"))
"""The types of objects that are found by the id in a step's answer. Add the type that a new step makes."""


def remaining_in_stripe(running: OperationRun[Payload]) -> list[str]:
    """Describe each object that this operation has made or changed and that Stripe still has.

    Objects are found by the answers of its steps and by its mark in their metadata. Objects that cannot be
    read are described too: they may be the reason why it could not be finished. Raises what the port raises.
    """
    objects = {str(raw["id"]): raw for raw in (*_answered(running), *_marked(running))}
    return [_described(raw) for raw in objects.values()]


def _answered(running: OperationRun[Payload]) -> Iterator[StripeJson]:
    with running.ledger.reading() as reader:
        steps = operations.steps(reader, running.operation.id)
    for step in steps:
        answer = running.answered(step.name)
        kind = None if answer is None else answer.get("object")
        if answer is not None and kind in READ_BY_ID:
            collection = f"{kind}s".replace(".", "/")
            yield from _if_exists(running, Read(endpoints.path_of(collection, str(answer["id"])), {}))


def _if_exists(running: OperationRun[Payload], read: Read) -> Iterator[StripeJson]:
    try:
        raw = running.billing.read(read)
    except MissingInStripe:
        return
    except UnreadableObject:
        # It cannot be read, but its path names it.
        kind, _, identifier = read.path.removeprefix("/v1/").rpartition("/")
        raw = {"object": kind.removesuffix("s").replace("/", "."), "id": identifier}
    if raw.get("deleted") is not True:
        yield raw


def _marked(running: OperationRun[Payload]) -> Iterator[StripeJson]:
    customer = known_customer(running)
    if customer is not None:
        for listing in (endpoints.subscriptions_of(customer), endpoints.invoices_of_customer(customer)):
            yield from (one for one in running.listed(listing) if made_by(one, running.reference))
    if isinstance(running.payload, SubscriptionPayload):
        yield from (
            one
            for one in _if_exists(running, endpoints.subscription(running.payload.stripe_id))
            if made_by(one, running.reference) or made_by(one, f"{running.reference}:next")
        )


def _described(raw: StripeJson) -> str:
    """An object in a few words: its type, id, status, and amount if it has one."""
    currency, total = raw.get("currency"), raw.get("total")
    details = [str(raw[name]) for name in ("status", "email") if isinstance(raw.get(name), str)]
    if isinstance(currency, str) and isinstance(total, int):
        details.append(format_money(total, currency))
    kind = str(raw.get("object")).replace("_", " ")
    return f"{kind} {raw['id']}" + (f" ({', '.join(details)})" if details else "")
