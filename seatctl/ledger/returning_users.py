"""Users who were removed only by an undo of the run that created them.

The next file that may create users brings them back, like new users. Users removed by a person stay removed
until `users add`.
"""

from __future__ import annotations

from seatctl.ledger import change_rows
from seatctl.ledger.transaction import Transaction

UNDONE = """NOT EXISTS (
    SELECT 1 FROM changes c JOIN audit a ON a.seq = c.entry JOIN runs r ON r.number = a.run
    WHERE c.entity = 'user' AND c.entity_id = u.id AND json_extract(c.after, '$.status') = 'removed'
    AND json_extract(c.before, '$.status') <> 'removed' AND r.undo_of IS NULL)"""
"""The condition that a removed user of `users AS u` was removed by undos only."""


def bring_back(tx: Transaction, user_ids: str) -> int:
    """Make the users active again whose ids the query `user_ids` yields; return how many."""
    if tx.value(f"SELECT 1 FROM ({user_ids}) LIMIT 1") is None:
        return 0
    before, after = change_rows.user("u"), change_rows.user("u", status="'active'")
    tx.record_many(
        "user",
        f"SELECT u.id AS entity_id, {before} AS before, {after} AS after FROM users u"
        f" WHERE u.id IN ({user_ids}) ORDER BY u.id",
        {},
    )
    return tx.execute(f"UPDATE users SET status = 'active' WHERE id IN ({user_ids})")
