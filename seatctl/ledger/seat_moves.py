"""Seats that change their end, their subscription or their holder, and those to reclaim. Set-based SQL.

People come through `incoming` (staging.py); taking and giving back itself is `seats.py`.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this layer; every value is bound.

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
    "EXISTS (SELECT 1 FROM seats t WHERE t.subscription_id = :{where} AND t.user_id = incoming.user_id"
    " AND t.revoked_at IS NULL)"
)
_TO_MOVE = "verdict = 'known' AND result IS NULL"


# -- ends ---------------------------------------------------------------------------------------


def change_ends(tx: Transaction, subscription_id: int) -> int:
    """Give the seats of those in `incoming` who sit there already the end that their row names; how many."""
    params: dict[str, SqlValue] = {"subscription": subscription_id, "already": seats.ALREADY}
    marked = tx.execute(
        f"UPDATE incoming SET result = '{UNTIL_CHANGED}' WHERE result = :already AND until IS NOT NULL"
        " AND until IS NOT (SELECT t.until FROM seats t WHERE t.subscription_id = :subscription"
        " AND t.user_id = incoming.user_id AND t.revoked_at IS NULL)",
        params,
    )
    if not marked:
        return 0
    tx.record_many(
        "seat",
        f"SELECT t.id AS entity_id, {change_rows.seat('t')} AS before,"
        f" {change_rows.seat('t', until='i.until')} AS after"
        " FROM incoming i JOIN seats t ON t.user_id = i.user_id AND t.subscription_id = :subscription"
        f" AND t.revoked_at IS NULL WHERE i.result = '{UNTIL_CHANGED}' ORDER BY i.line",
        params,
    )
    tx.execute(
        "UPDATE seats SET until = i.until FROM incoming i WHERE seats.user_id = i.user_id"
        " AND seats.subscription_id = :subscription AND seats.revoked_at IS NULL"
        f" AND i.result = '{UNTIL_CHANGED}'",
        params,
    )
    return marked


# -- moving -------------------------------------------------------------------------------------


def mark_moves(tx: Transaction, old: int, new: int) -> int:
    """Tell apart who in `incoming` sits in both, in the new one only, or in neither; how many are to move.

    Who sits in neither is bad. Who sits in both only gives the old seat back.
    """
    params: dict[str, SqlValue] = {"old": old, "new": new}
    in_old, in_new = _HAS_SEAT.format(where="old"), _HAS_SEAT.format(where="new")
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
    """The rows that would go without a seat in the new subscription: those beyond its `room`."""
    found = reader.rows(
        f"SELECT line, email FROM incoming WHERE {_TO_MOVE} ORDER BY line LIMIT -1 OFFSET ?", (room,)
    )
    return [{"line": row["line"], "email": row["email"], "error": seats.NO_SEAT_FREE} for row in found]


def move(tx: Transaction, old: int, new: int) -> int:
    """Give back the old seats and take new ones, which end when the old ones would have; how many."""
    seats.revoke_where(
        tx,
        "subscription_id = :old AND revoked_at IS NULL AND user_id IN (SELECT user_id FROM incoming"
        " WHERE verdict = 'known' AND user_id IS NOT NULL)",
        {"old": old},
        ":now",
    )
    last, before = seats.last_id(tx), tx.recorded
    moved = tx.execute(
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until, assigned_entry)"
        " SELECT :new, i.user_id, :now, t.until, :entry FROM incoming i JOIN seats t"
        " ON t.user_id = i.user_id AND t.subscription_id = :old AND t.revoked_entry = :entry"
        " WHERE i.verdict = 'known' AND i.result IS NULL ORDER BY i.line",
        {"old": old, "new": new, "now": tx.now, "entry": tx.entry},
    )
    seats.record_new(tx, last)
    tx.mail_each("seat_assigned", before)
    tx.execute(f"UPDATE incoming SET result = '{MOVED}' WHERE {_TO_MOVE}")
    return moved


def until_of(reader: Reader, subscription_id: int, user_id: int) -> str | None:
    """When the user's active seat there ends, in the written form; None: never."""
    found = reader.value(
        "SELECT until FROM seats WHERE subscription_id = ? AND user_id = ? AND revoked_at IS NULL",
        (subscription_id, user_id),
    )
    return found if isinstance(found, str) else None


