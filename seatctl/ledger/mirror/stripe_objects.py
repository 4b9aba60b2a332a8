"""Stripe objects stored as JSON: products and prices, and subscriptions until they are applied to facts.

Subscriptions are applied in one transaction after everything has been read; until then they wait here, and a
sync that was killed continues with them. Products and prices stay: plans are derived from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from seatctl.ledger.conditions import texts_in
from seatctl.ledger.row_values import compact_json, json_list, mapper
from seatctl.ledger.subscription_handles import OVER
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.call import format_time
from seatctl.models.stripe_objects import Kind, MirroredObject

_BATCH = 200
"""Rows read at a time, while others may be written."""

_INTO = "INSERT INTO stripe_objects (stripe_id, kind, parent, created, data, read_at)"
_REFRESH = (
    "ON CONFLICT (stripe_id) DO UPDATE SET parent = excluded.parent, read_at = excluded.read_at,"
    " data = excluded.data"
)


def store_all(journal: Journal, objects: Iterable[MirroredObject], now: datetime) -> None:
    """Store objects as they were read from Stripe at `now` (UTC)."""
    read_at = format_time(now)
    rows = {
        stored.id: (
            *(stored.id, stored.kind.value, stored.parent, stored.created),
            *(compact_json(stored.data), read_at),
        )  # the last one of an id: a statement cannot refresh a row twice
        for stored in objects
    }
    journal.insert_all(_INTO, "(?, ?, ?, ?, ?, ?)", [*rows.values()], _REFRESH)


def delete(journal: Journal, identifiers: Iterable[str]) -> None:
    """Delete objects that were applied, or were deleted in Stripe."""
    journal.execute(
        f"DELETE FROM stripe_objects WHERE stripe_id IN {texts_in('?')}", (json_list(identifiers),)
    )


def delete_kind(journal: Journal, kind: Kind) -> None:
    """Delete all objects of a kind, before the list is read from its beginning."""
    journal.execute("DELETE FROM stripe_objects WHERE kind = ?", (kind.value,))


def note_expected(journal: Journal, now: datetime) -> None:
    """Insert the customers and drafts that a backfill should find; those it does not find were deleted."""
    for kind, source in (
        (Kind.CUSTOMER, "customers WHERE deleted = 0"),
        (Kind.INVOICE, "invoices WHERE status = 'draft'"),
    ):
        journal.execute(
            "INSERT INTO stripe_objects (stripe_id, kind, created, read_at, data)"
            f" SELECT stripe_id, :kind, 0, :now, '{{}}' FROM {source} ON CONFLICT (stripe_id) DO NOTHING",
            {"kind": kind.value, "now": format_time(now)},
        )


def has_expected(reader: Reader) -> bool:
    """Return whether any expected object was not found yet."""
    return bool(reader.count("SELECT 1 FROM stripe_objects WHERE kind IN ('customer', 'invoice') LIMIT 1"))


def expected(reader: Reader) -> list[tuple[Kind, str]]:
    """Return the expected objects that a backfill did not find."""
    return [
        (missing.kind, missing.id)
        for kind in (Kind.CUSTOMER, Kind.INVOICE)
        for missing in listing(reader, kind)
    ]


def get(reader: Reader, identifier: str) -> MirroredObject | None:
    """Return the stored object with this id, or None."""
    row = reader.row(
        "SELECT stripe_id AS id, kind, parent, created, data FROM stripe_objects WHERE stripe_id = ?",
        (identifier,),
    )
    return None if row is None else _stored(row)


def listing(reader: Reader, kind: Kind) -> Iterator[MirroredObject]:
    """Yield all objects of a kind in order of creation; others may be written meanwhile."""
    last = (0, "")
    while True:
        rows = list(
            reader.rows(
                "SELECT stripe_id AS id, kind, parent, created, data FROM stripe_objects WHERE kind = :kind"
                " AND (created > :created OR (created = :created AND stripe_id > :last))"
                " ORDER BY created, stripe_id LIMIT :batch",
                {"kind": kind.value, "created": last[0], "last": last[1], "batch": _BATCH},
            )
        )
        if not rows:
            return
        yield from (_stored(row) for row in rows)
        last = (rows[-1]["created"], rows[-1]["id"])


def by_ids(reader: Reader, identifiers: Sequence[str]) -> Iterator[MirroredObject]:
    """Yield the stored objects among these ids, in the same order; others may be written meanwhile."""
    for start in range(0, len(identifiers), _BATCH):
        rows = reader.rows(
            "SELECT o.stripe_id AS id, o.kind, o.parent, o.created, o.data FROM json_each(?) AS wanted"
            " JOIN stripe_objects o ON o.stripe_id = wanted.value ORDER BY CAST(wanted.key AS BIGINT)",
            (json_list(identifiers[start : start + _BATCH]),),
        )
        for row in list(rows):
            yield _stored(row)


def waiting_subscriptions(reader: Reader) -> list[str]:
    """Return the ids of waiting subscriptions, oldest first; those that have ended come last."""
    return reader.column(
        "SELECT stripe_id FROM stripe_objects WHERE kind = 'subscription' ORDER BY"
        f" json_extract(data, '$.status') IN {OVER}, created, stripe_id"
    )


def prices_of(reader: Reader, product: str) -> list[MirroredObject]:
    """Return the prices of a product, oldest first."""
    rows = reader.rows(
        "SELECT stripe_id AS id, kind, parent, created, data FROM stripe_objects"
        " WHERE parent = ? AND kind = 'price' ORDER BY created, stripe_id",
        (product,),
    )
    return [_stored(row) for row in rows]


def outdated(reader: Reader) -> list[str]:
    """Return the ids of waiting subscriptions that an operation of this ledger changed since they were read.

    The same second counts as later: an older copy must not overwrite what the operation stored.
    """
    return reader.column(
        "SELECT DISTINCT o.stripe_id FROM stripe_objects o"
        " JOIN subscriptions s ON s.stripe_subscription = o.stripe_id"
        " JOIN operations p ON p.subscription_id = s.id"
        " WHERE o.kind = 'subscription' AND p.finished_at >= o.read_at"
    )


def count(reader: Reader, kind: Kind) -> int:
    """Return how many objects of a kind are stored."""
    return reader.count("SELECT count(*) FROM stripe_objects WHERE kind = ?", (kind.value,))


_stored = mapper(MirroredObject)
