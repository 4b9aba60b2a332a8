"""Lists of seats: active seats, seats at a moment of the past, and the history of all seats.

A seat has its start and its end. What its `until` was at an earlier moment is in its change rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.row_values import record
from seatctl.ledger.transaction import Reader

if TYPE_CHECKING:
    from seatctl.models.report import Record

_REVOKED_AT = "coalesce(t.revoked_at, CASE WHEN t.until <= :now THEN t.until END)"
"""When a seat ended, including seats that have expired without a transaction having recorded it yet."""
_ACTIVE_THEN = (
    "t.assigned_at <= :as_of AND (t.revoked_at IS NULL OR t.revoked_at > :as_of)"
    " AND (t.until IS NULL OR t.until > :as_of)"
)
_CLAIMED_AT = "CASE WHEN :as_of IS NULL OR t.claimed_at <= :as_of THEN t.claimed_at END"
_UNTIL = """CASE WHEN :as_of IS NULL THEN t.until ELSE nullif(coalesce(
    (SELECT coalesce(json_extract(c.before, '$.until'), '') FROM changes c JOIN audit a ON a.seq = c.entry
        WHERE c.entity = 'seat' AND c.entity_id = t.id AND a.at > :as_of
        AND json_extract(c.before, '$.user_id') IS NOT NULL ORDER BY c.entry, c.n LIMIT 1),
    t.until, ''), '') END"""
"""`until` at that moment: the value before the first later change, else the current one."""


class SeatFilter(NamedTuple):
    """Which seats to list. `now` is in the written form: a seat whose `until` has passed has ended."""

    now: str
    subscription_id: int | None = None
    user_id: int | None = None
    text: str | None = None
    over: bool = False
    """Also seats that have ended: revoked or expired ones."""
    unclaimed: bool = False
    """Only seats whose activation code was never used."""
    as_of: str | None = None
    """Only seats that were active at this moment of the past, in the written form."""

    def where(self, reader: Reader) -> tuple[str, dict[str, SqlValue]]:
        """Return the WHERE clause on `seats AS t` and `users AS u`."""
        parts: list[str] = []
        params: dict[str, SqlValue] = {
            "now": self.now,
            "as_of": self.as_of,
            "subscription": self.subscription_id,
            "user": self.user_id,
        }
        if self.as_of is not None:
            parts.append(_ACTIVE_THEN)
        elif not self.over:
            parts.append("t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)")
        if self.unclaimed:
            parts.append(f"{_CLAIMED_AT} IS NULL")
        if self.text is not None:
            from seatctl.ledger.user_search import matching

            search = matching(reader, self.text)
            parts.append(search.condition)
            params.update(search.params)
        clause = where(
            params, *parts, subscription="t.subscription_id = :subscription", user="t.user_id = :user"
        )
        return clause, params


def listing(reader: Reader, selection: SeatFilter) -> Iterator[Record]:
    """Return seats as output records, in order of assignment; results of a search are not sorted."""
    clause, params = selection.where(reader)
    order = "" if selection.text else " ORDER BY t.id"
    rows = reader.stream(
        "SELECT s.name AS subscription, u.email, u.name, t.assigned_at,"
        f" {_UNTIL} AS until, {_CLAIMED_AT} AS claimed_at,"
        f" CASE WHEN :as_of IS NULL THEN {_REVOKED_AT} END AS revoked_at FROM seats t"
        " JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id"
        f"{clause}{order}",
        params,
    )
    return map(record, rows)


def count(reader: Reader, selection: SeatFilter) -> int:
    """Return how many seats `listing` yields."""
    clause, params = selection.where(reader)
    return reader.count(f"SELECT count(*) FROM seats t JOIN users u ON u.id = t.user_id{clause}", params)


def history(reader: Reader, selection: SeatFilter) -> Iterator[Record]:
    """Return all seats with the actors who assigned and revoked them, oldest first."""
    clause, params = selection.where(reader)
    rows = reader.stream(
        "SELECT s.name AS subscription, u.email, t.assigned_at, given.actor AS assigned_by,"
        f" given.run AS assigned_run, t.until, {_REVOKED_AT} AS revoked_at,"
        f" CASE WHEN {_REVOKED_AT} = t.until THEN 'expiry' ELSE taken.actor END AS revoked_by,"
        " taken.run AS revoked_run FROM seats t"
        " JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id"
        " LEFT JOIN audit given ON given.seq = t.assigned_entry"
        f" LEFT JOIN audit taken ON taken.seq = t.revoked_entry{clause} ORDER BY t.id",
        params,
    )
    return map(record, rows)