# -- reclaiming ---------------------------------------------------------------------------------


class Idle(NamedTuple):
    """Which seats are idle; moments in the written form, None where that does not count."""

    unclaimed_since: str | None = None
    """Assigned before this moment and never claimed."""
    inactive_since: str | None = None
    """Last active before this moment; of whom nothing is known is not inactive."""
    suspended: bool = False


_WHY = """CASE WHEN :suspended AND u.status = 'suspended' THEN 'suspended'
    WHEN t.claimed_at IS NULL AND t.assigned_at <= :unclaimed THEN 'never claimed'
    WHEN u.last_active <= :inactive THEN 'inactive' END"""

# A warning is a change row of the seat. One from before the person was last active, or from too long ago,
# is void: whoever came back is warned anew. So is one that was undone.
_WARNED = """(SELECT a.at FROM changes c JOIN audit a ON a.seq = c.entry WHERE c.entity = 'seat'
    AND c.entity_id = t.id AND json_extract(c.after, '$.reclaim_at') IS NOT NULL
    AND a.at >= :void AND a.at > coalesce(u.last_active, '')
    AND a.run NOT IN (SELECT undo_of FROM runs WHERE undo_of IS NOT NULL) ORDER BY c.entry DESC LIMIT 1)"""


def stage_idle(tx: Transaction, subscription_id: int, idle: Idle, void: str) -> None:
    """Put the idle seats of people who are not exempt into TEMP `idle`, with why and when they were warned.

    Warnings before `void` (written form) do not count.
    """
    tx.execute("DROP TABLE IF EXISTS temp.idle")
    tx.execute(
        "CREATE TEMP TABLE idle (seat_id INTEGER PRIMARY KEY, why TEXT NOT NULL, warned_at TEXT, result TEXT)"
    )
    tx.execute(
        f"INSERT INTO idle (seat_id, why, warned_at) SELECT t.id, {_WHY}, {_WARNED}"
        " FROM seats t JOIN users u ON u.id = t.user_id WHERE t.subscription_id = :subscription"
        f" AND t.revoked_at IS NULL AND NOT u.reclaim_exempt AND {_WHY} IS NOT NULL ORDER BY t.id",
        {
            "subscription": subscription_id,
            "unclaimed": idle.unclaimed_since,
            "inactive": idle.inactive_since,
            "suspended": int(idle.suspended),
            "void": void,
        },
    )


def warn_idle(tx: Transaction, reclaim_at: str) -> int:
    """Warn who was not warned yet that the seat goes at `reclaim_at` (written form); how many."""
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
    """Mark the seats to revoke: all that are idle, or those warned before a moment; how many."""
    tx.execute("UPDATE idle SET result = 'waiting' WHERE result IS NULL")
    chosen = {"before": warned_before}
    return tx.execute(
        f"UPDATE idle SET result = 'revoked'{where(chosen, before='warned_at <= :before')}", chosen
    )


def revoke_idle(tx: Transaction) -> int:
    """Give back the seats that were chosen; how many."""
    return seats.revoke_where(tx, "id IN (SELECT seat_id FROM idle WHERE result = 'revoked')", {}, ":now")


def idle_rows(reader: Reader) -> Iterator[Record]:
    """A record per idle seat: email, why, last_active, result."""
    found = reader.rows(
        "SELECT u.email, i.why, u.last_active, t.assigned_at, i.warned_at, i.result FROM idle i"
        " JOIN seats t ON t.id = i.seat_id JOIN users u ON u.id = t.user_id ORDER BY i.seat_id"
    )
    for row in found:
        yield {
            "email": row["email"],
            "why": row["why"],
            "assigned_at": row["assigned_at"],
            "last_active": row["last_active"],
            "result": row["result"],
            "error": None,
        }
