"""The SQLite engine: everything specific to SQLite, and nothing about seats.

The connection is in autocommit mode, so that every BEGIN is written here. WAL with synchronous=FULL: a change
that was reported survives a power cut. Foreign keys are on; functions called by a hostile schema are off.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.port import EVERYTHING, EntryValues, Params, Row, Scope, SqlValue, StagedTable
from seatctl.ledger.engines.sqlite_files import fingerprint, has_log, is_shared, may_write
from seatctl.ledger.failures import LedgerBusy, LedgerCorrupt

if TYPE_CHECKING:
    from seatctl.ledger.engines.search import UserIndex
    from seatctl.ledger.engines.sqlite_audit import EntryInProgress

OLDEST_SQLITE = (3, 39, 0)
"""The first version with IS DISTINCT FROM. STRICT tables (3.37) and RETURNING (3.35) are older."""

WAIT_SECONDS = 30.0
"""How long a writer waits for another one. An import of a million rows holds the lock for about that long."""

GUARDS = (22, 4833)
"""The number of triggers and unique indexes that this version creates, and the length of their statements."""

_GUARDS = """SELECT count(*), total(length(sql)) FROM sqlite_schema
    WHERE type = 'trigger' OR type = 'index' AND name LIKE 'one@_%' ESCAPE '@'"""

_TEXTS_AT_ONCE = 1000

_POLL_SECONDS = 0.25
"""SQLite's own wait cannot be interrupted with Ctrl-C; therefore it is short and repeated."""


