"""Users whom nobody has removed: they are gone because the run that made them was undone.

Who is left out by an undo comes back with the next file that may make users, as somebody new would; whom
somebody has removed stays removed until `users add`.
"""

# ruff: noqa: S608 - what is put into statements here are conditions of this layer; every value is bound.

from __future__ import annotations

from seatctl.ledger import change_rows
from seatctl.ledger.transaction import Transaction

UNDONE = """NOT EXISTS (
    SELECT 1 FROM changes c JOIN audit a ON a.seq = c.entry JOIN runs r ON r.number = a.run
    WHERE c.entity = 'user' AND c.entity_id = u.id AND json_extract(c.after, '$.status') = 'removed'
    AND json_extract(c.before, '$.status') <> 'removed' AND r.undo_of IS NULL)"""
"""Of a removed user of `users AS u`: no run has removed them that was not an undo."""


def bring_back(tx: Transaction, chosen: str) -> int:
    """Make the users active again whose ids the query `chosen` yields; how many."""
    if tx.value(f"SELECT 1 FROM ({chosen}) LIMIT 1") is None:
        return 0
    before, after = change_rows.user("u"), change_rows.user("u", status="'active'")
    tx.record_many(
        "user",
        f"SELECT u.id AS entity_id, {before} AS before, {after} AS after FROM users u"
        f" WHERE u.id IN ({chosen}) ORDER BY u.id",
        {},
    )
    return tx.execute(f"UPDATE users SET status = 'active' WHERE id IN ({chosen})")
