"""All SQL of the sandbox: objects as JSON rows, settings, stored answers, armed faults.

The row of an object has the columns that lists filter by. `seq` is the order of creation, which is the order
of every list. `due` is when the clock has work on the object (sandbox/billing/due_work.py).
"""

from __future__ import annotations

import json
import os
import sqlite3
from _thread import allocate_lock
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from seatctl.sandbox.objects import Obj, subscription_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
  seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL,
  customer TEXT, parent TEXT, created INTEGER NOT NULL, deleted INTEGER NOT NULL DEFAULT 0,
  due INTEGER, body TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS objects_by_kind ON objects (kind, seq);
CREATE INDEX IF NOT EXISTS objects_by_customer ON objects (customer, kind, seq) WHERE customer IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_parent ON objects (parent, kind, seq) WHERE parent IS NOT NULL;
CREATE INDEX IF NOT EXISTS objects_by_due ON objects (due) WHERE due IS NOT NULL;
CREATE TABLE IF NOT EXISTS answers (
  key TEXT PRIMARY KEY, request TEXT NOT NULL, request_id TEXT NOT NULL, made INTEGER NOT NULL,
  status INTEGER NOT NULL, body TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS settings (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS faults (
  id INTEGER PRIMARY KEY, kind TEXT NOT NULL, remaining INTEGER NOT NULL, method TEXT, path TEXT,
  retry_after INTEGER);
PRAGMA user_version = 1;
"""
PARENTS = {
    "charge": "payment_intent", "credit_note": "invoice", "customer_balance_transaction": "customer",
    "dispute": "charge", "invoice_payment": "invoice", "price": "product", "refund": "charge",
    "invoice": "subscription", "subscription_item": "subscription", "customer": "test_clock",
}  # fmt: skip
"""The parameter by which lists filter a kind by the column `parent`, and the field that it comes from."""
_TABLES = ("objects", "answers", "settings", "faults")


class Unusable(Exception):
    """The file cannot be opened or written, or it is not a sandbox."""


def _connect(path: Path) -> sqlite3.Connection:
    """Open an existing file.

    Without the right to write, SQLite cannot create the files beside the database either. If there are none,
    the file is then read as it is: reading the clock does not need the newest state.
    """
    real = Path(os.path.realpath(path))
    log, shared = (real.with_name(real.name + end) for end in ("-wal", "-shm"))
    if os.access(real, os.W_OK) and os.access(real.parent, os.W_OK):
        mode = "mode=rw"
    elif log.exists() and (shared.exists() or log.stat().st_size):
        mode = "mode=ro&readonly_shm=1"
    else:
        mode = "mode=ro&immutable=1"
    return sqlite3.connect(
        f"{real.as_uri()}?{mode}", uri=True, isolation_level=None, timeout=30, check_same_thread=False
    )


def _parent(obj: Obj) -> str | None:
    """Return the value of the column `parent`; an invoice names its subscription in a nested field."""
    if obj["object"] == "invoice":
        return subscription_of(obj)
    return obj[PARENTS[obj["object"]]] if obj["object"] in PARENTS else None


class Store:
    """A SQLite file. Threads of a process take turns by a lock, processes by SQLite's lock."""

    def __init__(self, path: Path) -> None:
        """Open the file; create it if it does not exist. Raises Unusable."""
        try:
            self._open(path)
        except (sqlite3.Error, OSError) as error:
            raise Unusable(f"{path}: {error}") from error

    def _open(self, path: Path) -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._db = _connect(path)
        self._lock = allocate_lock()
        self._db.execute("PRAGMA synchronous = NORMAL")
        if self._db.execute("PRAGMA user_version").fetchone()[0] == 0:
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Run the block in a transaction, which takes the write lock at once: processes take turns.

        Raises Unusable if the file cannot be written, for example because the disk is full.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield
                self._db.execute("COMMIT")
            except BaseException as error:
                if self._db.in_transaction:  # SQLite rolls back itself if the disk is full
                    self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError):
                    raise Unusable(str(error)) from error
                raise

    def savepoint(self) -> None:
        """Set a savepoint, to which `roll_back` returns; savepoints nest."""
        self._db.execute("SAVEPOINT work")

    def release(self) -> None:
        """Keep the changes since the last savepoint, and remove it."""
        self._db.execute("RELEASE work")

    def roll_back(self) -> None:
        """Undo the changes since the last savepoint, and remove it."""
        self._db.execute("ROLLBACK TO work")
        self._db.execute("RELEASE work")

    def _row(self, statement: str, *values: object) -> Any:
        return self._db.execute(statement, values).fetchone()

    # objects

    def get(self, kind: str, identifier: str) -> Obj | None:
        """Return the object, or None if it does not exist or was deleted."""
        row = self._row(
            "SELECT body FROM objects WHERE id = ? AND kind = ? AND deleted = 0", identifier, kind
        )
        return None if row is None else json.loads(row[0])

    def get_any(self, identifier: str) -> Obj | None:
        """Return the object with this id, of any kind, or None."""
        row = self._row("SELECT body FROM objects WHERE id = ? AND deleted = 0", identifier)
        return None if row is None else json.loads(row[0])

    def deleted(self, kind: str, identifier: str) -> Obj | None:
        """Return the object as it was when it was deleted, or None if it was not."""
        row = self._row(
            "SELECT body FROM objects WHERE id = ? AND kind = ? AND deleted = 1", identifier, kind
        )
        return None if row is None else json.loads(row[0])

    def put(self, obj: Obj, *, due: int | None = None) -> None:
        """Insert the object, or replace its body and due time; its position in lists stays."""
        self._db.execute(
            "INSERT INTO objects (id, kind, customer, parent, created, due, body) VALUES (?, ?, ?, "
            "?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET customer = excluded.customer, due = excluded.due,"
            " parent = excluded.parent, body = excluded.body, deleted = 0",
            (
                obj["id"],
                obj["object"],
                obj.get("customer"),
                _parent(obj),
                obj.get("created", obj.get("_created", 0)),
                due,
                json.dumps(obj, separators=(",", ":")),
            ),
        )

    def delete(self, identifier: str) -> None:
        """Mark the object as deleted; it keeps its position, which a cursor may name."""
        self._db.execute("UPDATE objects SET deleted = 1, due = NULL WHERE id = ?", (identifier,))

    def position(self, kind: str, identifier: str) -> int | None:
        """Return the position of an object, deleted or not, in the order of creation."""
        row = self._row("SELECT seq FROM objects WHERE id = ? AND kind = ?", identifier, kind)
        return None if row is None else int(row[0])

    def walk(
        self,
        kind: str,
        *,
        customer: str | None = None,
        parent: str | None = None,
        after: int | None = None,
        before: int | None = None,
        created: tuple[int | None, int | None] = (None, None),
        oldest_first: bool = False,
    ) -> Iterator[Obj]:
        """Yield the objects of a kind, newest first; `after` and `before` bound their positions."""
        first, last = created
        where = "kind = :kind AND deleted = 0"
        bounds = {
            "customer": ("customer = :customer", customer),
            "parent": ("parent = :parent", parent),
            "after": ("seq > :after", after),
            "before": ("seq < :before", before),
            "first": ("created >= :first", first),
            "last": ("created <= :last", last),
        }
        for clause, value in bounds.values():
            where += f" AND {clause}" if value is not None else ""
        values = {name: value for name, (_, value) in bounds.items()}
        order = "ASC" if oldest_first else "DESC"
        # The statement contains only the clauses above; every value is bound.
        statement = f"SELECT body FROM objects WHERE {where} ORDER BY seq {order}"  # noqa: S608
        for (body,) in self._db.execute(statement, {"kind": kind, **values}):
            yield json.loads(body)

    def has(self, kind: str) -> bool:
        """Whether there is an object of this kind."""
        return self._row("SELECT 1 FROM objects WHERE kind = ? AND deleted = 0 LIMIT 1", kind) is not None

    def of_customer(self, customer: str) -> Iterator[Obj]:
        """Yield everything that belongs to a customer, oldest first."""
        statement = "SELECT body FROM objects WHERE customer = ? AND deleted = 0 ORDER BY seq"
        for (body,) in self._db.execute(statement, (customer,)):
            yield json.loads(body)

    def on_clocks(self) -> dict[str, str]:
        """Return the test clocks of the customers that are on one, deleted or not, oldest customer first."""
        rows: Iterable[Any] = self._db.execute(
            "SELECT id, parent FROM objects WHERE kind = 'customer' AND parent IS NOT NULL ORDER BY seq"
        )
        return {str(customer): str(clock) for customer, clock in rows}

    def last_seq(self) -> int:
        """Return the position of the newest object."""
        return int(self._row("SELECT coalesce(max(seq), 0) FROM objects")[0])

    def next_due(self) -> tuple[int, str] | None:
        """Return when the clock has work next and the id of the object; of several, the oldest object."""
        row = self._row("SELECT due, id FROM objects WHERE due IS NOT NULL ORDER BY due, seq LIMIT 1")
        return None if row is None else (int(row[0]), str(row[1]))

    # settings

    def setting(self, name: str) -> int | None:
        """Return a stored number, such as the offset of the clock, or None."""
        row = self._row("SELECT value FROM settings WHERE name = ?", name)
        return None if row is None else int(row[0])

    def set(self, name: str, value: int | None) -> None:
        """Store a number; None deletes it."""
        if value is None:
            self._db.execute("DELETE FROM settings WHERE name = ?", (name,))
        else:
            self._db.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))

    # stored answers

    def answer(self, key: str, since: int) -> tuple[str, str, int, str] | None:
        """Return the answer stored for an idempotency key: request, request id, status, body."""
        statement = "SELECT request, request_id, status, body FROM answers WHERE key = ? AND made >= ?"
        row = self._row(statement, key, since)
        return None if row is None else (row[0], row[1], int(row[2]), row[3])

    def save_answer(self, key: str, request: str, request_id: str, made: int, status: int, body: str) -> None:
        """Store an answer for its idempotency key."""
        self._db.execute(
            "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)",
            (key, request, request_id, made, status, body),
        )

    # faults

    def arm(
        self, kind: str, times: int, method: str | None, path: str | None, retry_after: int | None
    ) -> None:
        """Arm a fault for the next `times` matching calls."""
        self._db.execute(
            "INSERT INTO faults (kind, remaining, method, path, retry_after) VALUES (?, ?, ?, ?, ?)",
            (kind, times, method, path, retry_after),
        )

    def faults(self) -> list[Obj]:
        """Return the armed faults, oldest first."""
        rows = self._db.execute(
            "SELECT id, kind, remaining, method, path, retry_after FROM faults ORDER BY id"
        )
        names = ("id", "kind", "remaining", "method", "path", "retry_after")
        return [dict(zip(names, row, strict=True)) for row in rows]

    def use_fault(self, fault: int) -> None:
        """Count one call that a fault has hit; after the last one the fault is gone."""
        self._db.execute("UPDATE faults SET remaining = remaining - 1 WHERE id = ?", (fault,))
        self._db.execute("DELETE FROM faults WHERE remaining <= 0")

    # the whole file

    def counts(self) -> dict[str, int]:
        """Return the number of objects of each kind."""
        rows: Iterable[Any] = self._db.execute(
            "SELECT kind, count(*) FROM objects WHERE deleted = 0 GROUP BY kind ORDER BY kind"
        )
        return {kind: int(number) for kind, number in rows}

    def clear(self) -> None:
        """Delete everything: objects, answers, faults and the clock's setting."""
        for table in _TABLES:
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 - the names are the constants above
