"""The rows that a change with Scope.SHARED locks before it reads what it decides on.

Always in this order, so that two changes never wait for each other: the users as a whole, subscriptions by
their ids, requests by their numbers. A change that has locked the whole ledger locks nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from seatctl.ledger.conditions import flag, one_of
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.subscription_handles import CONDITION, parameters
from seatctl.ledger.transaction import Transaction
from seatctl.models.request import RequestStatus

NUMBERED = "number IN (SELECT CAST(value AS BIGINT) FROM json_each(:numbers))"
"""The condition on requests whose numbers are in a JSON array."""

WAITS = "requests WHERE status = 'waitlisted'"

OPEN = one_of(status for status in RequestStatus if status.is_open)


def _flags(condition: str) -> str:
    """Return the question for what may have changed while the change waited for the subscriptions AS s."""
    is_theirs = f"r.subscription_id IN (SELECT s.id FROM subscriptions s WHERE {condition})"
    is_open = (
        f"SELECT 1 FROM requests r WHERE r.status IN {OPEN} AND (r.subscription_id IS NULL OR {is_theirs})"
    )
    return (
        f"SELECT {flag(f'EXISTS (SELECT 1 FROM {WAITS})')} AS waits,"
        f" {flag('EXISTS (SELECT 1 FROM held_seats)')} AS holds, {flag(f'EXISTS ({is_open})')} AS has_open"
    )


def lock_users(tx: Transaction) -> None:
    """Let no other change add or edit users until this one ends. Assignments of known users go on."""
    if not tx.is_shared:
        return
    tx.engine.lock_users()
    if not tx.has_changed:
        tx.engine.reserve_entry()


def lock_subscriptions(tx: Transaction, condition: str, params: Mapping[str, SqlValue]) -> None:
    """Lock the subscriptions AS s that a condition selects. What is read afterwards is their newest state."""
    if not tx.is_shared:
        return
    tx.lock_rows(f"SELECT s.id FROM subscriptions s WHERE {condition} ORDER BY s.id", params)

    def seen(row: Row | None) -> None:
        if row is not None:
            tx.may_wait, tx.may_hold = row["waits"] == 1, row["holds"] == 1
            tx.may_have_open = bool(tx.may_have_open) or row["has_open"] == 1

    tx.engine.ask(_flags(condition), params, seen)
    if not tx.has_changed:
        # After the lock: for one subscription, the order of the entries is the order of its changes.
        tx.engine.reserve_entry()


def lock_requests(tx: Transaction, numbers: Sequence[int], subscription: str | None = None) -> None:
    """Lock requests, and first the subscriptions that they are for and the one that a handle names."""
    if not tx.is_shared:
        return
    params: dict[str, SqlValue] = {"numbers": json.dumps(list(numbers)), **parameters(subscription or "")}
    wanted = f"SELECT subscription_id FROM requests WHERE {NUMBERED}"
    named = f" OR {CONDITION}" if subscription is not None else ""
    lock_subscriptions(tx, f"s.id IN ({wanted}){named}", params)
    tx.lock_rows(f"SELECT number FROM requests WHERE {NUMBERED} ORDER BY number", params)
