"""Loading the rows of another ledger into a server's: without triggers, and with the search index made last.

The triggers accept only what commands do: seats that are assigned, entries that are not linked yet. Only the
owner of the ledger can disable them. All of it is in the transaction of the load.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from seatctl.ledger.engines.port import Engine, key_of
from seatctl.ledger.hashes import NO_HASH
from seatctl.ledger.schema.postgres.functions import USERS_SEARCH

# A server may end a statement, or a transaction that waits for its client, after some seconds.
_UNLIMITED = """SELECT set_config(name, '0', true) FROM pg_settings WHERE name IN
    ('statement_timeout', 'transaction_timeout', 'idle_in_transaction_session_timeout')"""

_NEXT_NUMBER = """SELECT setval(pg_get_serial_sequence('{table}', '{key}'), coalesce(max({key}), 1),
    max({key}) IS NOT NULL) FROM {table}"""

_HEAD = """UPDATE chain SET place = coalesce((SELECT max(place) FROM audit), 0),
    hash = coalesce((SELECT hash FROM audit WHERE place IS NOT NULL ORDER BY place DESC LIMIT 1), ?)"""

_NUMBERED = """SELECT c.relname AS name FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
    WHERE c.relnamespace = current_schema()::regnamespace AND a.attidentity <> ''"""


def without_time_limits(engine: Engine) -> None:
    """Let the open transaction take as long as it needs, from now on."""
    # Not queued: the queue of a load may wait for the first rows of the other ledger.
    for _ in engine.rows(_UNLIMITED):
        pass


@contextmanager
def emptied(engine: Engine, tables: Sequence[str]) -> Iterator[None]:
    """Empty the tables and let rows be inserted as they are, within the open transaction."""
    without_time_limits(engine)
    for table in tables:
        engine.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    # What logins may do for the whole ledger stays; a table that others refer to cannot be truncated.
    engine.execute("DELETE FROM database_grants WHERE subscription_id IS NOT NULL")
    engine.execute("ALTER TABLE database_grants DROP CONSTRAINT database_grants_subscription_id_fkey")
    engine.execute(f"TRUNCATE {', '.join(tables)}")
    engine.execute(
        "ALTER TABLE database_grants ADD FOREIGN KEY (subscription_id) REFERENCES subscriptions (id)"
    )
    engine.execute("DROP INDEX users_search")
    yield
    engine.execute(USERS_SEARCH)
    numbered = {str(row["name"]) for row in engine.rows(_NUMBERED)}
    for table in tables:
        if table in numbered:
            engine.execute(_NEXT_NUMBER.format(table=table, key=key_of(table)))
    engine.execute(_HEAD, (NO_HASH,))
    for table in tables:
        engine.execute(f"ALTER TABLE {table} ENABLE TRIGGER USER")
        engine.execute(f"ANALYZE {table}")
