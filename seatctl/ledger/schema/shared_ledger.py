"""The migration to a schema that PostgreSQL can have too, where several clients write at the same time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.ledger.engines.port import MIN_CLIENT
from seatctl.ledger.schema.tables import time_of
from seatctl.rules.names import group_key

if TYPE_CHECKING:
    from sqlite_utils import Database

# A transaction finds the users that it has created, and the seats that it has assigned, by its entry and not
# by their ids: with PostgreSQL others do the same at the same time.
INDEXES = (
    "CREATE INDEX users_by_entry ON users (created_entry) WHERE created_entry IS NOT NULL",
    "CREATE INDEX seats_by_entry ON seats (assigned_entry)",
)

# Rows, not a value in `meta`: two transactions may hold seats of two subscriptions at the same time.
HELD_SEATS = f"""CREATE TABLE held_seats (
    run INTEGER NOT NULL REFERENCES runs (number),
    subscription_id INTEGER NOT NULL REFERENCES subscriptions (id),
    {time_of("until")},
    seats INTEGER NOT NULL CONSTRAINT held_is_not_negative CHECK (seats >= 0),
    PRIMARY KEY (run, subscription_id)
) STRICT"""

# Requests that a person made with a database role that may only request. Nobody has decided on them: the next
# transaction with the right to do so applies the rules of automatic approval, and deletes the row.
NEW_REQUESTS = """CREATE TABLE new_requests (
    request INTEGER PRIMARY KEY REFERENCES requests (number)
) STRICT"""

STATEMENTS = (
    # The lookup key of a group, as `email_key` is that of an e-mail: no statement can compute it.
    "ALTER TABLE users ADD COLUMN group_key TEXT",
    "UPDATE users SET group_key = key_of_group(group_name) WHERE group_name IS NOT NULL",
    # The order in which the steps of an operation were sent.
    "ALTER TABLE steps ADD COLUMN number INTEGER NOT NULL DEFAULT 0",
    """UPDATE steps SET number = (SELECT count(*) FROM steps o
        WHERE o.operation_id = steps.operation_id AND o.rowid <= steps.rowid)""",
    # Change rows have them as they are stored.
    "UPDATE requests SET features = json(features) WHERE json_valid(features)",
    "ALTER TABLE users ADD COLUMN created_entry INTEGER",
    *INDEXES,
    HELD_SEATS,
    NEW_REQUESTS,
    """INSERT INTO held_seats (run, subscription_id, until, seats)
        SELECT CAST(hold.key AS INTEGER), CAST(pool.key AS INTEGER), json_extract(hold.value, '$.until'),
        pool.value FROM meta
        CROSS JOIN json_each(CASE WHEN json_valid(meta.value) THEN meta.value ELSE '{}' END) AS hold
        CROSS JOIN json_each(hold.value, '$.pools') AS pool WHERE meta.key = 'held_seats'""",
    "DELETE FROM meta WHERE key = 'held_seats'",
    # The position of an entry in the chain. On a server entries are linked after their commit, if need be in
    # another order than that of their ids; here the two are the same.
    "ALTER TABLE audit ADD COLUMN place INTEGER",
    "ALTER TABLE audit ADD COLUMN origin TEXT",
    "DROP TRIGGER audit_is_append_only_update",
    "UPDATE audit SET place = seq",
    """CREATE TRIGGER audit_is_append_only_update BEFORE UPDATE ON audit BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    "DROP TRIGGER audit_goes_on_at_its_end",
    """CREATE TRIGGER audit_goes_on_at_its_end BEFORE INSERT ON audit
        WHEN NEW.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
          OR NEW.place IS NOT (SELECT coalesce(max(place), 0) + 1 FROM audit) BEGIN
        SELECT RAISE(ABORT, 'the audit is append-only');
    END""",
    "CREATE UNIQUE INDEX one_entry_per_place ON audit (place)",
)


def prepare(database: Database) -> None:
    """Run the statements inside the migration's transaction."""
    database.register_function(group_key, name="key_of_group", deterministic=True)
    for statement in STATEMENTS:
        database.execute(statement)
    database.execute("INSERT INTO meta (key, value) VALUES ('min_client', ?)", (MIN_CLIENT,))
