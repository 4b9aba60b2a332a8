"""Operations and their steps: the journal that lets a purchase survive a kill (docs/billing.md).

They are written through `ledger.journal()`; only `close` of a successful operation is part of the transaction
that changes the facts.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from seatctl.errors import JsonValue
from seatctl.ledger.conditions import one_of
from seatctl.ledger.row_values import compact_json, mapper, stored_object
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import Call, format_time
from seatctl.models.operation import Operation, OperationState, Step
from seatctl.models.run import RunState

_SELECT = """SELECT o.id, o.run, o.kind, o.payload, o.state, o.subscription_id, o.reserved_name, o.request_id,
    o.created_at, o.actor, o.outcome FROM operations o"""
IS_OPEN = f"state IN {one_of(state for state in OperationState if state.is_open)}"
_SHARING = (
    "o.subscription_id IN (SELECT p.id FROM subscriptions p JOIN subscriptions s"
    " ON s.stripe_subscription = p.stripe_subscription WHERE s.id = ?)"
)


def begin(
    journal: Journal,
    call: Call,
    kind: str,
    payload: dict[str, JsonValue],
    *,
    subscription_id: int | None = None,
    reserved_name: str | None = None,
    request_id: str | None = None,
) -> Operation:
    """Open a run and store the operation, before the first call to Stripe.

    The unique indexes of `operations` refuse a second open operation for the same subscription or name.
    """
    if call.batch_row is not None:
        payload = {**payload, "batch": list(call.batch_row)}  # so that a resumed batch finds the operation
    operation = journal.insert_row(
        "operations",
        {
            "run": journal.insert_run(call),
            "kind": kind,
            "payload": compact_json(payload),
            "subscription_id": subscription_id,
            "reserved_name": reserved_name,
            "request_id": request_id,
            "actor": call.actor,
            "created_at": format_time(call.now),
        },
    )
    return by_id(journal, operation)


def by_id(reader: Reader, operation: int) -> Operation:
    """Return the operation with this id, which must exist."""
    return next(map(_operation, reader.rows(f"{_SELECT} WHERE o.id = ?", (operation,))))


def unfinished(reader: Reader) -> list[Operation]:
    """Return pending and waiting operations, oldest first."""
    return list(map(_operation, reader.rows(f"{_SELECT} WHERE o.{IS_OPEN} ORDER BY o.id")))


def facts(reader: Reader, operation: Operation) -> dict[str, JsonValue]:
    """Return what the audit records of an operation: its kind, a hash of its payload, and who requested it.

    The audit entry itself names who finished the operation, which may be another person's `sync`.
    """
    from seatctl.ledger.hashes import text_hash

    row = reader.row(
        "SELECT o.payload, o.created_at, r.actor, r.os_user FROM operations o JOIN runs r ON r.number = o.run"
        " WHERE o.id = ?",
        (operation.id,),
    )
    if row is None:
        raise LookupError(f"there is no operation {operation.id}")
    return {
        "kind": operation.kind,
        "actor": row["actor"],
        "os_user": row["os_user"],
        "created_at": row["created_at"],
        "payload_hash": text_hash(row["payload"]),
    }


def all_operations(reader: Reader) -> Iterator[Operation]:
    """Yield all operations, oldest first."""
    return map(_operation, reader.stream(f"{_SELECT} ORDER BY o.id"))


def ids(reader: Reader, kinds: tuple[str, ...], state: OperationState) -> list[int]:
    """Return the ids of operations of these kinds in this state."""
    rows = reader.rows("SELECT id, kind FROM operations WHERE state = ?", (str(state),))
    return [row["id"] for row in rows if row["kind"] in kinds]


def of_subscription(reader: Reader, subscription_id: int) -> Operation | None:
    """Return the open operation of a subscription, or of one that shares its Stripe subscription, or None.

    The metadata of a Stripe subscription can hold the mark of one operation only. A second operation would
    overwrite it, and if the answer to a charge was lost, the charge would be taken for not made.
    """
    query = f"{_SELECT} WHERE o.{IS_OPEN} AND {_SHARING} ORDER BY o.id"
    return next(map(_operation, reader.rows(query, (subscription_id,))), None)


def ended_of(reader: Reader, subscription_id: int) -> int:
    """Return how many operations have ended, of a subscription and those that share its Stripe subscription.

    One invoice bills them all.
    """
    query = f"SELECT count(*) FROM operations o WHERE NOT o.{IS_OPEN} AND {_SHARING}"
    return reader.count(query, (subscription_id,))


def of_name(reader: Reader, key: str) -> Operation | None:
    """Return the open operation that reserves this name key, or None."""
    query = f"{_SELECT} WHERE o.{IS_OPEN} AND o.reserved_name = ?"
    return next(map(_operation, reader.rows(query, (key,))), None)


def of_request(reader: Reader, request_id: str) -> Operation | None:
    """Return the operation with this request id that did not fail, or None."""
    query = f"{_SELECT} WHERE o.request_id = ? AND o.state <> 'failed'"
    return next(map(_operation, reader.rows(query, (request_id,))), None)


def of_run(reader: Reader, run: int) -> Operation | None:
    """Return the operation of a run, or None."""
    return next(map(_operation, reader.rows(f"{_SELECT} WHERE o.run = ?", (run,))), None)


def of_batch(reader: Reader, run: int) -> Iterator[tuple[int, Operation]]:
    """Yield (line number, operation) for the operations that a batch began, oldest first."""
    query = f"{_SELECT} WHERE CAST(json_extract(o.payload, '$.batch[0]') AS BIGINT) = ? ORDER BY o.id"
    for operation in map(_operation, reader.rows(query, (run,))):
        batch = operation.payload["batch"]
        if isinstance(batch, list) and isinstance(batch[1], int):
            yield batch[1], operation


def steps(reader: Reader, operation: int) -> list[Step]:
    """Return the steps of an operation in the order in which they were sent."""
    query = (
        "SELECT name, attempt, form, answer, sent_at, answered_at FROM steps"
        " WHERE operation_id = ? ORDER BY number"
    )
    return [_step(row) for row in reader.rows(query, (operation,))]


def last_attempt(reader: Reader, operation: int, name: str) -> Step | None:
    """Return the latest attempt of a step, answered or not; None if it was never sent."""
    row = reader.row(
        "SELECT name, attempt, form, answer, sent_at, answered_at FROM steps"
        " WHERE operation_id = ? AND name = ? ORDER BY attempt DESC LIMIT 1",
        (operation, name),
    )
    return None if row is None else _step(row)


def note_sending(journal: Journal, operation: int, step: Step) -> None:
    """Store the exact form of a step before it is sent, so that a repetition sends the same form."""
    journal.execute(
        "INSERT INTO steps (operation_id, name, attempt, form, sent_at, number) VALUES"
        " (:operation, :name, :attempt, :form, :sent_at,"
        " (SELECT count(*) + 1 FROM steps WHERE operation_id = :operation))",
        {
            "operation": operation,
            "name": step.name,
            "attempt": step.attempt,
            "form": compact_json(step.form),
            "sent_at": format_time(step.sent_at),
        },
    )


def note_answer(
    journal: Journal, operation: int, step: Step, answer: dict[str, JsonValue], now: datetime
) -> None:
    """Store the answer of a step; a repeated operation reads it instead of sending the step again."""
    journal.execute(
        "UPDATE steps SET answer = ?, answered_at = ? WHERE operation_id = ? AND name = ? AND attempt = ?",
        (compact_json(answer), format_time(now), operation, step.name, step.attempt),
    )


def close(
    journal: Journal,
    operation: Operation,
    state: OperationState,
    outcome: dict[str, JsonValue],
    now: datetime,
) -> bool:
    """End an open operation and its run; return False if another process has ended it already.

    The statement itself compares the state: if two processes finish at the same time, only one succeeds.
    """
    ended = journal.changed(
        f"UPDATE operations SET state = ?, outcome = ?, finished_at = ? WHERE id = ? AND {IS_OPEN}",
        (str(state), compact_json(outcome), format_time(now), operation.id),
    )
    if ended:
        result = RunState.DONE if state is OperationState.DONE else RunState.FAILED
        journal.execute(
            "UPDATE runs SET state = ?, finished_at = ?, summary = coalesce(?, summary) WHERE number = ?",
            (str(result), format_time(now), _summary(outcome), operation.run),
        )
    return bool(ended)


def set_waiting(journal: Journal, operation: Operation, outcome: dict[str, JsonValue]) -> None:
    """Mark an operation as waiting for an authentication or a hosted page, unless it has ended."""
    journal.execute(
        f"UPDATE operations SET state = 'waiting', outcome = ? WHERE id = ? AND {IS_OPEN}",
        (compact_json(outcome), operation.id),
    )


def _summary(outcome: dict[str, JsonValue]) -> str | None:
    summary = outcome.get("summary")
    return summary if isinstance(summary, str) else None


def _optional_object(text: str | None) -> dict[str, JsonValue] | None:
    return None if text is None else stored_object(text)


_operation = mapper(Operation, payload=stored_object, outcome=_optional_object)
_step = mapper(Step, form=stored_object, answer=_optional_object)
