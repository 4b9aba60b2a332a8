"""SQLite as the ledger's engine: everything that is SQLite's own, and nothing about seats.

The file is opened in autocommit, so that every BEGIN is written here; WAL with FULL sync, so that a
change that was reported survives a power cut; foreign keys on; functions of a hostile schema off.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import cast

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.port import Hasher, Params, Row, SqlValue
from seatctl.ledger.engines.sqlite_files import fingerprint, has_log, is_shared, may_write
from seatctl.ledger.failures import LedgerBusy, LedgerCorrupt

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables; RETURNING (3.35) and FTS5's trigram tokenizer (3.34) come with it."""

WAIT_SECONDS = 30.0
"""How long a writer waits for another one: a bulk import of a million rows holds the lock that long."""

GUARDS = (21, 4699)
"""How many triggers and unique indexes this version makes, and the length of their statements."""

_GUARDS = """SELECT count(*), total(length(sql)) FROM sqlite_schema
    WHERE type = 'trigger' OR type = 'index' AND name LIKE 'one@_%' ESCAPE '@'"""

_TEXTS_AT_ONCE = 1000

_POLL_SECONDS = 0.25
"""SQLite's own wait cannot be interrupted by Ctrl-C, so it is kept short and repeated."""


class SqliteEngine:
    """One connection to a ledger file that exists."""

    def __init__(self, path: Path, *, wait: float = WAIT_SECONDS) -> None:
        require_sqlite()
        self.path = path
        self._wait = wait
        self.may_write = may_write(path)
        self._frozen: tuple[int, ...] | None = None
        """What the file was like when it was opened without its log and locks; None if it was not."""
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
        """A connection for a user who may only read; it makes no file beside the ledger.

        One that a reader made could keep the owner from writing. So the files by which readers and writers
        of a log find each other are used if they are there. If they are not, nobody has the ledger open,
        and it is read as it is, without locks; `end_reading` looks whether somebody wrote meanwhile.
        """
        if is_shared(self.path):
            return _connect(self.path, "mode=ro&readonly_shm=1")
        if has_log(self.path):
            raise refuse(
                Code.LEDGER_READ_ONLY,
                f"the log of {self.path} holds changes, which only a user with write access can read",
                hint="let such a user run: seatctl ledger backup FILE; then: seatctl --ledger FILE",
            )
        if os.access(self.path, os.R_OK):
            self._frozen = fingerprint(self.path)
        return _connect(self.path, "mode=ro&immutable=1")

    def _configure(self) -> None:
        self.execute("PRAGMA foreign_keys = ON")
        self.execute("PRAGMA trusted_schema = OFF")
        self.execute("PRAGMA synchronous = FULL")

    def use_wal(self) -> None:
        """Switch the file to write-ahead logging, which lasts. SQLite's own wait does not cover this."""
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
        """The schema version of the file: 0 where no migration has been finished."""
        return int(self._scalar("PRAGMA user_version") or 0)

    @property
    def application_id(self) -> int:
        """What the file says it is; SQLite's default is 0."""
        return int(self._scalar("PRAGMA application_id") or 0)

    @property
    def is_empty(self) -> bool:
        """Whether nothing was ever created in the file."""
        return not self._scalar("SELECT EXISTS (SELECT 1 FROM sqlite_schema)")

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self.connection.in_transaction

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """The result rows, fetched as they are asked for."""
        try:
            # Not `yield from`: that closes the cursor of a list which an error has left half-read, when it is
            # forgotten, and fails where the connection was closed before.
            for row in self.connection.execute(sql, params):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run a statement; the number of rows it changed."""
        try:
            return self.connection.execute(sql, params).rowcount
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def columns(self, sql: str) -> list[str]:
        """The names of the columns that a query yields."""
        return [str(column[0]) for column in self.connection.execute(f"{sql} LIMIT 0").description]

    def insert(self, sql: str, params: Params = ()) -> int:
        """Insert one row; its integer key."""
        try:
            return self.connection.execute(sql, params).lastrowid or 0
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run a statement once per row of parameters; the number of rows changed."""
        try:
            return self.connection.executemany(sql, rows).rowcount
        except sqlite3.Error as error:
            raise translated(error, self.path) from error

    def insert_changes(
        self, hasher: Hasher, place: tuple[int, int, str], select: str, params: Mapping[str, SqlValue]
    ) -> int:
        """Insert a change row, with a fresh salt, for every (entity_id, before, after) of `select`.

        The window function keeps SQLite from merging the inner query into the outer one, where
        `randomblob` would be called twice and the stored salt would not be the hashed one.
        """
        entry, last, entity = place
        self.connection.create_function("hash_of_change", 6, hasher)
        return self.execute(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"  # noqa: S608 - ours
            " SELECT :change_entry, n, :change_entity, entity_id, before, after, salt,"
            " hash_of_change(n, :change_entity, entity_id, before, after, salt)"
            " FROM (SELECT :change_last + row_number() OVER () AS n, entity_id, before, after,"
            f" lower(hex(randomblob(16))) AS salt FROM ({select}))",
            {**params, "change_entry": entry, "change_last": last, "change_entity": entity},
        )

    def define(self, name: str, function: Callable[[str | None], str | None]) -> None:
        """Let statements call a function of one text, which gives the same for the same."""
        self.connection.create_function(name, 1, function, deterministic=True)

    def begin_reading(self) -> None:
        """Open one snapshot in which nothing can be written."""
        self.execute("PRAGMA query_only = ON")
        self.execute("BEGIN")

    def end_reading(self) -> None:
        """Close the snapshot. Raises LedgerBusy if it was none: the file was written to meanwhile."""
        self.rollback()
        self.execute("PRAGMA query_only = OFF")
        if self._frozen is not None and (has_log(self.path) or fingerprint(self.path) != self._frozen):
            raise LedgerBusy(
                f"{self.path} was written to while it was read", hint="run the same command again"
            )

    def begin_writing(self) -> None:
        """Take the write lock now.

        IMMEDIATE, because a transaction that reads first and writes later lets another process take the
        last seat in between, and then fails in the middle with SQLITE_BUSY, which no wait can cure.
        """
        deadline = time.monotonic() + self._wait
        while True:
            try:
                self.execute("BEGIN IMMEDIATE")
            except LedgerBusy:
                if time.monotonic() > deadline:
                    raise
            else:
                return

    def begin_staging(self) -> None:
        """Open a transaction for TEMP tables; a deferred one locks nothing of the file."""
        self.execute("BEGIN")

    def commit(self) -> None:
        """Make the open transaction durable."""
        self.execute("COMMIT")

    def rollback(self) -> None:
        """Forget the open transaction; SQLite itself may have done so already (disk full)."""
        if self.in_transaction:
            self.execute("ROLLBACK")

    def overwrite_deleted(self) -> None:
        """From now on, let what is deleted be overwritten in the file."""
        self.execute("PRAGMA secure_delete = ON")

    def empty_journal(self) -> None:
        """Empty the write-ahead log into the file, as far as no reader needs it."""
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def integrity_problems(self) -> Iterator[str]:
        """What SQLite finds wrong with the file."""
        yield from (str(row[0]) for row in self.rows("PRAGMA integrity_check") if row[0] != "ok")

    def reference_problems(self) -> Iterator[str]:
        """Rows whose references lead nowhere."""
        for row in self.rows("PRAGMA foreign_key_check"):
            yield f"row {row[1]} of {row[0]} refers to a row of {row[2]} that is not there"

    def undecodable(self, query: str) -> list[str]:
        """The key, as text, of each row (key, text) whose text is not UTF-8."""
        self.connection.text_factory = bytes
        try:
            rows, found = self.connection.execute(query), list[str]()
            while some := rows.fetchmany(_TEXTS_AT_ONCE):
                # A line break between them, so that no two halves of a character make a whole one.
                if not _is_utf8(b"\n".join(row[1] for row in some)):
                    found += [_shown(row[0]) for row in some if not _is_utf8(row[1])]
        except sqlite3.Error as error:
            raise translated(error, self.path) from error
        finally:
            self.connection.text_factory = str
        return found

    def search_problem(self) -> str | None:
        """What is wrong between the index of users and the users; None if nothing is, or it cannot be asked.

        FTS5 writes in order to look; a ledger that may not be written is looked at no deeper.
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
            return f"it does not agree with the users: {error}"
        finally:
            self.rollback()
        return None

    @property
    def is_guarded(self) -> bool:
        """Whether the triggers are all there, judged by their number and length: it costs 20 µs."""
        found = next(self.rows(_GUARDS))
        return (found[0], found[1]) == GUARDS

    def close(self) -> None:
        """Let the connection go."""
        self.connection.close()


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _shown(key: bytes | int | None) -> str:
    return key.decode(errors="backslashreplace") if isinstance(key, bytes) else str(key)


def _connect(path: Path, how: str) -> sqlite3.Connection:
    """Open a file that exists, in autocommit. The URI is written out: urllib costs 5 ms of start-up."""
    text = str(path.absolute())
    for char, escape in (("%", "%25"), ("?", "%3f"), ("#", "%23")):
        text = text.replace(char, escape)
    return sqlite3.connect(f"file:{text}?{how}", uri=True, isolation_level=None, timeout=_POLL_SECONDS)


def sqlite_version() -> str:
    """The version of SQLite that this Python brings."""
    return sqlite3.sqlite_version


def require_sqlite(version: tuple[int, ...] = sqlite3.sqlite_version_info) -> None:
    """Raise `sqlite_too_old` where the SQLite of this Python cannot hold the schema."""
    if version < OLDEST_SQLITE:
        found, needed = (".".join(map(str, numbers)) for numbers in (version, OLDEST_SQLITE))
        raise refuse(
            Code.SQLITE_TOO_OLD,
            f"this Python has SQLite {found}; the ledger needs {needed} or later",
            hint="install a newer Python (3.11 or later from python.org, uv or your distribution)",
        )


_REFUSED = (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH)


def _refused(error: sqlite3.Error, path: Path) -> Exception:
    """Why a file cannot be opened or written: SQLite itself does not tell that no file descriptor is left."""
    from seatctl.system.refusals import is_out_of_files, too_many_files

    if is_out_of_files():
        return too_many_files()
    return refuse(
        Code.LEDGER_READ_ONLY,
        f"{path} cannot be written: {error}",
        hint=f"give yourself write access to it and to its folder {path.parent}",
    )


def translated(error: sqlite3.Error, path: Path) -> Exception:
    """The refusal that an error of SQLite means; one that can only be a bug of ours comes back as it is."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerBusy(f"another process is writing to {path}", hint="run the same command again")
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return LedgerCorrupt(
            f"{path} is damaged or not a ledger: {error}",
            hint="put a backup in its place: seatctl ledger restore FILE",
        )
    if code in _REFUSED:
        return _refused(error, path)
    if code == sqlite3.SQLITE_FULL:
        return refuse(
            Code.DISK_FULL, f"no room left for {path}; nothing was changed", hint="free some disk space"
        )
    if code == sqlite3.SQLITE_IOERR:
        return refuse(
            Code.LEDGER_IO,
            f"the disk failed under {path}: {error}",
            hint="check the disk, then run the same command again",
        )
    return error
