"""Operations: writes to Stripe that a kill, a lost answer or a second run cannot double (billing.md).

An operation is a function of its payload. `perform` runs it from the beginning every time; steps that
were answered before are read from the ledger, so that a second run goes on where the first one stopped.
The ledger change, the audit entry and the operation's end are one transaction. What each kind of
operation does is in `handlers.py` and the modules it names.
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
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.operation import Operation, OperationState
from seatctl.models.report import Report
from seatctl.rules import hints
from seatctl.rules.charge_comparison import difference, read_shown
from seatctl.services.operations.kinds import Apply, OperationResult
from seatctl.services.operations.steps import KEYS_LAST, NothingLeftInStripe, OperationRun


class WaitingForCardholder(SeatctlError):
    """The bank wants the cardholder to authenticate on Stripe's page; nothing is charged until then."""

    kind = Code.WAITING_FOR_CARDHOLDER


@dataclass(frozen=True, slots=True)
class OperationRequest:
    """What a command asks for. `asked` decides whether a repetition asks for the same."""

    kind: str
    asked: dict[str, JsonValue]
    details: dict[str, JsonValue]
    subscription_id: int | None = None
    reserved_name: str | None = None
    request_id: str | None = None


def submit(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    request: OperationRequest,
    still_allowed: Callable[[Reader], None],
) -> Report:
    """Begin an operation and perform it; a repetition of the same request finishes or repeats the answer.

    `still_allowed` raises where another process has, since the request was checked, done what forbids it.
    Raises `operation_pending` where another one had to be finished first, `request_id_reused`, and what the
    operation raises.
    """
    # Held until the operation has ended: a recovery in another process must not replay one that runs.
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
            raise _look_after(ledger, billing, call, earlier)
        with ledger.reading() as reader:
            # Under the lock: of two equal purchases at once, the second must see what the first has bought.
            still_allowed(reader)
        with ledger.journal() as journal:
            operation = operations.begin(
                journal,
                call,
                request.kind,
                {"asked": request.asked, **request.details},
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


def _look_after(ledger: Ledger, billing: Billing, call: Call, other: Operation) -> SeatctlError:
    """Finish an operation that stands in the way; what to tell who wanted something else."""
    data: dict[str, JsonValue] = {"run": other.run}
    hint = hints.then(hints.command("runs", "show", other.run), hints.AGAIN)
    try:
        # Nobody waits for it any more: who wants something else now must not charge it a day late.
        undone = undo_if_too_old(ledger, billing, call, other)
        if undone is None:
            report = perform(ledger, billing, call, other)
        became = f"is taken back: {undone}"
        if undone is None:
            became = "; ".join(("was unfinished and is finished now", *report.warnings))
    except WaitingForCardholder as waiting:
        if "url" not in waiting.data:  # a bank that takes days: nobody can hurry it, or give it up
            waiting.data["run"] = other.run
            raise
        became = f"waits for its cardholder: {waiting.data.get('url')}"
        data["url"] = waiting.data.get("url")
        hint = f"{waiting.hint}; or abandon it: {hints.command('runs', 'undo', other.run)}"
    except SeatctlError as error:
        if is_open(ledger, other):
            raise
        became = f"was unfinished and came to nothing ({error.message})"
    return refuse(
        Code.OPERATION_PENDING, f"run {other.run} {became}; nothing else was done", hint=hint, data=data
    )


def is_same(operation: Operation, request: OperationRequest) -> bool:
    """Whether a request repeats what an operation was begun for, of the same subscription."""
    return (
        operation.kind == request.kind
        and operation.payload.get("asked") == request.asked
        # The same words for another subscription are another request, whatever its request id says.
        and operation.subscription_id == request.subscription_id
    )


def is_open(ledger: Ledger, operation: Operation) -> bool:
    """Whether an operation still has to be finished or undone."""
    with ledger.reading() as reader:
        return operations.by_id(reader, operation.id).state in {
            OperationState.PENDING,
            OperationState.WAITING,
        }


def _repeat(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> Report:
    if operation.state is not OperationState.DONE:
        return perform(ledger, billing, call, operation)
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
    """Do an operation, from wherever it stands, to its end. The caller holds the money lock.

    Only a handler that has left nothing behind ends it as failed, with CameToNothing; an authentication
    that is wanted leaves it waiting; after anything else it stays pending, for `sync` to finish or undo.
    One that is `fresh` is given up if Stripe asks to slow down before any money has moved.
    """
    from seatctl.services.operations import handlers

    running = OperationRun(ledger, billing, call, operation)
    with _says_that_it_stays_open(operation):
        with _ends_failed_operations(running, fresh=fresh):
            apply = handlers.run(running)
        return _apply(running, apply)


@contextmanager
def _says_that_it_stays_open(operation: Operation) -> Iterator[None]:
    """A ledger that fails on the way leaves the operation to `sync`, and the card may be charged already."""
    try:
        yield
    except LedgerError as error:
        cause = error.message.removesuffix("; nothing was changed")
        error.message = f"{cause}; run {operation.run} stays unfinished, and Stripe may have done its part"
        error.hint = _then_sync(operation, error.hint)
        error.data.setdefault("run", operation.run)
        raise


def _then_sync(operation: Operation, first: str | None) -> str:
    """That a sync finishes or undoes it, after what the error itself asks for."""
    sync = hints.to(f"to finish or undo run {operation.run}", hints.command("sync"))
    # The same command would be refused while the run is open.
    first = None if first is None else first.removesuffix(f", then {hints.AGAIN}")
    return sync if not first else f"{first}; {sync}"


@contextmanager
def _ends_failed_operations(running: OperationRun, *, fresh: bool) -> Iterator[None]:
    operation = running.operation
    try:
        yield
    except WaitingForCardholder as waiting:
        with running.ledger.journal() as journal:
            operations.set_waiting(journal, operation, waiting.as_json())
        raise
    except (TryAgain, StripeRefused, NotAllowed) as error:
        error.data.setdefault("run", operation.run)
        if fresh and isinstance(error, RateLimited) and _is_given_up(running, error):
            raise
        # It may have charged already: what is left of it is to be finished or taken back.
        error.hint = _then_sync(operation, None if isinstance(error, TryAgain) else error.hint)
        raise
    except NothingLeftInStripe as nothing:
        end_as_failed(running, nothing.error.message)
        _name_the_way_to_pay(running, nothing.error)
        nothing.error.data.setdefault("run", operation.run)
        raise nothing.error from nothing


def _is_given_up(running: OperationRun, error: RateLimited) -> bool:
    """Whether an operation is over that Stripe would not look at: left open, it would block others.

    Not if money has moved, nor while it is unknown what became of a call.
    """
    from seatctl.services.operations import handlers

    if not running.is_settled():
        return False
    with running.ledger.reading() as reader:
        was_sent = bool(operations.steps(reader, running.operation.id))
    try:
        done = handlers.undo(running) if was_sent else "nothing had reached Stripe"
    except SeatctlError:
        return False  # Stripe goes on refusing to look: `sync` takes it back
    if done is None:
        return False
    end_as_failed(running, f"{error.message}; {done}")
    return True


def _name_the_way_to_pay(running: OperationRun, error: SeatctlError) -> None:
    """A running subscription is charged to the card it has: another one is not given with the change."""
    subscription = running.operation.subscription_id
    if isinstance(error, CardDeclined) and subscription is not None and running.operation.kind != "billing":
        with running.ledger.reading() as reader:
            name = subscriptions.by_id(reader, subscription).name
        card = ("--payment-method", hints.Blank.PAYMENT_METHOD)
        error.hint = hints.to("another card", hints.command("subs", "billing", name, *card))


def undo_if_too_old(ledger: Ledger, billing: Billing, call: Call, operation: Operation) -> str | None:
    """What was taken back of a purchase that is too old to charge for; None where it must be finished.

    The caller holds the money lock.
    """
    from seatctl.services.operations import handlers

    if call.now - operation.created_at <= KEYS_LAST:
        return None
    running = OperationRun(ledger, billing, call, operation)
    done = handlers.undo(running)
    if done is not None:
        end_as_failed(running, f"undone: {done}")
    return done


def end_as_failed(running: OperationRun, why: str) -> None:
    """Close an operation that came to nothing; its run says why."""
    with running.ledger.journal() as journal:
        operations.close(
            journal, running.operation, OperationState.FAILED, {"summary": why}, running.call.now
        )


def _apply(running: OperationRun, apply: Apply) -> Report:
    operation = running.operation
    call = running.call._replace(run=operation.run, dry_run=False)
    with running.ledger.change(call) as tx:
        ending, warnings = _compared(operation, apply(tx))
        tx.summarise(ending.summary)
        rows: list[JsonValue] = [dict(row) for row in ending.rows]
        operations.close(
            tx,
            operation,
            OperationState.DONE,
            {"summary": ending.summary, "rows": rows, "warnings": [*warnings]},
            call.now,
        )
        # Always a fact, so that the end of an operation is committed even where the ledger knew it all.
        done = {**operations.facts(tx, operation), "state": "done"}
        tx.record("operation", operation.id, {"state": "pending"}, done)
    return Report(
        run=operation.run,
        dry_run=False,
        summary=ending.summary,
        rows=ending.rows,
        exit_code=ending.exit_code,
        columns=ending.columns,
        warnings=warnings,
    )


def _compared(operation: Operation, ending: OperationResult) -> tuple[OperationResult, tuple[str, ...]]:
    """The ending, and what has to be told with it: above all that Stripe asked for more than was shown."""
    shown, said = read_shown(operation.payload.get("shown")), operation.payload.get("warnings")
    warnings = tuple(map(str, said)) if isinstance(said, list) else ()
    found = None if shown is None or ending.charged is None else difference(shown, ending.charged)
    rows = ending.rows if found is None else tuple({**row, **found.fields} for row in ending.rows)
    sentences = (*warnings, *(() if found is None else (found.sentence,)))
    ended = replace(ending, summary="; ".join((ending.summary, *sentences)), rows=rows)
    back = "" if shown is None else f"; to reverse it: {shown.reverse}"
    return ended, tuple(f"{sentence}{back}" for sentence in sentences)
