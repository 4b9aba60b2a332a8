"""The changes that bring the ledger to the desired state after `compare.py`: set-based, revocations first."""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.ledger import bulk_users, request_closures, seats
from seatctl.ledger.desired.compare import WANTS
from seatctl.ledger.transaction import Transaction
from seatctl.models.subscription import Subscription

_SAME_PERSON = "desired o WHERE o.email_key = d.email_key AND o.problem IS NULL AND o.verdict = 'unknown'"

_CREATED = f"""SELECT d.email, d.email_key,
        coalesce(d.name, (SELECT max(o.name) FROM {_SAME_PERSON})),
        coalesce(d.group_name, (SELECT max(o.group_name) FROM {_SAME_PERSON})),
        coalesce(d.group_key, (SELECT max(o.group_key) FROM {_SAME_PERSON})),
        NULL, :now, :entry
    FROM desired d WHERE d.verdict = 'unknown' AND NOT EXISTS (SELECT 1 FROM {_SAME_PERSON} AND o.n < d.n)
    ORDER BY d.n"""


_UPDATED = """(SELECT user_id, max(name) AS name, max(group_name) AS group_name, max(group_key) AS group_key
    FROM desired WHERE differs = 1 AND verdict <> 'bad' GROUP BY user_id) r
    JOIN users u ON u.id = r.user_id ORDER BY u.id"""


def write(tx: Transaction, subscriptions: Iterable[Subscription]) -> None:
    """Revoke seats, create and update users, change ends, and assign seats; record and notify."""
    seats.revoke_where(tx, "id IN (SELECT seat_id FROM leaving)", {}, ":now")
    if tx.exists("desired WHERE verdict = 'unknown'"):
        bulk_users.create(tx, _CREATED)
    bulk_users.bring_back(tx, "SELECT user_id FROM desired WHERE verdict = 'back'")
    if tx.exists("desired WHERE differs = 1 AND verdict <> 'bad'"):
        bulk_users.update(
            tx,
            _UPDATED,
            name="coalesce(r.name, u.name)",
            group="coalesce(r.group_name, u.group_name)",
            group_key="coalesce(r.group_key, u.group_key)",
        )
    seats.set_ends(
        tx,
        "desired d JOIN seats t ON t.id = d.seat_id WHERE d.verdict = 'ends' ORDER BY d.n",
        until="nullif(d.until, 'never')",
    )
    seats.assign_each(
        tx,
        f"desired d JOIN desired_subscriptions w ON w.n = d.subscription WHERE {WANTS} ORDER BY d.n",
        subscription="w.subscription_id",
        user="coalesce(d.user_id, (SELECT id FROM users u WHERE u.email_key = d.email_key))",
        until="nullif(d.until, 'never')",
    )
    for subscription in subscriptions:
        request_closures.approve_seated(tx, subscription.id)
