"""Who goes when seats are given back: chosen by a rule, or named in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence

from seatctl.ledger.transaction import Reader
from seatctl.models.seat import DepartureRule

_ORDER = {
    DepartureRule.NEWEST: "t.assigned_at DESC, t.id DESC",
    DepartureRule.OLDEST: "t.assigned_at, t.id",
    DepartureRule.SUSPENDED: "t.assigned_at DESC, t.id DESC",
    DepartureRule.UNCLAIMED: "t.assigned_at DESC, t.id DESC",
}
_ONLY = {
    DepartureRule.SUSPENDED: "AND u.status = 'suspended'",
    DepartureRule.UNCLAIMED: "AND t.claimed_at IS NULL",
}


def choose(reader: Reader, subscription_id: int, how: DepartureRule, seats: int) -> tuple[int, ...]:
    """The ids of at most `seats` users who go under this rule; fewer where the rule finds no more.

    Whose seat ends anyway goes first, so that nobody else has to.
    """
    rows = reader.rows(
        f"SELECT t.user_id FROM seats t JOIN users u ON u.id = t.user_id"  # noqa: S608 - conditions of ours
        f" WHERE t.subscription_id = :pool AND t.revoked_at IS NULL {_ONLY.get(how, '')}"
        f" ORDER BY t.until IS NULL, {_ORDER[how]} LIMIT :seats",
        {"pool": subscription_id, "seats": max(0, seats)},
    )
    return tuple(row["user_id"] for row in rows)


def emails(reader: Reader, users: Sequence[int]) -> tuple[str, ...]:
    """The addresses of these users, in their order."""
    rows = reader.rows(
        "SELECT u.email FROM json_each(?) AS named JOIN users u ON u.id = named.value ORDER BY named.key",
        (json.dumps([*users]),),
    )
    return tuple(row["email"] for row in rows)


def ending_between(reader: Reader, subscription_id: int, after: str, until: str) -> tuple[int, ...]:
    """The users whose seat ends by itself after one moment and until another (written form, UTC)."""
    rows = reader.rows(
        "SELECT user_id FROM seats WHERE subscription_id = ? AND revoked_at IS NULL"
        " AND until > ? AND until <= ?",
        (subscription_id, after, until),
    )
    return tuple(row["user_id"] for row in rows)


def selected_by_decrease(reader: Reader, subscription_id: int, until: str) -> tuple[int, ...]:
    """The users whose seat ends at `until` (written form, UTC) as a decrease said, in the order named."""
    rows = reader.rows(
        "SELECT DISTINCT t.user_id FROM operations o, json_each(o.payload, '$.leaving') named"
        " JOIN seats t ON t.user_id = named.value AND t.subscription_id = o.subscription_id"
        " WHERE o.subscription_id = :pool AND o.kind = 'change' AND o.state = 'done'"
        " AND json_extract(o.payload, '$.term_end') = :until AND t.revoked_at IS NULL AND t.until = :until"
        " ORDER BY o.id, named.key",
        {"pool": subscription_id, "until": until},
    )
    return tuple(row["user_id"] for row in rows)


def seated_in_file(reader: Reader, subscription_id: int) -> tuple[int, ...]:
    """The users of the staged file (`incoming`) who have an active seat there."""
    rows = reader.rows(
        "SELECT t.user_id FROM seats t JOIN incoming i ON i.user_id = t.user_id"
        " WHERE t.subscription_id = ? AND t.revoked_at IS NULL ORDER BY i.line",
        (subscription_id,),
    )
    return tuple(row["user_id"] for row in rows)


def in_file(reader: Reader) -> tuple[str, ...]:
    """The addresses of the staged file, in alphabetical order."""
    rows = reader.rows("SELECT u.email FROM incoming i JOIN users u ON u.id = i.user_id ORDER BY u.email_key")
    return tuple(row["email"] for row in rows)


def not_seated_in_file(reader: Reader, subscription_id: int) -> tuple[str, ...]:
    """The addresses of the staged file (`incoming`) who have no active seat there, in its order."""
    rows = reader.rows(
        "SELECT u.email FROM incoming i JOIN users u ON u.id = i.user_id WHERE NOT EXISTS ("
        " SELECT 1 FROM seats t WHERE t.user_id = i.user_id AND t.subscription_id = ?"
        " AND t.revoked_at IS NULL) ORDER BY i.line",
        (subscription_id,),
    )
    return tuple(row["email"] for row in rows)


def next_seats(reader: Reader, subscription_id: int) -> int:
    """How many seats the next term begins with: what Stripe's item holds."""
    return reader.count("SELECT quantity FROM subscriptions WHERE id = ?", (subscription_id,))


def assigned_last(reader: Reader, subscription_id: int, seats: int) -> list[str]:
    """The addresses of those who were seated last, the latest first, at most `seats` of them."""
    rows = reader.rows(
        "SELECT u.email FROM seats t JOIN users u ON u.id = t.user_id"
        " WHERE t.subscription_id = :pool AND t.revoked_at IS NULL"
        " ORDER BY t.assigned_at DESC, t.id DESC LIMIT :seats",
        {"pool": subscription_id, "seats": max(0, seats)},
    )
    return [row["email"] for row in rows]
