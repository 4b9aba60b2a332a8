"""Seats read: who sits where now, who sat there at a moment of the past, and who ever did.

A seat keeps when it was taken and when it ended; when it was to end then, its change rows say.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.transaction import Reader

if TYPE_CHECKING:
    from seatctl.models.report import Record

_REVOKED_AT = "coalesce(t.revoked_at, CASE WHEN t.until <= :now THEN t.until END)"
"""When a seat ended, as a read sees it: what expired counts, although no change has recorded it yet."""
_SAT_THEN = (
    "t.assigned_at <= :as_of AND (t.revoked_at IS NULL OR t.revoked_at > :as_of)"
    " AND (t.until IS NULL OR t.until > :as_of)"
)
_CLAIMED_AT = "CASE WHEN :as_of IS NULL OR t.claimed_at <= :as_of THEN t.claimed_at END"
_UNTIL = """CASE WHEN :as_of IS NULL THEN t.until ELSE nullif(coalesce(
    (SELECT coalesce(json_extract(c.before, '$.until'), '') FROM changes c JOIN audit a ON a.seq = c.entry
        WHERE c.entity = 'seat' AND c.entity_id = t.id AND a.at > :as_of
        AND json_extract(c.before, '$.user_id') IS NOT NULL ORDER BY c.entry, c.n LIMIT 1),
    t.until, ''), '') END"""
"""When the seat was to end: what the first change after that moment found, else what is so today."""


class SeatFilter(NamedTuple):
    """Which seats to list; `now` in the written form: a seat whose `until` has passed is over."""

    now: str
    subscription_id: int | None = None
    user_id: int | None = None
    text: str | None = None
    over: bool = False
    """Also those that are over: revoked or expired."""
    unclaimed: bool = False
    """Only those whose activation code was never used."""
    as_of: str | None = None
    """Who sat there at this moment of the past, in the written form."""

    def where(self) -> tuple[str, dict[str, SqlValue]]:
        """The condition on seats AS t and users AS u."""
        parts: list[str] = []
        params: dict[str, SqlValue] = {"now": self.now, "as_of": self.as_of}
        if self.as_of is not None:
            parts.append(_SAT_THEN)
        elif not self.over:
            parts.append("t.revoked_at IS NULL AND (t.until IS NULL OR t.until > :now)")
        if self.unclaimed:
            parts.append(f"{_CLAIMED_AT} IS NULL")
        if self.subscription_id is not None:
            parts.append("t.subscription_id = :subscription")
            params["subscription"] = self.subscription_id
        if self.user_id is not None:
            parts.append("t.user_id = :user")
            params["user"] = self.user_id
        if self.text is not None:
            from seatctl.ledger.user_search import matching

            found = matching(self.text)
            parts.append(found.condition)
            params.update(found.params)
        return " AND ".join(parts) or "1", params


def listing(reader: Reader, chosen: SeatFilter) -> Iterator[Record]:
    """Seats as records of output, in the order in which they were taken; of a search, as they are found."""
    where, params = chosen.where()
    order = "" if chosen.text else " ORDER BY t.id"
    found = reader.rows(
        "SELECT s.name AS subscription, u.email, u.name, t.assigned_at,"
        f" {_UNTIL} AS until, {_CLAIMED_AT} AS claimed_at,"
        f" CASE WHEN :as_of IS NULL THEN {_REVOKED_AT} END AS revoked_at FROM seats t"
        " JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id"
        f" WHERE {where}{order}",
        params,
    )
    return map(_record, found)


def count(reader: Reader, chosen: SeatFilter) -> int:
    """How many seats `listing` yields."""
    where, params = chosen.where()
    return reader.count(
        f"SELECT count(*) FROM seats t JOIN users u ON u.id = t.user_id WHERE {where}", params
    )


def history(reader: Reader, chosen: SeatFilter) -> Iterator[Record]:
    """Every seat there ever was, with who gave and who took it, oldest first."""
    where, params = chosen.where()
    found = reader.rows(
        "SELECT s.name AS subscription, u.email, t.assigned_at, given.actor AS assigned_by,"
        f" given.run AS assigned_run, t.until, {_REVOKED_AT} AS revoked_at,"
        f" CASE WHEN {_REVOKED_AT} = t.until THEN 'expiry' ELSE taken.actor END AS revoked_by,"
        " taken.run AS revoked_run FROM seats t"
        " JOIN subscriptions s ON s.id = t.subscription_id JOIN users u ON u.id = t.user_id"
        " LEFT JOIN audit given ON given.seq = t.assigned_entry"
        f" LEFT JOIN audit taken ON taken.seq = t.revoked_entry WHERE {where} ORDER BY t.id",
        params,
    )
    return map(_record, found)


def _record(row: Row) -> Record:
    return dict(zip(row.keys(), row, strict=True))
