"""Creation and changes of many users with one statement each: recorded, and updated in the search index."""

from __future__ import annotations

from seatctl.ledger import change_rows
from seatctl.ledger.transaction import Transaction

_COLUMNS = {"name": "name", "group": "group_name", "last_active": "last_active", "status": "status"}
"""The column for each key of a change row that can be changed here."""

REMOVED_BY_UNDO = """NOT EXISTS (
    SELECT 1 FROM changes c JOIN audit a ON a.seq = c.entry JOIN runs r ON r.number = a.run
    WHERE c.entity = 'user' AND c.entity_id = u.id AND json_extract(c.after, '$.status') = 'removed'
    AND json_extract(c.before, '$.status') <> 'removed' AND r.undo_of IS NULL)"""
"""The condition that a removed user of `users AS u` was removed only by undos of the runs that created them.

The next file that may create users brings them back, like new users. Users removed by a person stay removed
until `users add`.
"""


def create(tx: Transaction, values: str) -> int:
    """Create a user for each row of the query `values`; return how many. Called once in a transaction.

    The query yields email, email_key, name, group_name, group_key, last_active, `:now` and `:entry`.
    """
    created = tx.changed(
        "INSERT INTO users (email, email_key, name, group_name, group_key, last_active, created_at,"
        f" created_entry) {values}",
        {"now": tx.now, "entry": tx.entry},
    )
    if created:
        tx.engine.users.insert_new(tx.entry)
        after = change_rows.user()
        tx.record_many(
            "user",
            f"SELECT id AS entity_id, NULL AS before, {after} AS after FROM users"
            " WHERE created_entry = :entry ORDER BY id",
            {"entry": tx.entry},
        )
    return created


def update(tx: Transaction, source: str, *, group_key: str | None = None, **values: str) -> int:
    """Change the users `u` that `source` (a FROM clause with its conditions) selects; return how many.

    `values` are SQL expressions by key of the change row; with `group` goes its `group_key`. If they change
    names, `source` must select the same users afterwards.
    """
    if not tx.exists(source):
        return 0
    before, after = change_rows.user("u"), change_rows.user("u", **values)
    updated = tx.record_many(
        "user", f"SELECT u.id AS entity_id, {before} AS before, {after} AS after FROM {source}", {}
    )
    selected = f"SELECT u.id FROM {source}"
    if "name" in values:
        tx.engine.users.remove(selected, {})
    columns = {_COLUMNS[key]: value for key, value in values.items()}
    columns |= {} if group_key is None else {"group_key": group_key}
    new = ", ".join(f"{value} AS {column}" for column, value in columns.items())
    assignments = ", ".join(f"{column} = n.{column}" for column in columns)
    tx.execute(
        f"UPDATE users SET {assignments} FROM (SELECT u.id AS id, {new} FROM {source}) AS n"
        " WHERE users.id = n.id"
    )
    if "name" in values:
        tx.engine.users.insert(selected, {})
    return updated


def bring_back(tx: Transaction, user_ids: str) -> int:
    """Make the users active again whose ids the query `user_ids` yields; return how many."""
    return update(tx, f"users u WHERE u.id IN ({user_ids}) ORDER BY u.id", status="'active'")
