"""The outbox: messages that wait to be sent, and what became of them.

Transactions insert messages (`Transaction.mail`, `mail_each`). `message_facts.py` reads what a message is
about.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

from seatctl.errors import Code, refuse
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.row_values import compact_json, mapper
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.message import Message, MessageState

_MANY = "CAST(json_extract(o.ids, '$.from_change') AS BIGINT)"
_RECIPIENTS = f"coalesce(CAST(json_extract(o.ids, '$.to_change') AS BIGINT) - {_MANY} + 1, 1)"
_SHARE = "coalesce(o.recipient_id, length(o.recipient_actor), 0) % :shares"
_IS_DUE = "o.state = 'waiting' AND (o.next_attempt IS NULL OR o.next_attempt <= :now)"

_SELECT = f"""SELECT o.id, o.template, o.ids, o.state, o.attempts, a.at AS queued_at, o.next_attempt,
    o.sent_at, o.last_error, coalesce(u.email, o.recipient_actor) AS email, u.name,
    {_RECIPIENTS} AS recipients
    FROM outbox o JOIN audit a ON a.seq = o.entry_id LEFT JOIN users u ON u.id = o.recipient_id"""

_EXPAND = """INSERT INTO outbox (entry_id, n, template, ids, recipient_id)
    SELECT :entry, :n + row_number() OVER (ORDER BY c.n), :template, '{"seat":' || t.id || '}', t.user_id
    FROM changes c JOIN seats t ON t.id = c.entity_id
    WHERE c.entry = :entry AND c.entity = 'seat' AND c.n BETWEEN :first AND :last"""

NO_CONNECTION = "no connection: "
"""The beginning of `last_error` if the mail server could not be reached."""


# -- expanding messages to many -----------------------------------------------------------------


def expand(journal: Journal, now: str, most: int = 1000, first_entry: int = 0) -> int:
    """Expand due messages to many recipients (`Transaction.mail_each`) into messages to one.

    Creates at most `most` messages and returns how many; those of `first_entry` and later come first. A
    message to one is created in the transaction that removes its recipient from the original: a kill neither
    loses nor doubles any.
    """
    created = 0
    while created < most:
        row = journal.row(
            f"SELECT o.id, o.entry_id, o.template, o.ids FROM outbox o"
            f" WHERE {_IS_DUE} AND {_MANY} IS NOT NULL"
            " ORDER BY o.entry_id >= :first DESC, o.id LIMIT 1",
            {"now": now, "first": first_entry},
        )
        if row is None:
            break
        created += _expand_one(journal, row, most - created)
    return created


def _expand_one(journal: Journal, row: Row, most: int) -> int:
    ids = json.loads(row["ids"])
    first = ids["from_change"]
    last = min(ids["to_change"], first + most - 1)
    created = journal.changed(
        _EXPAND,
        {
            "entry": row["entry_id"],
            "n": journal.count("SELECT max(n) FROM outbox WHERE entry_id = ?", (row["entry_id"],)),
            "template": row["template"],
            "first": first,
            "last": last,
        },
    )
    if last == ids["to_change"]:
        journal.execute("DELETE FROM outbox WHERE id = ?", (row["id"],))
    else:
        rest = compact_json({**ids, "from_change": last + 1})
        journal.execute("UPDATE outbox SET ids = ? WHERE id = ?", (rest, row["id"]))
    return created


def has_unexpanded(reader: Reader, now: str) -> bool:
    """Return whether a message to many is due at `now` (written form)."""
    query = f"SELECT 1 FROM outbox o WHERE {_IS_DUE} AND {_MANY} IS NOT NULL LIMIT 1"
    return reader.value(query, {"now": now}) is not None


# -- sending ------------------------------------------------------------------------------------


def due(
    reader: Reader, now: str, most: int, first_entry: int = 0, share: int | None = None, shares: int = 1
) -> list[tuple[int, int]]:
    """Return due messages to one as (id, share), of a share or of all; those of `first_entry` on come first.

    All messages to one recipient are in one share, so that they are sent in the order of what happened.
    """
    return [
        (row["id"], row["share"])
        for row in reader.rows(
            f"SELECT o.id, {_SHARE} AS share FROM outbox o WHERE {_IS_DUE} AND {_MANY} IS NULL"
            f" AND (:share = -1 OR {_SHARE} = :share)"
            " ORDER BY o.entry_id >= :first DESC, o.id LIMIT :most",
            {
                "now": now,
                "first": first_entry,
                "most": most,
                "share": -1 if share is None else share,
                "shares": shares,
            },
        )
    ]


def server_is_down(reader: Reader, now: str) -> bool:
    """Return whether the mail server was recently unreachable; a command should not wait for it again."""
    return (
        reader.value(
            "SELECT 1 FROM outbox WHERE state = 'waiting' AND next_attempt > ?"
            " AND substr(last_error, 1, ?) = ? LIMIT 1",
            (now, len(NO_CONNECTION), NO_CONNECTION),
        )
        is not None
    )


def begin_attempt(journal: Journal, number: int, next_attempt: str) -> None:
    """Count an attempt before it is made, so that a message that kills its sender is not tried forever."""
    journal.execute(
        "UPDATE outbox SET attempts = attempts + 1, next_attempt = ? WHERE id = ? AND state = 'waiting'",
        (next_attempt, number),
    )


def restart_attempts(journal: Journal, number: int, next_attempt: str) -> None:
    """Count the current attempt as the first one."""
    journal.execute("UPDATE outbox SET attempts = 1, next_attempt = ? WHERE id = ?", (next_attempt, number))


def end_attempt(
    journal: Journal, number: int, state: MessageState, *, now: str, error: str | None = None
) -> None:
    """Store how an attempt ended; `waiting` leaves the message for its next attempt."""
    journal.execute(
        "UPDATE outbox SET state = :state, last_error = :error,"
        " sent_at = CASE WHEN :state = 'sent' THEN :now ELSE sent_at END,"
        " next_attempt = CASE WHEN :state = 'waiting' THEN next_attempt END WHERE id = :id",
        {"state": state.value, "error": error, "now": now, "id": number},
    )


def requeue(journal: Journal, state: MessageState) -> int:
    """Make messages in this state due now, with no attempts counted; return how many."""
    return journal.changed(
        "UPDATE outbox SET state = 'waiting', attempts = 0, next_attempt = NULL WHERE state = ?",
        (state.value,),
    )


def retry_now(journal: Journal) -> int:
    """Make postponed messages due now; return how many.

    Messages that the undo window delays were not tried yet and are not affected.
    """
    return journal.changed(
        "UPDATE outbox SET next_attempt = NULL"
        " WHERE state = 'waiting' AND attempts > 0 AND next_attempt IS NOT NULL"
    )


# -- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Counts:
    """How many recipients are still to get a message, and how many messages failed."""

    waiting: int
    failed: int
    next_attempt: str | None = None
    """When the first waiting message is tried, in the written form; None: now, or no message waits."""


def counts(reader: Reader) -> Counts:
    """Return the counts of waiting and failed messages."""
    next_attempt = reader.value("SELECT min(next_attempt) FROM outbox WHERE state = 'waiting'")
    return Counts(
        waiting=reader.count(
            f"SELECT coalesce(sum({_RECIPIENTS}), 0) FROM outbox o WHERE o.state = 'waiting'"
        ),
        failed=reader.count("SELECT count(*) FROM outbox WHERE state = 'failed'"),
        next_attempt=None if next_attempt is None else str(next_attempt),
    )


def find(reader: Reader, number: int) -> Message:
    """Return the message with this number. Raises `unknown_message`."""
    row = reader.row(f"{_SELECT} WHERE o.id = ?", (number,))
    if row is None:
        raise refuse(
            Code.UNKNOWN_MESSAGE,
            f"there is no message {number}",
            hint="seatctl notify list",
            data={"message": number},
        )
    return _message(row)


def listing(reader: Reader, state: MessageState | None = None) -> Iterator[Message]:
    """Yield messages, newest first."""
    chosen, params = _chosen(state)
    return map(_message, reader.stream(f"{_SELECT}{chosen} ORDER BY o.id DESC", params))


def count(reader: Reader, state: MessageState | None = None) -> int:
    """Return how many messages `listing` yields."""
    chosen, params = _chosen(state)
    return reader.count(f"SELECT count(*) FROM outbox o{chosen}", params)


def _chosen(state: MessageState | None) -> tuple[str, dict[str, SqlValue]]:
    params: dict[str, SqlValue] = {"state": None if state is None else state.value}
    return where(params, state="o.state = :state"), params


_message = mapper(Message)
