"""Assigning and revoking seats, and changing their ends. Lists are in `seat_lists.py`.

The schema's triggers enforce the capacity against any writer; this module only decides who gets a seat.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from seatctl.ledger import change_rows
from seatctl.ledger.conditions import numbers_in, only_in
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Reader, Transaction

_OF_USERS = f"subscription_id = :subscription AND revoked_at IS NULL AND user_id IN {numbers_in(':users')}"


HAS_EXPIRED = "until IS NOT NULL AND until <= :now AND revoked_at IS NULL"
"""The condition that a seat has ended by `:now` and that no transaction has recorded it yet."""

_NOT_RECORDED = """ AND NOT EXISTS (SELECT 1 FROM changes c
    WHERE c.entity = 'seat' AND c.entity_id = t.id AND c.entry = :entry)"""
"""Without the seats that this transaction assigned before."""

# -- assigning ----------------------------------------------------------------------------------


def assign_each(
    tx: Transaction,
    source: str,
    params: Mapping[str, SqlValue] | None = None,
    *,
    subscription: str,
    user: str,
    until: str,
    claimed_at: str = "NULL",
    number: int | None = None,
) -> int:
    """Assign a seat for each row of `source` (a FROM clause with its conditions), record and notify.

    The other parameters are SQL expressions for such a row. `number` is how many rows there are, if it is
    known. Returns how many seats were assigned.
    """
    if number == 0:
        return 0
    before, earlier = tx.recorded, tx.has_assigned
    insert = (
        "INSERT INTO seats (subscription_id, user_id, assigned_at, until, claimed_at, assigned_entry)"
        f" SELECT {subscription}, {user}, :now, {until}, {claimed_at}, :entry FROM {source}"
    )
    values = {**(params or {}), "now": tx.now, "entry": tx.entry}
    if number is None:
        assigned = tx.changed(insert, values)
    else:
        tx.execute(insert, values)
        assigned = number
    if assigned:
        _record_new(tx, f"t.assigned_entry = :entry{_NOT_RECORDED if earlier else ''} ORDER BY t.id")
        tx.mail_each("seat_assigned", before)
    return assigned


def assign(tx: Transaction, subscription_id: int, user_id: int, until: str | None = None) -> int:
    """Assign and record a seat for a user without an active seat there; return its id. Sends no message."""
    seat = tx.insert_row(
        "seats",
        {
            "subscription_id": subscription_id,
            "user_id": user_id,
            "assigned_at": tx.now,
            "until": until,
            "assigned_entry": tx.entry,
        },
    )
    tx.has_assigned = True
    tx.record_row("seat", f"{_NEW} WHERE t.id = :seat", {"seat": seat})
    return seat


_NEW = f"SELECT t.id AS entity_id, NULL AS before, {change_rows.seat('t')} AS after FROM seats t"


def _record_new(tx: Transaction, where: str) -> None:
    """Record the seats `t` that this transaction has just assigned."""
    tx.has_assigned = True
    tx.record_many("seat", f"{_NEW} WHERE {where}", {"entry": tx.entry})


# -- revoking -----------------------------------------------------------------------------------


def revoke_all(tx: Transaction, user_id: int) -> int:
    """Revoke all seats of a user; return how many."""
    return revoke_where(tx, "user_id = :user AND revoked_at IS NULL", {"user": user_id}, ":now")


def revoke_users(tx: Transaction, subscription_id: int, user_ids: Sequence[int]) -> int:
    """Revoke the seats of these users in a subscription; return how many."""
    params: dict[str, SqlValue] = {"subscription": subscription_id, "users": json.dumps(list(user_ids))}
    return revoke_where(tx, _OF_USERS, params, ":now")


def set_end(tx: Transaction, subscription_id: int, user_ids: Sequence[int], until: str) -> int:
    """Let the seats of these users end at `until` (written form, UTC), unless they end earlier anyway."""
    return _set_until(tx, subscription_id, user_ids, until, "(until IS NULL OR until > :until)")


def clear_end(tx: Transaction, subscription_id: int, user_ids: Sequence[int]) -> int:
    """Let the seats of these users not end; return how many changed."""
    return _set_until(tx, subscription_id, user_ids, None, "until IS NOT NULL")


def _set_until(
    tx: Transaction, subscription_id: int, user_ids: Sequence[int], until: str | None, condition: str
) -> int:
    params: dict[str, SqlValue] = {
        "subscription": subscription_id,
        "users": json.dumps(list(user_ids)),
        "until": until,
    }
    return set_ends(tx, f"seats t WHERE {_OF_USERS} AND {condition}", params, until=":until")


def set_ends(
    tx: Transaction, source: str, params: Mapping[str, SqlValue] | None = None, *, until: str
) -> int:
    """Change and record the ends of the seats `t` that `source` (a FROM clause with its conditions) selects.

    `until` is an SQL expression for a row of `source`. Returns how many ends were changed.
    """
    params = params or {}
    if not tx.exists(source, params):
        return 0
    before, after = change_rows.seat("t"), change_rows.seat("t", until=until)
    changed = tx.record_many(
        "seat", f"SELECT t.id AS entity_id, {before} AS before, {after} AS after FROM {source}", params
    )
    tx.execute(
        f"UPDATE seats SET until = n.until FROM (SELECT t.id AS id, {until} AS until FROM {source}) AS n"
        " WHERE seats.id = n.id",
        params,
    )
    return changed


def expire(tx: Transaction) -> int:
    """Revoke the seats whose `until` has passed; they ended at that moment. Return how many."""
    return revoke_where(tx, f"{HAS_EXPIRED}{only_in('subscription_id', tx.only)}", {"only": tx.only}, "until")


class Freed(NamedTuple):
    """The seats of one subscription that are about to be revoked."""

    subscription: int
    seats: int
    first_user: int
    last_user: int


def count_freed(tx: Transaction, where: str, params: dict[str, SqlValue]) -> list[Freed]:
    """Count the seats that a condition selects, by subscription."""
    rows = tx.rows(
        "SELECT subscription_id, count(*) AS seats, min(user_id) AS first, max(user_id) AS last"
        f" FROM seats WHERE {where} GROUP BY subscription_id",
        params,
    )
    return [Freed(*row) for row in rows]


def revoke_where(
    tx: Transaction,
    where: str,
    params: dict[str, SqlValue],
    moment: str,
    counted: list[Freed] | None = None,
) -> int:
    """Revoke and record the seats that a condition selects, and notify the users; return how many.

    `moment` is an SQL expression for the time of the end: `:now`, or `until` for seats that have expired. The
    changes are recorded first, while the condition still selects the seats. `counted` is the result of
    `count_freed`, if it is known.
    """
    params = {**params, "now": tx.now}
    is_revocation = moment == ":now"
    if is_revocation:
        # The waitlist may have to wait for them.
        counted = count_freed(tx, where, params) if counted is None else counted
        for subscription, freed, first, last in counted:
            tx.freed[subscription] = tx.freed.get(subscription, 0) + freed
            tx.freed_users |= {first, last}
    if not (counted if is_revocation else tx.exists(f"seats WHERE {where}", params)):
        return 0
    if is_revocation:
        moment = (
            # A seat does not end before it begins, even if the clock was set back.
            "CASE WHEN assigned_at > :now THEN assigned_at ELSE :now END"
        )
    ended, before = change_rows.seat(revoked_at=moment), tx.recorded
    revoked = tx.record_many(
        "seat",
        f"SELECT id AS entity_id, {change_rows.seat()} AS before, {ended} AS after FROM seats WHERE {where}",
        params,
    )
    message = tx.mail_each("seat_revoked", before)
    if is_revocation and message is not None:
        tx.freed_mails.append(message)
    tx.execute(
        f"UPDATE seats SET revoked_at = {moment}, revoked_entry = :entry WHERE {where}",
        {**params, "entry": tx.entry},
    )
    return revoked


# -- reading ------------------------------------------------------------------------------------


def active_id(reader: Reader, subscription_id: int, user_id: int) -> int | None:
    """Return the id of the user's active seat, or None. For transactions: they record expired seats first."""
    return reader.number(
        "SELECT id FROM seats WHERE subscription_id = ? AND user_id = ? AND revoked_at IS NULL",
        (subscription_id, user_id),
    )


def ask_active(tx: Transaction, user_id: int, found: set[int]) -> None:
    """Add the subscriptions in which the user has an active seat to `found`, with the next answer."""
    tx.engine.ask_all(
        "SELECT subscription_id FROM seats WHERE user_id = ? AND revoked_at IS NULL",
        (user_id,),
        lambda rows: found.update(row["subscription_id"] for row in rows),
    )


def is_seated(reader: Reader, subscription_id: int, user_id: int, now: str) -> bool:
    """Return whether the user has an active seat at `now` (written form). For reads."""
    return (
        reader.value(
            "SELECT 1 FROM seats WHERE subscription_id = ? AND user_id = ? AND revoked_at IS NULL"
            " AND (until IS NULL OR until > ?)",
            (subscription_id, user_id, now),
        )
        is not None
    )


def until_of(reader: Reader, subscription_id: int, user_id: int) -> str | None:
    """Return when the user's active seat there ends, in the written form; None: never."""
    return reader.text(
        "SELECT until FROM seats WHERE subscription_id = ? AND user_id = ? AND revoked_at IS NULL",
        (subscription_id, user_id),
    )
