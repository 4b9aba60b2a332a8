"""The rows that a change with Scope.SHARED locks before it reads what it decides on.

Always in this order, so that two changes never wait for each other: the users as a whole, subscriptions by
their ids, requests by their numbers. A change that has locked the whole ledger locks nothing more.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from seatctl.ledger.conditions import flag
from seatctl.ledger.engines.port import Row, SqlValue
from seatctl.ledger.subscription_handles import CONDITION, parameters
from seatctl.ledger.transaction import Transaction

NUMBERED = "number IN (SELECT CAST(value AS BIGINT) FROM json_each(:numbers))"
"""The condition on requests whose numbers are in a JSON array."""

WAITS = "requests WHERE status = 'waitlisted'"

_FLAGS = f"""SELECT {flag(f"EXISTS (SELECT 1 FROM {WAITS})")} AS waits,
    {flag("EXISTS (SELECT 1 FROM held_seats)")} AS holds"""


def lock_users(tx: Transaction) -> None:
    """Let no other change add or edit users until this one ends. Assignments of known users go on."""
    if tx.is_shared:
        tx.engine.lock_users()


def lock_subscriptions(tx: Transaction, condition: str, params: Mapping[str, SqlValue]) -> None:
    """Lock the subscriptions AS s that a condition selects. What is read afterwards is their newest state."""
    if not tx.is_shared:
        return
    tx.lock_rows(f"SELECT s.id FROM subscriptions s WHERE {condition} ORDER BY s.id", params)

    def seen(row: Row | None) -> None:
        """Somebody may have joined a waitlist, or held seats, while this change waited for the lock."""
        if row is not None:
            tx.may_wait, tx.may_hold = row["waits"] == 1, row["holds"] == 1

    tx.engine.ask(_FLAGS, (), seen)
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
