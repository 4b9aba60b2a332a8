"""The changes that bring the ledger to the desired state after `compare.py`: set-based, revocations first."""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.ledger import change_rows, request_closures, seats, user_search
from seatctl.ledger.desired.compare import WANTS
from seatctl.ledger.returning_users import bring_back
from seatctl.ledger.transaction import Transaction
from seatctl.models.subscription import Subscription

_CREATE = """INSERT INTO users (email, email_key, name, group_name, created_at)
    SELECT d.email, d.email_key,
        coalesce(d.name, (SELECT max(o.name) FROM desired o WHERE o.email_key = d.email_key)),
        coalesce(d.group_name, (SELECT max(o.group_name) FROM desired o WHERE o.email_key = d.email_key)),
        :now
    FROM desired d WHERE d.verdict = 'unknown' AND NOT EXISTS (SELECT 1 FROM desired o
        WHERE o.email_key = d.email_key AND o.problem IS NULL AND o.verdict = 'unknown' AND o.n < d.n)
    ORDER BY d.n"""

_CREATED = f"""SELECT id AS entity_id, NULL AS before, {change_rows.user()} AS after FROM users
    WHERE id > :last ORDER BY id"""

_UPDATED = """CREATE TEMP TABLE renamed AS SELECT user_id, max(name) AS name, max(group_name) AS group_name
    FROM desired WHERE differs AND verdict <> 'bad' GROUP BY user_id"""

_NEW_VALUES = {"name": "coalesce(r.name, u.name)", "group": "coalesce(r.group_name, u.group_name)"}

_BEFORE_AND_AFTER = f"""SELECT u.id AS entity_id, {change_rows.user("u")} AS before,
    {change_rows.user("u", **_NEW_VALUES)} AS after
    FROM renamed r JOIN users u ON u.id = r.user_id ORDER BY u.id"""

_NEW_ENDS = f"""SELECT t.id AS entity_id, {change_rows.seat("t")} AS before,
    {change_rows.seat("t", until="nullif(d.until, 'never')")} AS after
    FROM desired d JOIN seats t ON t.id = d.seat_id WHERE d.verdict = 'ends' ORDER BY d.n"""


def write(tx: Transaction, subscriptions: Iterable[Subscription]) -> None:
    """Revoke seats, create and update users, change ends, and assign seats; record and notify."""
    seats.revoke_where(tx, "id IN (SELECT seat_id FROM leaving)", {}, ":now")
    _create_users(tx)
    bring_back(tx, "SELECT user_id FROM desired WHERE verdict = 'back'")
    _update_users(tx)
    _change_ends(tx)
    _assign(tx)
    for subscription in subscriptions:
        request_closures.approve_seated(tx, subscription.id)


def _create_users(tx: Transaction) -> None:
    last = tx.count("SELECT max(id) FROM users")
    if tx.value("SELECT 1 FROM desired WHERE verdict = 'unknown' LIMIT 1") and tx.execute(
        _CREATE, {"now": tx.now}
    ):
        user_search.index_after(tx, last)
        tx.record_many("user", _CREATED, {"last": last})


def _update_users(tx: Transaction) -> None:
    if tx.value("SELECT 1 FROM desired WHERE differs AND verdict <> 'bad' LIMIT 1") is None:
        return
    tx.execute("DROP TABLE IF EXISTS temp.renamed")
    tx.execute(_UPDATED)
    tx.record_many("user", _BEFORE_AND_AFTER, {})
    user_search.remove(tx, "SELECT user_id FROM renamed", {})
    tx.execute(
        "UPDATE users SET name = coalesce(r.name, users.name),"
        " group_name = coalesce(r.group_name, users.group_name) FROM renamed r WHERE users.id = r.user_id"
    )
    user_search.index(tx, "SELECT user_id FROM renamed", {})


def _change_ends(tx: Transaction) -> None:
    if tx.value("SELECT 1 FROM desired WHERE verdict = 'ends' LIMIT 1") is None:
        return
    tx.record_many("seat", _NEW_ENDS, {})
    tx.execute(
        "UPDATE seats SET until = nullif(d.until, 'never') FROM desired d"
        " WHERE seats.id = d.seat_id AND d.verdict = 'ends'"
    )


def _assign(tx: Transaction) -> None:
    last = seats.last_id(tx)
    assigned = tx.execute(
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until, assigned_entry)"
        " SELECT w.subscription_id,"
        " coalesce(d.user_id, (SELECT id FROM users u WHERE u.email_key = d.email_key)),"
        " :now, nullif(d.until, 'never'), :entry"
        " FROM desired d CROSS JOIN desired_subscriptions w ON w.n = d.subscription"
        f" WHERE {WANTS} ORDER BY d.n",
        {"now": tx.now, "entry": tx.entry},
    )
    if assigned:
        before = tx.recorded
        seats.record_new(tx, last)
        tx.mail_each("seat_assigned", before)
