"""Users from the TEMP table `incoming` (staging.py): made and updated by set-based SQL.

Every good row that staging judged `unknown` becomes a user; known ones get what the file gives and they
have otherwise: name, group, last activity, never the status. Whom somebody has removed stays removed and
untouched.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this layer; every value is bound.

from __future__ import annotations

from dataclasses import dataclass

from seatctl.ledger import change_rows, user_search
from seatctl.ledger.returning_users import UNDONE, bring_back
from seatctl.ledger.transaction import Transaction

_MAKE = """INSERT INTO users (email, email_key, name, group_name, last_active, created_at)
    SELECT email, email_key, name, group_name, last_active, :now FROM incoming
    WHERE verdict = 'unknown' AND result IS NULL ORDER BY line"""

_FIND_UPDATED = """UPDATE incoming SET result = 'updated'
    WHERE verdict IN ('known', 'suspended') AND EXISTS (
        SELECT 1 FROM users AS u WHERE u.id = incoming.user_id
        AND (incoming.name <> coalesce(u.name, '') OR incoming.group_name <> coalesce(u.group_name, '')
            OR incoming.last_active <> coalesce(u.last_active, '')))"""

_UPDATED = "SELECT user_id FROM incoming WHERE result = 'updated'"

_GIVEN = {
    "name": "coalesce(i.name, u.name)",
    "group": "coalesce(i.group_name, u.group_name)",
    "last_active": "coalesce(i.last_active, u.last_active)",
}

_BEFORE_AND_AFTER = f"""SELECT u.id AS entity_id, {change_rows.user("u")} AS before,
    {change_rows.user("u", **_GIVEN)} AS after
    FROM incoming AS i JOIN users AS u ON u.id = i.user_id WHERE i.result = 'updated' ORDER BY i.line"""

_UPDATE = """UPDATE users SET name = coalesce(i.name, users.name),
    group_name = coalesce(i.group_name, users.group_name),
    last_active = coalesce(i.last_active, users.last_active)
    FROM incoming AS i WHERE users.id = i.user_id AND i.result = 'updated'"""

_MADE = f"""SELECT id AS entity_id, NULL AS before, {change_rows.user()} AS after FROM users
    WHERE id > :last ORDER BY id"""

_TELL_MADE_ONES = """UPDATE incoming SET verdict = 'known', result = 'added',
        user_id = (SELECT id FROM users WHERE users.email_key = incoming.email_key)
    WHERE verdict = 'unknown' AND result IS NULL"""

RESULTS = {"unknown": "added", "known": "unchanged", "suspended": "unchanged"}
"""What an import did with the rows that bear no result: their verdict tells, and a write per row is saved."""


@dataclass(frozen=True, slots=True)
class Imported:
    """How many users were made, and how many changed."""

    added: int
    updated: int


def apply(tx: Transaction) -> Imported:
    """Make the unknown ones and update the known ones, once `staging.judge` has told them apart."""
    return Imported(added=bring_back_undone(tx) + _make(tx), updated=_update(tx))


def create_from_incoming(tx: Transaction) -> int:
    """Make the unknown ones, who are `known` from then on, with their `user_id`; how many."""
    made = _make(tx)
    tx.execute(_TELL_MADE_ONES)
    return made


def mark_undone(tx: Transaction) -> int:
    """Take those whom an undo has left out for new ones, once `staging.judge` has told who is removed."""
    return tx.execute(
        "UPDATE incoming SET verdict = 'known', result = 'added' WHERE verdict = 'removed'"
        f" AND EXISTS (SELECT 1 FROM users u WHERE u.id = incoming.user_id AND {UNDONE})"
    )


def bring_back_undone(tx: Transaction) -> int:
    """Make those users again who were marked and are still to be added; how many."""
    return bring_back(
        tx,
        "SELECT i.user_id FROM incoming i JOIN users p ON p.id = i.user_id"
        " WHERE i.verdict = 'known' AND i.result = 'added' AND p.status = 'removed'",
    )


def _make(tx: Transaction) -> int:
    last = tx.count("SELECT max(id) FROM users")
    made = tx.execute(_MAKE, {"now": tx.now})
    if made:
        user_search.index_after(tx, last)
        tx.record_many("user", _MADE, {"last": last})
    return made


def _update(tx: Transaction) -> int:
    updated = tx.execute(_FIND_UPDATED)
    if updated:
        tx.record_many("user", _BEFORE_AND_AFTER, {})
        user_search.remove(tx, _UPDATED, {})
        tx.execute(_UPDATE)
        user_search.index(tx, _UPDATED, {})
    return updated
