"""Idle seats, for `seats reclaim`: found in the staged table `idle`, warned about, and revoked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from seatctl.ledger import change_rows, seats
from seatctl.ledger.conditions import where
from seatctl.ledger.row_values import record
from seatctl.ledger.schema.staged import IDLE
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.report import Record


class Idle(NamedTuple):
    """Which seats count as idle; times in the written form, None for a criterion that is not used."""

    unclaimed_since: str | None = None
    """Assigned before this time and never claimed."""
    inactive_since: str | None = None
    """Last active before this time; users without a known last activity are not idle."""
    suspended: bool = False


_REASON = """CASE WHEN :suspended = 1 AND u.status = 'suspended' THEN 'suspended'
    WHEN t.claimed_at IS NULL AND t.assigned_at <= :unclaimed THEN 'never claimed'
    WHEN u.last_active <= :inactive THEN 'inactive' END"""

# A warning is a change row of the seat. It is void if the person was active since, if it is too old, or if it
# was undone: the person is then warned again.
_WARNED_AT = """(SELECT a.at FROM changes c JOIN audit a ON a.seq = c.entry WHERE c.entity = 'seat'
    AND c.entity_id = t.id AND json_extract(c.after, '$.reclaim_at') IS NOT NULL
    AND a.at >= :void AND a.at > coalesce(u.last_active, '')
    AND a.run NOT IN (SELECT undo_of FROM runs WHERE undo_of IS NOT NULL) ORDER BY c.entry DESC LIMIT 1)"""


def stage(tx: Transaction, subscription_id: int, idle: Idle, void: str) -> None:
    """Fill the staged table `idle` with idle seats of users who are not exempt, with reason and warning time.

    Warnings before `void` (written form) do not count.
    """
    tx.stage(IDLE)
    tx.execute(
        f"INSERT INTO idle (seat_id, why, warned_at) SELECT t.id, {_REASON}, {_WARNED_AT}"
        " FROM seats t JOIN users u ON u.id = t.user_id WHERE t.subscription_id = :subscription"
        f" AND t.revoked_at IS NULL AND u.reclaim_exempt = 0 AND {_REASON} IS NOT NULL ORDER BY t.id",
        {
            "subscription": subscription_id,
            "unclaimed": idle.unclaimed_since,
            "inactive": idle.inactive_since,
            "suspended": int(idle.suspended),
            "void": void,
        },
    )
    tx.index_staged(IDLE)


def warn(tx: Transaction, reclaim_at: str) -> int:
    """Warn people who were not warned yet that their seat is revoked at `reclaim_at`; return how many."""
    before = tx.recorded
    warned = tx.changed("UPDATE idle SET result = 'warned' WHERE warned_at IS NULL")
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


def choose(tx: Transaction, warned_before: str | None) -> int:
    """Mark the seats to revoke: all idle ones, or only those warned before a time; return how many."""
    tx.execute("UPDATE idle SET result = 'waiting' WHERE result IS NULL")
    params = {"before": warned_before}
    return tx.changed(
        f"UPDATE idle SET result = 'revoked'{where(params, before='warned_at <= :before')}", params
    )


def revoke(tx: Transaction) -> int:
    """Revoke the marked seats; return how many."""
    return seats.revoke_where(tx, "id IN (SELECT seat_id FROM idle WHERE result = 'revoked')", {}, ":now")


def records(reader: Reader) -> Iterator[Record]:
    """Return an output record per idle seat."""
    rows = reader.stream(
        "SELECT u.email, i.why, t.assigned_at, u.last_active, i.result, NULL AS error FROM idle i"
        " JOIN seats t ON t.id = i.seat_id JOIN users u ON u.id = t.user_id ORDER BY i.seat_id"
    )
    return map(record, rows)
