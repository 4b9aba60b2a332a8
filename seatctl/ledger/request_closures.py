"""Requests that are closed without a decision: the user got a seat or was removed, or the request expired.

Decisions are in `requests.py`.
"""

from __future__ import annotations

from seatctl.ledger import change_rows
from seatctl.ledger.conditions import only_in
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.requests import IS_OPEN, decide
from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Transaction
from seatctl.models.request import RequestStatus
from seatctl.rules.approval import AUTOMATIC

SUBSCRIPTION_ENDED = "the subscription has ended"

_HAS_SEAT = """EXISTS (SELECT 1 FROM seats t WHERE t.subscription_id = :subscription
    AND t.user_id = requests.user_id AND t.revoked_at IS NULL)"""
_HAS_FEATURES = """NOT EXISTS (SELECT 1 FROM json_each(requests.features) AS wanted WHERE wanted.value NOT IN
    (SELECT offered.value FROM json_each((SELECT coalesce(json_extract(policy, '$.features'), '[]')
        FROM subscriptions WHERE id = :subscription)) AS offered))"""
"""The condition that the subscription has the features of a request for any subscription."""

_NEW_VALUES = {
    "decided_at": ":now",
    "decided_by": "coalesce(:by, decided_by)",
    "reason": "coalesce(:reason, reason)",
    "status": ":status",
    "subscription_id": "coalesce(subscription_id, :subscription)",
}

HAS_EXPIRED = f"expires_at IS NOT NULL AND expires_at <= :now AND {IS_OPEN}"
"""The condition that a request has expired by `:now` and that no transaction has recorded it yet."""

OF_THE_ENDED = f"""requests r WHERE r.{IS_OPEN} AND r.subscription_id IN
    (SELECT id FROM subscriptions WHERE {HAS_ENDED}
        AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id'))"""
"""The open requests for subscriptions that have ended."""


def cancel_all(tx: Transaction, user_id: int, reason: str) -> int:
    """Cancel every open request of a user; return how many."""
    return _close(
        tx,
        f"user_id = :user AND {IS_OPEN}",
        {"user": user_id},
        RequestStatus.CANCELED,
        tx.call.actor,
        reason,
    )


def approve_seated(tx: Transaction, subscription_id: int, user_id: int | None = None) -> int:
    """Approve the open requests of people who have a seat in the subscription now; return how many.

    Requests for any subscription are included if the seat has the requested features: otherwise these people
    would get a second seat.
    """
    if tx.may_have_open is False:
        return 0
    where = (
        f"{'user_id = :user AND ' if user_id is not None else ''}{IS_OPEN}"
        f" AND (subscription_id = :subscription OR subscription_id IS NULL AND {_HAS_FEATURES})"
        f" AND {_HAS_SEAT}"
    )
    params: dict[str, SqlValue] = {"subscription": subscription_id, "user": user_id}
    return _close(tx, where, params, RequestStatus.APPROVED, tx.call.actor, "seated")


def expire(tx: Transaction) -> int:
    """Close the open requests that have expired; return how many."""
    condition = f"{HAS_EXPIRED}{only_in('subscription_id', tx.only)}"
    return _close(tx, condition, {"only": tx.only}, RequestStatus.EXPIRED, None, None)


def deny_for_ended_subscriptions(tx: Transaction) -> int:
    """Deny the open requests for subscriptions that have ended, notify the users, and return how many."""
    condition = f"{OF_THE_ENDED}{only_in('r.subscription_id', tx.only)}"
    query = f"SELECT r.number, r.user_id FROM {condition} ORDER BY r.number"
    rows = list(tx.rows(query, {"only": tx.only}))
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
    """Record the changes while the condition still selects the requests, then close them.

    `:subscription` is where the users have seats, if anywhere.
    """
    by, reason = decided
    params = {"subscription": None, **params, "now": tx.now}
    # A request for any subscription may be closed in another one at the same time.
    tx.lock_rows(f"SELECT number FROM requests WHERE {where} ORDER BY number", params)
    if not tx.exists(f"requests WHERE {where}", params):
        return 0
    params |= {"status": status.value, "by": by, "reason": reason}
    before, after = change_rows.request(), change_rows.request(**_NEW_VALUES)
    select = f"SELECT number AS entity_id, {before} AS before, {after} AS after FROM requests WHERE {where}"
    tx.record_many("request", select, params)
    assignments = ", ".join(f"{column} = {value}" for column, value in _NEW_VALUES.items())
    return tx.changed(f"UPDATE requests SET {assignments} WHERE {where}", params)
