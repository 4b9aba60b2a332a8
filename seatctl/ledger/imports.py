"""Creation and update of users from the TEMP table `incoming` (staging.py), by set-based SQL.

Each good row with the verdict `unknown` becomes a user. Known users get the name, group and last activity of
their row, but never another status. Users removed by a person stay removed and unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.ledger import change_rows, user_search
from seatctl.ledger.returning_users import UNDONE, bring_back
from seatctl.ledger.transaction import Transaction

_CREATE = """INSERT INTO users (email, email_key, name, group_name, last_active, created_at)
    SELECT email, email_key, name, group_name, last_active, :now FROM incoming
    WHERE verdict = 'unknown' AND result IS NULL ORDER BY line"""

_FIND_UPDATED = """UPDATE incoming SET result = 'updated'
    WHERE verdict IN ('known', 'suspended') AND EXISTS (
        SELECT 1 FROM users AS u WHERE u.id = incoming.user_id
        AND (incoming.name <> coalesce(u.name, '') OR incoming.group_name <> coalesce(u.group_name, '')
            OR incoming.last_active <> coalesce(u.last_active, '')))"""

_UPDATED = "SELECT user_id FROM incoming WHERE result = 'updated'"

_NEW_VALUES = {
    "name": "coalesce(i.name, u.name)",
    "group": "coalesce(i.group_name, u.group_name)",
    "last_active": "coalesce(i.last_active, u.last_active)",
}

_BEFORE_AND_AFTER = f"""SELECT u.id AS entity_id, {change_rows.user("u")} AS before,
    {change_rows.user("u", **_NEW_VALUES)} AS after
    FROM incoming AS i JOIN users AS u ON u.id = i.user_id WHERE i.result = 'updated' ORDER BY i.line"""

_UPDATE = """UPDATE users SET name = coalesce(i.name, users.name),
    group_name = coalesce(i.group_name, users.group_name),
    last_active = coalesce(i.last_active, users.last_active)
    FROM incoming AS i WHERE users.id = i.user_id AND i.result = 'updated'"""

_CREATED = f"""SELECT id AS entity_id, NULL AS before, {change_rows.user()} AS after FROM users
    WHERE id > :last ORDER BY id"""

_MARK_CREATED = """UPDATE incoming SET verdict = 'known', result = 'added',
        user_id = (SELECT id FROM users WHERE users.email_key = incoming.email_key)
    WHERE verdict = 'unknown' AND result IS NULL"""

RESULTS = {"unknown": "added", "known": "unchanged", "suspended": "unchanged"}
"""The results of an import by verdict, for rows without a result: deriving them saves a write per row."""


@dataclass(frozen=True, slots=True)
class Imported:
    """How many users were created, and how many were updated."""

    added: int
    updated: int


def apply(tx: Transaction) -> Imported:
    """Create unknown users and update known ones, after `staging.set_verdicts`."""
    return Imported(added=bring_back_undone(tx) + _create(tx), updated=_update(tx))


def create_from_incoming(tx: Transaction) -> int:
    """Create the unknown users, whose rows become `known` with their `user_id`; return how many."""
    created = _create(tx)
    tx.execute(_MARK_CREATED)
    return created


def mark_undone(tx: Transaction) -> int:
    """Mark users removed only by undos as added, after `staging.set_verdicts`; return how many."""
    return tx.execute(
        "UPDATE incoming SET verdict = 'known', result = 'added' WHERE verdict = 'removed'"
        f" AND EXISTS (SELECT 1 FROM users u WHERE u.id = incoming.user_id AND {UNDONE})"
    )


def bring_back_undone(tx: Transaction) -> int:
    """Reactivate the users that `mark_undone` marked; return how many."""
    return bring_back(
        tx,
        "SELECT i.user_id FROM incoming i JOIN users p ON p.id = i.user_id"
        " WHERE i.verdict = 'known' AND i.result = 'added' AND p.status = 'removed'",
    )


def _create(tx: Transaction) -> int:
    last = tx.count("SELECT max(id) FROM users")
    created = tx.execute(_CREATE, {"now": tx.now})
    if created:
        user_search.index_after(tx, last)
        tx.record_many("user", _CREATED, {"last": last})
    return created


def _update(tx: Transaction) -> int:
    updated = tx.execute(_FIND_UPDATED)
    if updated:
        tx.record_many("user", _BEFORE_AND_AFTER, {})
        user_search.remove(tx, _UPDATED, {})
        tx.execute(_UPDATE)
        user_search.index(tx, _UPDATED, {})
    return updated
