"""Requests that close without anybody deciding them: seated otherwise, expired, a user or subscription gone.

What somebody decides is `requests.py`'s.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this module; every value is bound.

from __future__ import annotations

from seatctl.ledger import change_rows
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.requests import ENDED, IS_OPEN, decide
from seatctl.ledger.transaction import Transaction
from seatctl.models.request import RequestStatus
from seatctl.rules.approval import AUTOMATIC

SUBSCRIPTION_ENDED = "the subscription has ended"

_SITS = """EXISTS (SELECT 1 FROM seats t WHERE t.subscription_id = :pool AND t.user_id = requests.user_id
    AND t.revoked_at IS NULL)"""
_GRANTED = """NOT EXISTS (SELECT 1 FROM json_each(requests.features) AS wanted WHERE wanted.value NOT IN
    (SELECT value FROM json_each((SELECT coalesce(json_extract(policy, '$.features'), '[]')
        FROM subscriptions WHERE id = :pool))))"""
"""Of one for any subscription: the seat grants what was asked for."""

_BECOMES = {
    "decided_at": ":now",
    "decided_by": "coalesce(:by, decided_by)",
    "reason": "coalesce(:reason, reason)",
    "status": ":status",
    "subscription_id": "coalesce(subscription_id, :pool)",
}

_OF_THE_ENDED = f"""SELECT r.number, r.user_id FROM requests r WHERE r.{IS_OPEN} AND r.subscription_id IN
    (SELECT id FROM subscriptions WHERE {ENDED}
        AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id')) ORDER BY r.number"""


def cancel_all(tx: Transaction, user_id: int, reason: str) -> int:
    """Cancel every open request of a user; how many."""
    return _close(
        tx,
        f"user_id = :user AND {IS_OPEN}",
        {"user": user_id},
        RequestStatus.CANCELED,
        tx.call.actor,
        reason,
    )


def approve_seated(tx: Transaction, subscription_id: int, user_id: int | None = None) -> int:
    """Close the open requests of those who sit there now: they have what they asked for. How many.

    Those for any subscription too, where the seat grants what was wanted: they would be seated twice.
    """
    where = (
        f"{'user_id = :user AND ' if user_id is not None else ''}{IS_OPEN}"
        f" AND (subscription_id = :pool OR subscription_id IS NULL AND {_GRANTED}) AND {_SITS}"
    )
    params: dict[str, SqlValue] = {"pool": subscription_id, "user": user_id}
    return _close(tx, where, params, RequestStatus.APPROVED, tx.call.actor, "seated")


def expire(tx: Transaction) -> int:
    """Close the open requests whose time has passed; how many."""
    where = f"expires_at IS NOT NULL AND expires_at <= :now AND {IS_OPEN}"
    return _close(tx, where, {}, RequestStatus.EXPIRED, None, None)


def deny_for_ended_subscriptions(tx: Transaction) -> int:
    """Deny what was asked of subscriptions that have ended, and tell those who asked; how many."""
    rows = list(tx.rows(_OF_THE_ENDED))
    for row in rows:
        decide(tx, row["number"], RequestStatus.DENIED, by=AUTOMATIC, reason=SUBSCRIPTION_ENDED)
        tx.mail("request_denied", {"request": row["number"]}, recipient_id=row["user_id"])
    return len(rows)


def _close(
    tx: Transaction,
    where: str,
    params: dict[str, SqlValue],
    status: RequestStatus,
    *decided: *tuple[str | None, str | None],
) -> int:
    """Record first, while the condition still finds them; then close them. `:pool` is where they sit."""
    by, reason = decided
    params = {"pool": None, **params, "now": tx.now}
    if tx.value(f"SELECT 1 FROM requests WHERE {where} LIMIT 1", params) is None:
        return 0
    params |= {"status": status.value, "by": by, "reason": reason}
    before, after = change_rows.request(), change_rows.request(**_BECOMES)
    select = f"SELECT number AS entity_id, {before} AS before, {after} AS after FROM requests WHERE {where}"
    tx.record_many("request", select, params)
    becomes = ", ".join(f"{column} = {value}" for column, value in _BECOMES.items())
    return tx.execute(f"UPDATE requests SET {becomes} WHERE {where}", params)
