"""Queries for the people who lose their seats in a decrease: selected by a rule, or named in a file."""

from __future__ import annotations

import json
from collections.abc import Sequence

from seatctl.ledger.transaction import Reader
from seatctl.models.departure import DepartureRule

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


def choose(reader: Reader, subscription_id: int, rule: DepartureRule, seats: int) -> tuple[int, ...]:
    """Return the ids of at most `seats` users whom this rule selects; fewer if the rule finds no more.

    People whose seat ends anyway are selected first, so that fewer others lose theirs.
    """
    rows = reader.column(
        f"SELECT t.user_id FROM seats t JOIN users u ON u.id = t.user_id"
        f" WHERE t.subscription_id = :subscription AND t.revoked_at IS NULL {_ONLY.get(rule, '')}"
        f" ORDER BY t.until IS NULL, {_ORDER[rule]} LIMIT :seats",
        {"subscription": subscription_id, "seats": max(0, seats)},
    )
    return tuple(rows)


def emails(reader: Reader, users: Sequence[int]) -> tuple[str, ...]:
    """Return the e-mail addresses of these users, in the same order."""
    rows = reader.column(
        "SELECT u.email FROM json_each(?) AS named JOIN users u ON u.id = CAST(named.value AS BIGINT)"
        " ORDER BY CAST(named.key AS BIGINT)",
        (json.dumps([*users]),),
    )
    return tuple(rows)


def ending_between(reader: Reader, subscription_id: int, after: str, until: str) -> tuple[int, ...]:
    """Return the ids of users whose seat ends after `after` and no later than `until` (written form, UTC)."""
    rows = reader.column(
        "SELECT user_id FROM seats WHERE subscription_id = ? AND revoked_at IS NULL"
        " AND until > ? AND until <= ?",
        (subscription_id, after, until),
    )
    return tuple(rows)


def selected_by_decrease(reader: Reader, subscription_id: int, until: str) -> tuple[int, ...]:
    """Return the ids of users selected by a decrease to lose their seat at `until`, in selection order.

    `until` is in the written form (UTC).
    """
    rows = reader.column(
        "SELECT t.user_id FROM operations o CROSS JOIN json_each(o.payload, '$.leaving') AS named"
        " JOIN seats t ON t.user_id = CAST(named.value AS BIGINT) AND t.subscription_id = o.subscription_id"
        " WHERE o.subscription_id = :subscription AND o.kind = 'change' AND o.state = 'done'"
        " AND json_extract(o.payload, '$.term_end') = :until AND t.revoked_at IS NULL AND t.until = :until"
        " ORDER BY o.id, CAST(named.key AS BIGINT)",
        {"subscription": subscription_id, "until": until},
    )
    return tuple(dict.fromkeys(rows))


def seated_in_file(reader: Reader, subscription_id: int) -> tuple[int, ...]:
    """Return the ids of users in the staged file (`incoming`) who have an active seat in the subscription."""
    rows = reader.column(
        "SELECT t.user_id FROM seats t JOIN incoming i ON i.user_id = t.user_id"
        " WHERE t.subscription_id = ? AND t.revoked_at IS NULL ORDER BY i.line",
        (subscription_id,),
    )
    return tuple(rows)


def in_file(reader: Reader) -> tuple[str, ...]:
    """Return the e-mail addresses of the users in the staged file (`incoming`), in alphabetical order."""
    rows = reader.column(
        "SELECT u.email FROM incoming i JOIN users u ON u.id = i.user_id ORDER BY u.email_key"
    )
    return tuple(rows)


def not_seated_in_file(reader: Reader, subscription_id: int) -> tuple[str, ...]:
    """Return the addresses in the staged file (`incoming`) without an active seat there, in file order."""
    rows = reader.column(
        "SELECT u.email FROM incoming i JOIN users u ON u.id = i.user_id WHERE NOT EXISTS ("
        " SELECT 1 FROM seats t WHERE t.user_id = i.user_id AND t.subscription_id = ?"
        " AND t.revoked_at IS NULL) ORDER BY i.line",
        (subscription_id,),
    )
    return tuple(rows)


def next_seats(reader: Reader, subscription_id: int) -> int:
    """Return the seats of the next term: the quantity of Stripe's item."""
    return reader.count("SELECT quantity FROM subscriptions WHERE id = ?", (subscription_id,))


def assigned_last(reader: Reader, subscription_id: int, seats: int) -> list[str]:
    """Return the e-mail addresses of the `seats` people assigned last, the latest first."""
    return reader.column(
        "SELECT u.email FROM seats t JOIN users u ON u.id = t.user_id"
        " WHERE t.subscription_id = :subscription AND t.revoked_at IS NULL"
        " ORDER BY t.assigned_at DESC, t.id DESC LIMIT :seats",
        {"subscription": subscription_id, "seats": max(0, seats)},
    )
