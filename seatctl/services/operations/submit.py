"""Proposes, begins, performs and ends operations: writes to Stripe that nothing can double (docs/billing.md).

A `Proposal` is checked and priced first; `cli/confirm.py` shows it and asks; then it is submitted once.

An operation is a function of its payload. `perform` runs it from the beginning every time; answered steps
are read from the ledger, so that a second run continues where the first one stopped. The ledger change, the
audit entry and the operation's end are one transaction. `handlers.py` finds what each kind of operation does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

from seatctl.billing.port import Billing, CardDeclined, RateLimited
from seatctl.errors import (
    Code,
    JsonValue,
    LedgerError,
    NotAllowed,
    SeatctlError,
    StripeRefused,
    TryAgain,
    refuse,
)
from seatctl.ledger import operations, subscriptions
from seatctl.ledger.failures import LedgerBusy, LedgerUnreachable
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.money import format_money
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Record, Report, change_report, unchanged_report
from seatctl.rules import hints
from seatctl.rules.purchases import difference
from seatctl.rules.typed_json import dump
from seatctl.services.operations import handlers
from seatctl.services.operations.handlers import Apply, OperationResult
from seatctl.services.operations.steps import (
    KEYS_LAST,
    NothingLeftInStripe,
    OperationRun,
    Payload,
    WaitingForCardholder,
)


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """A command's request for an operation. Another request repeats it if it asks for the same."""

    kind: str
    requested: dict[str, JsonValue]
    """What was asked for, in the command's words."""
    payload: Payload | None = None
    """None if the request can only finish or repeat an earlier operation."""
    subscription_id: int | None = None
    reserved_name: str | None = None
    request_id: str | None = None


Guard = Callable[[Reader], None]
"""Raises if another process has meanwhile done what forbids the change."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that may be made: checked, and priced by Stripe if it costs something."""

    request: OperationRequest | None
    """None if nothing changes and nothing has to be finished."""
    row: Record
    """What a dry run shows of the changed thing."""
    summary: str
    """What the change does, in the words of the run's report: `renewed design until 2027-01-01`."""
    question: str | None = None
    """What the user is asked first; None asks nothing."""
    notes: tuple[str, ...] = ()
    """What the user is told before the question, one sentence each."""
    warnings: tuple[str, ...] = ()
    """Told after the notes, and again with the report."""
    due: int = 0
    """What Stripe would charge or invoice now, in minor units of `currency`."""
    currency: str = ""
    limited: bool = True
    """A live charge without a terminal needs --max-spend; False for a change that charges nothing."""
    columns: tuple[str, ...] = ()
    """The columns of a dry run; those without a value are left out."""
    result: str = "done"
    """The `result` of the row, in a dry run as in the real run."""
    report_columns: tuple[str, ...] = ()
    """The columns of the real run's report; empty: those of its operation."""
    guard: Guard = lambda _: None
    undo: str | None = None
    """The command that takes the change back, if there is one."""
    unchanged: bool = False
    """There is nothing to do, and `summary` says so. A request only finishes or repeats an earlier one."""


def submit_proposal(ledger: Ledger, billing: Billing, call: Call, proposal: Proposal) -> Report:
    """Submit a proposal, or report what it would do in a dry run. Raises what the operation raises."""
    result = "unchanged" if proposal.unchanged else proposal.result
    row = {**proposal.row, "result": result}
    columns = tuple(name for name in proposal.columns if name in row)
    if proposal.unchanged and (call.dry_run or proposal.request is None):
        return unchanged_report(call, proposal.summary, (row,), columns)
    if call.dry_run:
        return change_report(proposal.summary, (row,), columns, dry_run=True, warnings=proposal.warnings)
    assert proposal.request is not None
    report = submit(ledger, billing, call, proposal.request, proposal.guard)
    return replace(report, undo=proposal.undo, columns=proposal.report_columns or report.columns)


def only_to_finish(ledger: Ledger, request: OperationRequest) -> OperationRequest | None:
    """Return the request if an interrupted operation must be finished before it, else None.

    For a request that would change nothing: submitting it finishes the earlier operation.
    """
    with ledger.reading() as reader:
        return request if earlier_operations(reader, request) else None


