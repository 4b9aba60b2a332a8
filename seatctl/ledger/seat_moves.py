"""Bulk changes of existing seats: new ends, moves to another subscription, and idle seats to reclaim.

People come through `incoming` (staging.py). Assigning and revoking are in `seats.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from seatctl.ledger import change_rows, seats
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.report import Record

UNTIL_CHANGED = "until changed"
MOVED = "moved"
ALREADY_THERE = "already there"

_HAS_SEAT = (
    "EXISTS (SELECT 1 FROM seats t WHERE t.subscription_id = :{name} AND t.user_id = incoming.user_id"
    " AND t.revoked_at IS NULL)"
)
_TO_MOVE = "verdict = 'known' AND result IS NULL"


# -- ends ---------------------------------------------------------------------------------------


def change_ends(tx: Transaction, subscription_id: int) -> int:
    """Change the end of existing seats to the one in their row of `incoming`; return how many changed."""
    params: dict[str, SqlValue] = {"subscription": subscription_id, "already": seats.ALREADY}
    tx.execute(
        f"UPDATE incoming SET result = '{UNTIL_CHANGED}' WHERE result = :already AND until IS NOT NULL"
        " AND until IS NOT (SELECT t.until FROM seats t WHERE t.subscription_id = :subscription"
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
    return tx.count(f"SELECT count(*) FROM incoming WHERE {_TO_MOVE}")


def rows_without_seat(reader: Reader, room: int) -> list[dict[str, str | int]]:
    """Return the rows that would get no seat in the new subscription: those beyond its `room`."""
    rows = reader.rows(
        f"SELECT line, email FROM incoming WHERE {_TO_MOVE} ORDER BY line LIMIT -1 OFFSET ?", (room,)
    )
    return [{"line": row["line"], "email": row["email"], "error": seats.NO_SEAT_FREE} for row in rows]


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
    tx.execute(f"UPDATE incoming SET result = '{MOVED}' WHERE {_TO_MOVE}")
    return moved


def until_of(reader: Reader, subscription_id: int, user_id: int) -> str | None:
    """Return when the user's active seat there ends, in the written form; None: never."""
    until = reader.value(
        "SELECT until FROM seats WHERE subscription_id = ? AND user_id = ? AND revoked_at IS NULL",
        (subscription_id, user_id),
    )
    return until if isinstance(until, str) else None


# -- reclaiming ---------------------------------------------------------------------------------


class Idle(NamedTuple):
    """Which seats count as idle; times in the written form, None for a criterion that is not used."""

    unclaimed_since: str | None = None
    """Assigned before this time and never claimed."""
    inactive_since: str | None = None
    """Last active before this time; users without a known last activity are not idle."""
    suspended: bool = False


_REASON = """CASE WHEN :suspended AND u.status = 'suspended' THEN 'suspended'
    WHEN t.claimed_at IS NULL AND t.assigned_at <= :unclaimed THEN 'never claimed'
    WHEN u.last_active <= :inactive THEN 'inactive' END"""

# A warning is a change row of the seat. It is void if the person was active since, if it is too old, or if it
# was undone: the person is then warned again.
_WARNED_AT = """(SELECT a.at FROM changes c JOIN audit a ON a.seq = c.entry WHERE c.entity = 'seat'
    AND c.entity_id = t.id AND json_extract(c.after, '$.reclaim_at') IS NOT NULL
    AND a.at >= :void AND a.at > coalesce(u.last_active, '')
    AND a.run NOT IN (SELECT undo_of FROM runs WHERE undo_of IS NOT NULL) ORDER BY c.entry DESC LIMIT 1)"""


def stage_idle(tx: Transaction, subscription_id: int, idle: Idle, void: str) -> None:
    """Fill the TEMP table `idle` with idle seats of users who are not exempt, with reason and warning time.

    Warnings before `void` (written form) do not count.
    """
    tx.execute("DROP TABLE IF EXISTS temp.idle")
    tx.execute(
        "CREATE TEMP TABLE idle (seat_id INTEGER PRIMARY KEY, why TEXT NOT NULL, warned_at TEXT, result TEXT)"
    )
    tx.execute(
        f"INSERT INTO idle (seat_id, why, warned_at) SELECT t.id, {_REASON}, {_WARNED_AT}"
        " FROM seats t JOIN users u ON u.id = t.user_id WHERE t.subscription_id = :subscription"
        f" AND t.revoked_at IS NULL AND NOT u.reclaim_exempt AND {_REASON} IS NOT NULL ORDER BY t.id",
        {
            "subscription": subscription_id,
            "unclaimed": idle.unclaimed_since,
            "inactive": idle.inactive_since,
            "suspended": int(idle.suspended),
            "void": void,
        },
    )


def warn_idle(tx: Transaction, reclaim_at: str) -> int:
    """Warn people who were not warned yet that their seat is revoked at `reclaim_at`; return how many."""
    before = tx.recorded
    warned = tx.execute("UPDATE idle SET result = 'warned' WHERE warned_at IS NULL")
    if warned:
        after = change_rows.seat(reclaim_at=":reclaim_at")
        tx.record_many(
            "seat",
            f"SELECT id AS entity_id, {change_rows.seat()} AS before, {after} AS after FROM seats"
            " WHERE id IN (SELECT seat_id FROM idle WHERE result = 'warned') ORDER BY id",
            {"reclaim_at": reclaim_at},
        )
        tx.mail_each("reclaim_warning", before)
    return warned


def choose_idle(tx: Transaction, warned_before: str | None) -> int:
    """Mark the seats to revoke: all idle ones, or only those warned before a time; return how many."""
    tx.execute("UPDATE idle SET result = 'waiting' WHERE result IS NULL")
    params = {"before": warned_before}
    return tx.execute(
        f"UPDATE idle SET result = 'revoked'{where(params, before='warned_at <= :before')}", params
    )


def revoke_idle(tx: Transaction) -> int:
    """Revoke the marked seats; return how many."""
    return seats.revoke_where(tx, "id IN (SELECT seat_id FROM idle WHERE result = 'revoked')", {}, ":now")


def idle_rows(reader: Reader) -> Iterator[Record]:
    """Yield an output record per idle seat."""
    rows = reader.rows(
        "SELECT u.email, i.why, u.last_active, t.assigned_at, i.warned_at, i.result FROM idle i"
        " JOIN seats t ON t.id = i.seat_id JOIN users u ON u.id = t.user_id ORDER BY i.seat_id"
    )
    for row in rows:
        yield {
            "email": row["email"],
            "why": row["why"],
            "assigned_at": row["assigned_at"],
            "last_active": row["last_active"],
            "result": row["result"],
            "error": None,
        }
