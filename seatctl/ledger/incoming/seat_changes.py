"""Changes of the seats of the people in `incoming` (staging.py): assign, revoke, change ends, move."""

from __future__ import annotations

from seatctl.errors import JsonValue
from seatctl.ledger import seats
from seatctl.ledger.conditions import ALL_ROWS
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.incoming.staging import RowVerdict, Tally
from seatctl.ledger.row_values import record
from seatctl.ledger.transaction import Journal, Reader, Transaction

SEATED = "seated"
ALREADY = "already seated"
NO_SEAT_FREE = "no seat free"
REVOKED = "revoked"
NOT_SEATED = "not seated"

_WANTS_SEAT = "verdict IN ('known', 'unknown') AND (result IS NULL OR result = 'added')"
"""Rows of `incoming` that are to get a seat; `unknown` ones remain only if users may be created."""

ASSIGNED = {"known": SEATED, "added": "added and seated"}
"""The results of rows that got a seat, by verdict; deriving them saves a write per row."""
UNTIL_CHANGED = "until changed"
MOVED = "moved"
ALREADY_THERE = "already there"

_HAS_SEAT = (
    "EXISTS (SELECT 1 FROM seats t WHERE t.subscription_id = :{name} AND t.user_id = incoming.user_id"
    " AND t.revoked_at IS NULL)"
)
_OF_INCOMING = (
    "subscription_id = :subscription AND revoked_at IS NULL"
    " AND user_id IN (SELECT user_id FROM incoming WHERE user_id IS NOT NULL AND verdict <> 'bad')"
)


# -- assigning and revoking ----------------------------------------------------------------------


def mark_seated(tx: Journal, subscription_id: int) -> None:
    """Mark the rows of `incoming` whose user has an active seat, suspended or not."""
    tx.execute(
        "UPDATE incoming SET result = :already, verdict = 'known'"
        f" WHERE verdict IN ('known', 'suspended') AND {_HAS_SEAT.format(name='subscription')}",
        {"already": ALREADY, "subscription": subscription_id},
    )


def wanted(tally: Tally) -> int:
    """Return how many rows of `incoming` are to get a seat, as `count_wanted` does."""
    good = (RowVerdict.KNOWN, RowVerdict.UNKNOWN)
    return sum(tally.number(verdict, result) for verdict in good for result in (None, "added"))


def count_wanted(reader: Reader) -> int:
    """Return how many rows of `incoming` are to get a seat."""
    return reader.count(f"SELECT count(*) FROM incoming WHERE {_WANTS_SEAT}")


def rows_without_seat(reader: Reader, room: int) -> list[dict[str, JsonValue]]:
    """Return the rows that are to get a seat, beyond the first `room` in file order."""
    rows = reader.rows(
        "SELECT line, email, :error AS error FROM incoming"
        f" WHERE {_WANTS_SEAT} ORDER BY line LIMIT {ALL_ROWS} OFFSET :room",
        {"error": NO_SEAT_FREE, "room": room},
    )
    return [*map(record, rows)]


def mark_without_seat(tx: Journal, room: int) -> int:
    """Mark the rows beyond the first `room` in file order as without a seat; return how many."""
    return tx.changed(
        f"UPDATE incoming SET result = :result WHERE line IN (SELECT line FROM incoming WHERE {_WANTS_SEAT}"
        f" ORDER BY line LIMIT {ALL_ROWS} OFFSET :room)",
        {"result": NO_SEAT_FREE, "room": room},
    )


def assign(tx: Transaction, subscription_id: int, number: int) -> int:
    """Assign seats to the rows of `incoming` that are to get one, record and notify; return how many.

    There are `number` such rows; all of them must be users by now.
    """
    return seats.assign_each(
        tx,
        f"incoming WHERE {_WANTS_SEAT} ORDER BY line",
        {"subscription": subscription_id},
        subscription=":subscription",
        user="user_id",
        until="until",
        number=number,
    )