def charge_note(due: int, currency: str, *, on_account: bool = False, days: int | None = None) -> str:
    """Tell the user what is charged now, in minor units; on account, within how many days it is due."""
    if not due:
        return "Nothing is charged now."
    amount = format_money(due, currency)
    if not on_account:
        return f"Stripe will charge {amount} now."
    terms = "to be paid on account" if days is None else f"due in {days} days"
    return f"Stripe will invoice {amount}, {terms}."


def submit(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    request: OperationRequest,
    still_allowed: Guard,
) -> Report:
    """Begin an operation and perform it. A repeated request finishes the earlier one or returns its report.

    `still_allowed` raises if another process has changed something since the request was checked. Raises
    `operation_pending` if another operation had to be finished first, `request_id_reused`, and what the
    operation raises.
    """
    # Held until the operation has ended, so that a recovery in another process does not run it, too.
    with ledger.money_lock():
        with ledger.reading() as reader:
            in_the_way = earlier_operations(reader, request)
        for earlier in in_the_way:
            if is_same(earlier, request):
                return _repeat(ledger, billing, call, earlier)
            if earlier.request_id is not None and earlier.request_id == request.request_id:
                raise refuse(
                    Code.REQUEST_ID_REUSED,
                    f"request id {request.request_id!r} was used by run {earlier.run} for something else",
                    hint=hints.command("runs", "show", earlier.run),
                    data={"request_id": request.request_id, "run": earlier.run},
                )
            raise _finish_other(ledger, billing, call, earlier)
        with ledger.reading() as reader:
            # Under the lock: of two equal purchases at once, the second must see what the first one bought.
            still_allowed(reader)
        assert request.payload is not None
        with ledger.journal() as journal:
            operation = operations.begin(
                journal,
                call,
                request.kind,
                {**dump(request.payload), "asked": request.requested},
                subscription_id=request.subscription_id,
                reserved_name=request.reserved_name,
                request_id=request.request_id,
            )
        return perform(ledger, billing, call, operation, fresh=True)


def earlier_operations(reader: Reader, request: OperationRequest) -> list[Operation]:
    """Return the operations that have the request's id, or hold its name or subscription while unfinished."""
    earlier = (
        operations.of_request(reader, request.request_id) if request.request_id else None,
        operations.of_name(reader, request.reserved_name) if request.reserved_name else None,
        operations.of_subscription(reader, request.subscription_id) if request.subscription_id else None,
    )
    return [operation for operation in earlier if operation is not None]


def _finish_other(ledger: Ledger, billing: Billing, call: Call, other: Operation) -> SeatctlError:
    """Finish an operation that blocks another request; return the error for that request."""
    data: dict[str, JsonValue] = {"run": other.run}
    hint = hints.then(hints.command("runs", "show", other.run), hints.AGAIN)
    try:
        # Nobody waits for it any more, so it must not be charged a day late.
        undone = undo_if_too_old(ledger, billing, call, other)
        if undone is None:
            report = perform(ledger, billing, call, other)
        outcome = f"was unfinished and is undone now: {undone}"
        if undone is None:
            outcome = "; ".join(("was unfinished and is finished now", *report.warnings))
    except WaitingForCardholder as waiting:
        if "url" not in waiting.data:  # a bank that takes days: it can be neither sped up nor abandoned
            waiting.data["run"] = other.run
            # A payment that has just begun has the same code: the words must say that this request has not.
            waiting.message = f"run {other.run} waits: {waiting.message}; nothing else was done"
            raise
        outcome = f"waits for the cardholder: {waiting.data.get('url')}"
        data["url"] = waiting.data.get("url")
        hint = f"{waiting.hint}; or abandon it: {hints.command('runs', 'undo', other.run)}"
    except SeatctlError as error:
        if is_open(ledger, other):
            raise
        outcome = f"was unfinished and has failed ({error.message})"
    return refuse(
        Code.OPERATION_PENDING, f"run {other.run} {outcome}; nothing else was done", hint=hint, data=data
    )


