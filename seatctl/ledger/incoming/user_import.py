"""Creation and update of users from the staged table `incoming` (staging.py), by set-based SQL.

Each good row with the verdict `unknown` becomes a user. Known users get the name, group and last activity of
their row, but never another status. Users removed by a person stay removed and unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.ledger import bulk_users
from seatctl.ledger.bulk_users import REMOVED_BY_UNDO
from seatctl.ledger.transaction import Transaction

_FIND_UPDATED = """UPDATE incoming SET result = 'updated'
    WHERE verdict IN ('known', 'suspended') AND EXISTS (
        SELECT 1 FROM users AS u WHERE u.id = incoming.user_id
        AND (incoming.name <> coalesce(u.name, '') OR incoming.group_name <> coalesce(u.group_name, '')
            OR incoming.last_active <> coalesce(u.last_active, '')))"""

_MARK_CREATED = """UPDATE incoming SET verdict = 'known', result = 'added',
        user_id = (SELECT id FROM users WHERE users.email_key = incoming.email_key)
    WHERE verdict = 'unknown' AND result IS NULL"""

ADDED = "added"

RESULTS = {"unknown": ADDED, "known": "unchanged", "suspended": "unchanged"}
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


def mark_undone(tx: Transaction) -> None:
    """Mark users removed only by undos as added, after `staging.set_verdicts`."""
    tx.execute(
        "UPDATE incoming SET verdict = 'known', result = 'added' WHERE verdict = 'removed'"
        f" AND EXISTS (SELECT 1 FROM users u WHERE u.id = incoming.user_id AND {REMOVED_BY_UNDO})"
    )


def bring_back_undone(tx: Transaction) -> int:
    """Reactivate the users that `mark_undone` marked; return how many."""
    return bulk_users.bring_back(
        tx,
        "SELECT i.user_id FROM incoming i JOIN users p ON p.id = i.user_id"
        " WHERE i.verdict = 'known' AND i.result = 'added' AND p.status = 'removed'",
    )


def _create(tx: Transaction) -> int:
    return bulk_users.create(
        tx,
        "SELECT email, email_key, name, group_name, group_key, last_active, :now, :entry FROM incoming"
        " WHERE verdict = 'unknown' AND result IS NULL ORDER BY line",
    )


def _update(tx: Transaction) -> int:
    tx.execute(_FIND_UPDATED)
    return bulk_users.update(
        tx,
        "incoming i JOIN users u ON u.id = i.user_id WHERE i.result = 'updated' ORDER BY i.line",
        name="coalesce(i.name, u.name)",
        group="coalesce(i.group_name, u.group_name)",
        group_key="coalesce(i.group_key, u.group_key)",
        last_active="coalesce(i.last_active, u.last_active)",
    )