class SqliteEngine:
    """One connection to an existing ledger file."""

    damage: tuple[type[Exception], ...] = (
        sqlite3.Error,
        ValueError,
        LookupError,
        TypeError,
        AttributeError,
        StopIteration,
    )
    """A missing table, column, key or row, or an invalid value."""
    rights = EVERYTHING
    """Whoever can open the file can read and write all of it."""
    mail_shares = 1
    """A second process on the same machine would not send faster."""

    def __init__(self, path: Path, *, wait: float = WAIT_SECONDS) -> None:
        require_sqlite()
        self.path = path
        self.place = str(path)
        self.committed = self.wants_page = False
        self._wait = wait
        self.may_write = may_write(path)
        self._frozen: tuple[int, ...] | None = None
        """The fingerprint of a file that was opened without log and locks; None for other files."""
        self._entry: EntryInProgress | None = None
        """The audit entry of the last writing transaction, once it is reserved."""
        try:
            self.connection = _connect(path, "mode=rw") if self.may_write else self._connect_reading()
        except sqlite3.Error as error:
            raise translated(error, path) from error
        self.connection.row_factory = sqlite3.Row
        try:
            self._configure()
        except BaseException:
            self.connection.close()
            raise

    def _connect_reading(self) -> sqlite3.Connection:
        """Return a connection for a user who may only read. It creates no file beside the ledger.

        A file created by a reader could keep the owner from writing. The shared-memory files of WAL are used
        if they exist. If they do not, nobody has the ledger open: it is read as it is, without locks, and
        `end_reading` checks whether somebody has written meanwhile.
        """
        if is_shared(self.path):
            return _connect(self.path, "mode=ro&readonly_shm=1")
        if has_log(self.path):
            raise refuse(
                Code.LEDGER_READ_ONLY,
                f"the log of {self.path} has changes that only a user with write access can read",
                hint="let such a user run: seatctl ledger backup FILE; then read that: seatctl --ledger FILE",
            )
        if os.access(self.path, os.R_OK):
            self._frozen = fingerprint(self.path)
        return _connect(self.path, "mode=ro&immutable=1")

    def _configure(self) -> None:
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA trusted_schema = OFF")
        self.execute("PRAGMA synchronous = FULL")

    def use_wal(self) -> None:
        """Switch the file permanently to write-ahead logging. SQLite's own wait does not cover this."""
        if not self.may_write:
            return
        deadline = time.monotonic() + self._wait
        while True:
            try:
                mode = self._scalar("PRAGMA journal_mode")
                if mode != "wal":
                    mode = self._scalar("PRAGMA journal_mode = WAL")
            except LedgerBusy:
                if time.monotonic() > deadline:
                    raise
            else:
                if mode == "wal":
                    return
            if time.monotonic() > deadline:
                raise refuse(
                    Code.LEDGER_IO,
                    f"{self.path} cannot use write-ahead logging here",
                    hint="keep the ledger on a local disk: seatctl --ledger PATH",
                )
            time.sleep(0.01)

    def _scalar(self, sql: str) -> SqlValue:
        return next((cast("SqlValue", row[0]) for row in self.rows(sql)), None)

    @property
    def version(self) -> int:
        """The schema version of the file; 0 if no migration was completed."""
        return int(self._scalar("PRAGMA user_version") or 0)

    @property
    def application_id(self) -> int:
        """The application id of the file; SQLite's default is 0."""
        return int(self._scalar("PRAGMA application_id") or 0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever created in the file."""
        return not self._scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema)")

    def meta(self) -> Mapping[str, str]:
        """Return the rows of `meta`."""
        return {row["key"]: row["value"] for row in self.rows("SELECT key, value FROM meta")}

    def when_opened(self, check: Callable[[Mapping[str, str]], None]) -> None:
        """Call `check` with the rows of `meta` at once."""
        check(self.meta())

    def behind(self) -> None:
        """A file is never behind."""

    def now(self) -> None:
        """A file has no clock of its own."""

    def another(self) -> Self:
        """Return a second connection to the file."""
        return type(self)(self.path, wait=self._wait)

    @property
    def users(self) -> UserIndex:
        """The index over the names and e-mails of users."""
        from seatctl.ledger.engines.sqlite_search import SqliteUserIndex

        return SqliteUserIndex(self.execute)

    def hold(self, name: str, wait: float) -> AbstractContextManager[bool]:
        """Hold the lock of this name on a file beside the ledger."""
        from seatctl.ledger.engines.sqlite_locks import hold

        return hold(self.path, name, wait)

    def require_held(self, name: str) -> None:
        """Do nothing: the kernel takes no lock away from a process that lives."""

    def take_turns(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        """Return None: each process keeps its own pace."""
        return None

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows, fetched one at a time."""
        try:
            # Not `yield from`: if an error leaves a list half-read, that closes the cursor when the generator
            # is collected, and fails if the connection was closed before.
            for row in self.connection.execute(sql, params):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    stream = rows

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement whose result is not needed."""
        self.changed(sql, params)

    def changed(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        try:
            return self.connection.execute(sql, params).rowcount
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def ask(self, sql: str, params: Params, receive: Callable[[Row | None], None]) -> None:
        """Run a query and pass its first row to `receive`."""
        receive(next(self.rows(sql, params), None))

    def ask_all(self, sql: str, params: Params, receive: Callable[[Sequence[Row]], None]) -> None:
        """Run a query and pass its rows to `receive` at once."""
        receive(list(self.rows(sql, params)))

    def columns(self, sql: str) -> list[str]:
        """Return the column names of a query without parameters."""
        return [str(column[0]) for column in self.connection.execute(f"{sql} LIMIT 0").description]

    def insert(self, table: str, values: Mapping[str, SqlValue]) -> int:
        """Insert one row and return its integer key."""
        marks = ", ".join(f":{column}" for column in values)
        sql = f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"
        try:
            return self.connection.execute(sql, values).lastrowid or 0
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def insert_later(
        self, table: str, values: Mapping[str, SqlValue], receive: Callable[[int], None]
    ) -> None:
        """Insert one row and pass its integer key to `receive`."""
        receive(self.insert(table, values))

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[SqlValue]]) -> int:
        """Insert many rows, read one at a time, and return how many."""
        marks = ", ".join("?" * len(columns))
        sql = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"
        try:
            # -1 if there were no rows: then no statement was run.
            return max(0, self.connection.executemany(sql, rows).rowcount)
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def stage(self, table: StagedTable) -> None:
        """Create a TEMP table; one of an earlier transaction is replaced."""
        columns = (
            f"{name} {kind}{' PRIMARY KEY' * (name == table.key)}" for name, kind in table.columns.items()
        )
        self.execute(f"DROP TABLE IF EXISTS temp.{table.name}")
        self.execute(f"CREATE TEMP TABLE {table.name} ({', '.join(columns)})")

    def index_staged(self, table: StagedTable) -> None:
        """Create the indexes of a TEMP table after its rows were inserted."""
        for name, columns in table.indexes.items():
            self.execute(f"CREATE INDEX temp.{name} ON {table.name} {columns}")

    def begin_reading(self) -> None:
        """Open a read-only snapshot."""
        self.execute("PRAGMA query_only = ON")
        self.execute("BEGIN")

    def end_reading(self) -> None:
        """Close the snapshot. Raises LedgerBusy if a file read without locks was written meanwhile."""
        self.rollback()
        self.execute("PRAGMA query_only = OFF")
        if self._frozen is not None and (has_log(self.path) or fingerprint(self.path) != self._frozen):
            raise LedgerBusy(
                f"{self.path} was written to while it was read", hint="run the same command again"
            )

    def read_on(self) -> None:
        """Do nothing: a statement that fails leaves the snapshot as it is."""

    def pause(self) -> None:
        """Do nothing: a snapshot is closed at once."""

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Open a transaction and take the write lock at once, whatever the scope.

        IMMEDIATE, because a transaction that reads first and writes later lets another process take the last
        seat in between. It then fails with SQLITE_BUSY, and waiting does not help.
        """
        self._entry = None
        deadline = time.monotonic() + self._wait
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
            except LedgerBusy:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    is_shared = False
    """A file has one lock only: every transaction that writes has the whole ledger."""

    def lock_rows(self, select: str, params: Params = ()) -> None:
        """Do nothing: the whole file is locked."""

    def lock_users(self) -> None:
        """Do nothing: the whole file is locked."""

    def name_person(self, key: str) -> None:
        """Do nothing: there is nobody who may see one person only."""

    def begin_unlocked(self) -> None:
        """Take the lock: a file has no functions with locks of their own."""
        self.begin_writing()

    def begin_staging(self) -> None:
        """Open a transaction for TEMP tables. It is deferred and locks nothing in the file."""
        self.execute("BEGIN")

    begin_scratch = begin_staging

    def commit(self) -> None:
        """Make the open transaction durable."""
        self.execute("COMMIT")
        self.committed = True

    def rollback(self) -> None:
        """Roll back the open transaction, unless SQLite has done so already (disk full)."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def reserve_entry(self) -> None:
        """Reserve the id after the last entry: nobody else can append one meanwhile."""
        from seatctl.ledger.engines.sqlite_audit import EntryInProgress  # hashlib takes 5 ms to import

        if self._entry is None:
            self._entry = EntryInProgress(self, self.connection)

    @property
    def entry(self) -> int:
        """The id of this transaction's audit entry."""
        return self._in_progress.seq

    @property
    def _in_progress(self) -> EntryInProgress:
        self.reserve_entry()
        if self._entry is None:
            raise RuntimeError("no audit entry is reserved")
        return self._entry

    def insert_run(self, values: Mapping[str, SqlValue]) -> int:
        """Insert a run with these values by column and return its number."""
        return self.insert("runs", values)

    def insert_change(
        self, n: int, entity: str, entity_id: int, before: str | None, after: str | None
    ) -> None:
        """Insert change row `n` of the entry, with a new salt and its hash."""
        self._in_progress.insert_change(n, entity, entity_id, before, after)

    def insert_changes(self, last: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Insert a change row for every (entity_id, before, after) of `select`; return how many."""
        return self._in_progress.insert_changes(last, entity, select, params)

    def insert_change_of(self, n: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> None:
        """Insert change row `n` for the only (entity_id, before, after) of `select`."""
        self._in_progress.insert_changes(n - 1, entity, select, params)

    def append_entry(self, values: EntryValues) -> None:
        """Append the audit entry of this transaction to the chain."""
        self._in_progress.append(values)

    def blank_changes(self, condition: str, params: Mapping[str, SqlValue], erased_at: str) -> int:
        """Blank the change rows that a condition selects, and return how many."""
        return self.changed(
            "UPDATE changes SET before = NULL, after = NULL, salt = NULL, erased_at = :erased_at"
            f" WHERE erased_at IS NULL AND ({condition})",
            {**params, "erased_at": erased_at},
        )

    def link_entries(self) -> None:
        """Do nothing: every entry is linked when it is written."""

    def overwrite_deleted(self) -> None:
        """From now on, overwrite deleted content in the file."""
        self.execute("PRAGMA secure_delete = ON")

    def empty_journal(self) -> None:
        """Move the write-ahead log into the file, as far as no reader needs it."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def integrity_problems(self) -> Iterator[str]:
        """Yield the problems that SQLite finds in the file."""
        yield from (str(row[0]) for row in self.rows("PRAGMA integrity_check") if row[0] != "ok")

    def reference_problems(self) -> Iterator[str]:
        """Yield rows whose references have no target."""
        for row in self.rows("PRAGMA foreign_key_check"):
            yield f"row {row[1]} of {row[0]} refers to a missing row of {row[2]}"

    def undecodable(self, table: str, key: str, columns: Sequence[str]) -> list[str]:
        """Return the key, as text, of each row with text in these columns that is not UTF-8."""
        texts = " || char(10) || ".join(f"coalesce({column}, '')" for column in columns)
        self.connection.text_factory = bytes
        try:
            cursor = self.connection.execute(f"SELECT {key}, {texts} FROM {table}")
            keys = list[str]()
            while rows := cursor.fetchmany(_TEXTS_AT_ONCE):
                # Joined with a line break, so that two halves of a character do not become a whole one.
                if not _is_utf8(b"\n".join(row[1] for row in rows)):
                    keys += [_shown(row[0]) for row in rows if not _is_utf8(row[1])]
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            self.connection.text_factory = str
        return keys

    def not_a_time(self, column: str) -> str:
        """Return the condition that a text is not a time: the 30th of February, when computed, is another."""
        return f"strftime('%Y-%m-%dT%H:%M:%SZ', {column}, '+0 days') IS DISTINCT FROM {column}"

    def last_run_number(self) -> int | None:
        """Return the number after which the next run is numbered; None if there never was a run."""
        number = self._scalar("SELECT seq FROM sqlite_sequence WHERE name = 'runs'")
        return number if isinstance(number, int) else None

    def search_problem(self) -> str | None:
        """Return how the search index disagrees with the users; None if it agrees or cannot be checked.

        FTS5's check needs write access; without it, or while another process writes, the check is skipped.
        """
        if not self.may_write:
            return None
        try:
            self.execute("BEGIN IMMEDIATE")
        except LedgerBusy:
            return None
        try:
            self.connection.execute(
                "INSERT INTO users_search (users_search, rank) VALUES ('integrity-check', 1)"
            )
        except sqlite3.Error as error:
            return f"disagrees with the users: {error}"
        finally:
            self.rollback()
        return None

    @property
    def is_guarded(self) -> bool:
        """Whether all triggers and unique indexes exist, by their number and length (20 µs)."""
        actual = next(self.rows(_GUARDS))
        return (actual[0], actual[1]) == GUARDS

    def close(self) -> None:
        """Close the connection."""
        self.connection.close()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(key: bytes | int | None) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)


def _connect(path: Path, options: str) -> sqlite3.Connection:
    """Open an existing file in autocommit mode. The URI is built by hand: urllib costs 5 ms of start-up."""
    text = str(path.absolute())
    for char, escape in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        text = text.replace(char, escape)
    return sqlite3.connect(f"file:{text}?{options}", uri=True, isolation_level=None, timeout=_POLL_SECONDS)


def sqlite_version() -> str:
    """Return the version of SQLite in this Python."""
    return sqlite3.sqlite_version


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `sqlite_too_old` if the SQLite of this Python cannot hold the schema."""
    if version < OLDEST_SQLITE:
        actual, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise refuse(
            Code.SQLITE_TOO_OLD,
            f"this Python has SQLite {actual}; the ledger needs {needed} or later",
            hint="install a newer Python (3.11 or later from python.org, uv or your distribution)",
        )


_REFUSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def _refused(error: sqlite3.Error, path: Path) -> Exception:
    """Return why a file cannot be opened or written. SQLite does not say if no file descriptor is left."""
    from seatctl.system.refusals import is_out_of_files, too_many_files

    if is_out_of_files():
        return too_many_files()
    return refuse(
        Code.LEDGER_READ_ONLY,
        f"{path} cannot be written: {error}",
        hint=f"give yourself write access to it and to its folder {path.parent}",
    )


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """Return the refusal for an SQLite error; an error that can only be a bug is returned as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(f"another process is writing to {path}", hint="run the same command again")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerCorrupt(
            f"{path} is damaged or is not a ledger: {error}",
            hint="restore a backup: seatctl ledger restore FILE",
        )
    if code in _REFUSED:
        return _refused(error, path)
    if code == sqlite3.SQLITE_FULL:
        return refuse(
            Code.DISK_FULL, f"the disk of {path} is full; nothing was changed", hint="free some disk space"
        )
    if code == sqlite3.SQLITE_IOERR:
        return refuse(
            Code.LEDGER_IO,
            f"{path} could not be read or written: {error}",
            hint="check the disk, then run the same command again",
        )
    return error