def is_same(operation: Operation, request: OperationRequest) -> bool:
    """Whether a request repeats the request of an operation, for the same subscription."""
    return (
        operation.kind == request.kind
        and operation.payload.get("asked") == request.requested
        # An equal request for another subscription is another request, even with the same request id.
        and operation.subscription_id == request.subscription_id
    )


def is_open(ledger: Ledger, operation: Operation) -> bool:
    """Whether an operation must still be finished or undone."""
    with ledger.reading() as reader:
        return operations.by_id(reader, operation.id).state in {
            OperationState.PENDING,
            OperationState.WAITING,
        }


def _repeat(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> Report:
    if operation.state is not OperationState.DONE:
        return perform(ledger, billing, call, operation)
    return _report_again(operation)


def _report_again(operation: Operation) -> Report:
    """Return the report of an operation that is done."""
    outcome = operation.outcome or {}
    rows, warnings = outcome.get("rows"), outcome.get("warnings")
    return Report(
        run=operation.run,
        dry_run=False,
        summary=f"already done: {outcome.get('summary', '')}",
        rows=tuple(row for row in rows if isinstance(row, dict)) if isinstance(rows, list) else (),
        warnings=tuple(map(str, warnings)) if isinstance(warnings, list) else (),
    )


def perform(
    ledger: Ledger, billing: Billing, call: Call, operation: Operation, *, fresh: bool = False
) -> Report:
    """Perform an operation to its end, wherever it was interrupted. The caller holds the money lock.

    It ends as failed only if its handler raises NothingLeftInStripe, and waits if the bank wants an
    authentication. After any other error it stays pending, for `sync` to finish or undo. But it is given up
    if Stripe asks to slow down before any money has moved. `fresh`: it has just begun.
    """
    running = replace(handlers.start(ledger, billing, call, operation), fresh=fresh)
    with _hint_at_open_operation(operation):
        with _ends_failed_operations(running):
            apply = handlers.perform(running)
        return _apply(running, apply)


@contextmanager
def _hint_at_open_operation(operation: Operation) -> Iterator[None]:
    """After an error of the ledger, say that `sync` must finish the operation: the card may be charged."""
    try:
        yield
    except (LedgerError, LedgerBusy, LedgerUnreachable) as error:
        cause = error.message.removesuffix("; nothing was changed").removesuffix("; the rest was not done")
        error.message = f"{cause}; run {operation.run} stays unfinished, and Stripe may have done its part"
        error.hint = _then_sync(operation, error.hint if isinstance(error, LedgerError) else None)
        error.data.setdefault("run", operation.run)
        raise


def _then_sync(operation: Operation, first: str | None) -> str:
    """The hint that a sync finishes or undoes it, after the hint of the error itself."""
    sync = hints.to(f"to finish or undo run {operation.run}", hints.command("sync"))
    # The same command would be refused while the run is open.
    first = None if first is None else first.removesuffix(f", then {hints.AGAIN}")
    return sync if not first else f"{first}; {sync}"


@contextmanager
def _ends_failed_operations(running: OperationRun[Payload]) -> Iterator[None]:
    operation = running.operation
    try:
        yield
    except WaitingForCardholder as waiting:
        waiting.data.setdefault("run", operation.run)
        with running.ledger.journal() as journal:
            operations.set_waiting(journal, operation, waiting.as_json())
        raise
    except (TryAgain, StripeRefused, NotAllowed) as error:
        error.data.setdefault("run", operation.run)
        if isinstance(error, RateLimited) and _is_given_up(running, error):
            raise
        # It may have charged already, so `sync` must finish or undo it.
        error.hint = _then_sync(operation, None if isinstance(error, TryAgain) else error.hint)
        raise
    except NothingLeftInStripe as failure:
        end_as_failed(running, failure.error.message)
        _hint_at_another_card(running, failure.error)
        failure.error.data.setdefault("run", operation.run)
        raise failure.error from failure


def _is_given_up(running: OperationRun[Payload], error: RateLimited) -> bool:
    """End an operation that Stripe did not accept, so that it does not block others; whether that was done.

    It is not if money has moved, or if a call has no answer.
    """
    if not running.is_settled():
        return False
    with running.ledger.reading() as reader:
        was_sent = bool(operations.steps(reader, running.operation.id))
    try:
        done = handlers.undo(running) if was_sent else "nothing had reached Stripe"
    except SeatctlError:
        return False  # Stripe still asks to slow down: `sync` undoes it
    if done is None:
        return False
    end_as_failed(running, f"{error.message}; {done}")
    return True


def _hint_at_another_card(running: OperationRun[Payload], error: SeatctlError) -> None:
    """Say how to change the card: a running subscription is charged to the card that it has."""
    subscription = running.operation.subscription_id
    if isinstance(error, CardDeclined) and subscription is not None and running.operation.kind != "billing":
        with running.ledger.reading() as reader:
            name = subscriptions.by_id(reader, subscription).name
        card = ("--payment-method", hints.Blank.PAYMENT_METHOD)
        error.hint = hints.to("another card", hints.command("subs", "billing", name, *card))


def undo_if_too_old(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> str | None:
    """Undo an operation that is too old to charge for, and return what was undone; None if it is not.

    The caller holds the money lock.
    """
    if call.now - operation.created_at <= KEYS_LAST:
        return None
    running = handlers.start(ledger, billing, call, operation)
    with _ends_failed_operations(running):  # it may have to wait for a bank, however old it is
        done = handlers.undo(running)
    if done is not None:
        end_as_failed(running, f"undone: {done}")
    return done


def end_as_failed(running: OperationRun[Payload], why: str) -> None:
    """Close an operation as failed; its run says why."""
    with running.ledger.journal() as journal:
        operations.close(
            journal, running.operation, OperationState.FAILED, {"summary": why}, running.call.now
        )


def _apply(running: OperationRun[Payload], apply: Apply) -> Report:
    operation = running.operation
    call = running.call._replace(run=operation.run, dry_run=False)
    with running.ledger.change(call) as tx:
        # A process that was suspended has lost its lease on a server, and another one has taken its place:
        # what that one has done must not be done again, nor undone by older facts.
        found = operations.by_id(tx, operation.id)
        if not found.state.is_open:
            return _ended_by_another(found)
        result, warnings = _with_warnings(running.payload, apply(tx))
        tx.summarise(result.summary)
        rows: list[JsonValue] = [dict(row) for row in result.rows]
        operations.close(
            tx,
            operation,
            OperationState.DONE,
            {"summary": result.summary, "rows": rows, "warnings": [*warnings]},
            call.now,
        )
        # Always recorded, so that the end of an operation is committed even if it changed no other fact.
        done = {**operations.facts(tx, operation), "state": "done"}
        tx.record("operation", operation.id, {"state": "pending"}, done)
    return Report(
        run=operation.run,
        dry_run=False,
        summary=result.summary,
        rows=result.rows,
        exit_code=result.exit_code,
        columns=result.columns,
        warnings=warnings,
    )


def _ended_by_another(operation: Operation) -> Report:
    """Return the report of an operation that another process has ended. Raises `busy` if it has failed."""
    if operation.state is OperationState.DONE:
        return _report_again(operation)
    raise refuse(
        Code.BUSY,
        f"another command has ended run {operation.run} meanwhile",
        hint=hints.command("runs", "show", operation.run),
        data={"run": operation.run},
    )


def _with_warnings(payload: Payload, result: OperationResult) -> tuple[OperationResult, tuple[str, ...]]:
    """Add the warnings to a result: above all that Stripe asked for another amount than was shown."""
    shown = payload.shown
    differs = None if shown is None or result.charged is None else difference(shown, result.charged)
    rows = result.rows if differs is None else tuple({**row, **differs.fields} for row in result.rows)
    sentences = (*payload.warnings, *(() if differs is None else (differs.sentence,)))
    reverse = "" if shown is None else f"; to reverse it: {shown.reverse}"
    return (
        replace(result, summary="; ".join((result.summary, *sentences)), rows=rows),
        tuple(f"{sentence}{reverse}" for sentence in sentences),
    )
