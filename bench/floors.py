"""What cannot be avoided: the file read, the rows written by executemany into the same schema.

Without triggers, audit and outbox, and the search index filled by one INSERT … SELECT; with foreign keys,
which are the schema's, and columns found by their names, as a file has them in any order. A process of
its own: `python -m bench.floors import|assign|both CSV DATABASE`; it prints how many rows it wrote.
"""

from __future__ import annotations

import csv
import sqlite3
import sys
from pathlib import Path

from seatctl.ledger.schema.tables import STATEMENTS

NOW = "2026-01-01T00:00:00Z"

_IMPORT = """INSERT INTO users (email, email_key, name, group_name, last_active, created_at)
    VALUES (:email, lower(:email), :name, :group, :last_active || 'T00:00:00Z', '2026-01-01T00:00:00Z')"""

_ASSIGN = """INSERT INTO seats (subscription_id, user_id, assigned_at)
    SELECT 1, id, '2026-01-01T00:00:00Z' FROM users WHERE email_key = lower(:email)"""

_SUBSCRIPTION = """INSERT INTO subscriptions (id, name, name_key, plan_id, customer_id, stripe_subscription,
    stripe_item, status, price_id, currency, unit_amount, term_start, term_end, quantity, capacity,
    created_at) VALUES (1, 'design', 'design', 1, 1, 'sub_1', 'si_1', 'active', 'price_1', 'usd', 1, :now,
    :now, 1, 1, :now)"""


def _connect(database: Path, foreign_keys: str = "ON") -> sqlite3.Connection:
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute(f"PRAGMA foreign_keys = {foreign_keys}")
    return connection


def prepare(database: Path) -> None:
    """The same schema without its triggers."""
    connection = _connect(database, foreign_keys="OFF")  # the one subscription has no plan and customer
    for statement in STATEMENTS:
        if not statement.startswith("CREATE TRIGGER"):
            connection.execute(statement)
    connection.execute(_SUBSCRIPTION, {"now": NOW})
    connection.close()


def import_people(source: Path, database: Path) -> int:
    """Read and insert users; how many."""
    connection = _connect(database)
    connection.execute("BEGIN IMMEDIATE")
    with source.open(newline="", encoding="utf-8") as file:
        written = connection.executemany(_IMPORT, csv.DictReader(file)).rowcount
    connection.execute("INSERT INTO users_search (rowid, name, email) SELECT id, name, email FROM users")
    connection.execute("COMMIT")
    connection.close()
    return written


def assign_people(source: Path, database: Path) -> int:
    """Read and insert a seat for each; how many."""
    connection = _connect(database)
    connection.execute("BEGIN IMMEDIATE")
    with source.open(newline="", encoding="utf-8") as file:
        written = connection.executemany(_ASSIGN, csv.DictReader(file)).rowcount
    connection.execute("COMMIT")
    connection.close()
    return written


def import_and_assign(source: Path, database: Path) -> int:
    """Both, one after the other; how many seats."""
    import_people(source, database)
    return assign_people(source, database)


if __name__ == "__main__":
    work = {"import": import_people, "assign": assign_people, "both": import_and_assign}[sys.argv[1]]
    print(work(Path(sys.argv[2]), Path(sys.argv[3])))