def mark_to_revoke(tx: Transaction, subscription_id: int) -> None:
    """Set the result of each row of `incoming`, for `revoke`."""
    params: dict[str, SqlValue] = {"subscription": subscription_id}
    tx.execute(
        f"UPDATE incoming SET result = CASE WHEN {_HAS_SEAT.format(name='subscription')}"
        f" THEN '{REVOKED}' ELSE '{NOT_SEATED}' END WHERE user_id IS NOT NULL AND verdict <> 'bad'",
        params,
    )


def count_to_revoke(tx: Transaction, subscription_id: int) -> list[seats.Freed]:
    """Count the seats of the people in `incoming`."""
    return seats.count_freed(tx, _OF_INCOMING, {"subscription": subscription_id})


def revoke(tx: Transaction, subscription_id: int, counted: list[seats.Freed]) -> int:
    """Revoke the seats of the people in `incoming`, which were counted; return how many."""
    params: dict[str, SqlValue] = {"subscription": subscription_id}
    return seats.revoke_where(tx, _OF_INCOMING, params, ":now", counted)


# -- ends ---------------------------------------------------------------------------------------


def change_ends(tx: Transaction, subscription_id: int) -> int:
    """Change the end of existing seats to the one in their row of `incoming`; return how many changed."""
    params: dict[str, SqlValue] = {"subscription": subscription_id, "already": ALREADY}
    tx.execute(
        f"UPDATE incoming SET result = '{UNTIL_CHANGED}' WHERE result = :already AND until IS NOT NULL"
        " AND until IS DISTINCT FROM (SELECT t.until FROM seats t WHERE t.subscription_id = :subscription"
        " AND t.user_id = incoming.user_id AND t.revoked_at IS NULL)",
        params,
    )
    return seats.set_ends(
        tx,
        "incoming i JOIN seats t ON t.user_id = i.user_id AND t.subscription_id = :subscription"
        f" AND t.revoked_at IS NULL WHERE i.result = '{UNTIL_CHANGED}' ORDER BY i.line",
        params,
        until="i.until",
    )


# -- moving -------------------------------------------------------------------------------------


def mark_moves(tx: Transaction, old: int, new: int) -> int:
    """Set the verdicts of `incoming` for a move between two subscriptions; return how many seats will move.

    A user without a seat in either subscription is a bad row. A user with seats in both only loses the old
    one.
    """
    params: dict[str, SqlValue] = {"old": old, "new": new}
    in_old, in_new = _HAS_SEAT.format(name="old"), _HAS_SEAT.format(name="new")
    good = "user_id IS NOT NULL AND verdict <> 'bad'"
    tx.execute(
        "UPDATE incoming SET verdict = 'bad', "
        " problem = 'the user has no seat in the subscription to move from'"
        f" WHERE {good} AND NOT {in_old} AND NOT {in_new}",
        params,
    )
    tx.execute(
        f"UPDATE incoming SET verdict = 'known', result = '{ALREADY_THERE}' WHERE {good} AND {in_new}", params
    )
    return count_wanted(tx)


def move(tx: Transaction, old: int, new: int) -> int:
    """Revoke the old seats and assign new ones with the same ends; return how many were assigned."""
    seats.revoke_where(
        tx,
        "subscription_id = :old AND revoked_at IS NULL AND user_id IN (SELECT user_id FROM incoming"
        " WHERE verdict = 'known' AND user_id IS NOT NULL)",
        {"old": old},
        ":now",
    )
    moved = seats.assign_each(
        tx,
        "incoming i JOIN seats t"
        " ON t.user_id = i.user_id AND t.subscription_id = :old AND t.revoked_entry = :entry"
        " WHERE i.verdict = 'known' AND i.result IS NULL ORDER BY i.line",
        {"old": old, "new": new},
        subscription=":new",
        user="i.user_id",
        until="t.until",
    )
    tx.execute(f"UPDATE incoming SET result = '{MOVED}' WHERE {_WANTS_SEAT}")
    return moved
