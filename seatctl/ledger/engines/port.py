"""The interface of a database that can hold a ledger. `sqlite.py` implements it.

The modules above use SQL that every engine understands (`ON CONFLICT`, `RETURNING`, `:name` parameters).
Transactions, locks, TEMP tables, integrity checks and the meaning of error codes belong to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import Enum
from typing import Any, Protocol, Self

MODES = ("sandbox", "test", "live")
"""The modes of a ledger; `meta` has the mode, which never changes."""

SqlValue = str | int | float | bytes | None
Params = Mapping[str, SqlValue] | Sequence[SqlValue]
Hasher = Callable[[int, str, int, str | None, str | None, str], str]
"""Computes the hash of a change row from its n, entity, id, before, after and salt."""


class Scope(Enum):
    """How much of the ledger a change locks."""

    WHOLE = "whole"
    """Nobody else changes anything meanwhile."""
    SHARED = "shared"
    """Others change other things meanwhile. The change locks the subscriptions, users and requests that it
    decides on. SQLite has one lock only and treats it as WHOLE."""


class Row(Protocol):
    """A result row with access by column name or position. Rows stay inside `ledger/`; others get models."""

    def __getitem__(self, key: str | int, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Sequence[str]:
        """Return the column names in order."""
        ...


class Engine(Protocol):
    """One connection. Errors of a file or a server are raised as `SeatctlError`."""

    place: str
    """The path or the URL of the ledger, for messages; without a password."""
    damage: tuple[type[Exception], ...]
    """The errors that damaged rows can cause; a bug in the program can cause them too."""
    committed: bool
    """Whether this connection has committed anything."""

    @property
    def is_guarded(self) -> bool:
        """Whether the triggers and unique indexes that protect the seats and the audit exist."""
        ...

    def meta(self) -> Mapping[str, str]:
        """Return the rows of `meta`: id, mode, account and settings of the ledger."""
        ...

    def when_opened(self, check: Callable[[Mapping[str, str]], None]) -> None:
        """Call `check` with the rows of `meta` before any answer of the database is used.

        A file is asked at once; a server with the first statement, so that the check costs no round trip.
        """
        ...

    def now(self) -> datetime | None:
        """Return the time of the server (aware UTC); None for a file, whose clock is this machine's."""
        ...

    def another(self) -> Self:
        """Return a second connection to the same ledger."""
        ...

    def hold(self, name: str, wait: float) -> AbstractContextManager[bool]:
        """Hold a lock across transactions: `money`, `mail`, `sync` or `batch:RUN`.

        It ends when the process dies. Yields False if another process still holds it after `wait` seconds.
        """
        ...

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows, fetched one at a time."""
        ...

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        ...

    def columns(self, sql: str) -> list[str]:
        """Return the column names of a query without parameters."""
        ...

    def insert(self, sql: str, params: Params = ()) -> int:
        """Insert one row and return its integer key."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run a statement once per row of parameters and return the number of rows changed."""
        ...

    def insert_changes(
        self, hasher: Hasher, place: tuple[int, int, str], select: str, params: Mapping[str, SqlValue]
    ) -> int:
        """Insert a change row with a new salt for every (entity_id, before, after) of `select`.

        `place` is the entry, the last n in use, and the entity. `hasher` is called once per row in order of
        n. Returns the number of rows inserted.
        """
        ...

    def define(self, name: str, function: Callable[[str | None], str | None]) -> None:
        """Define a deterministic function of one text for use in statements."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Return whether a transaction is open."""
        ...

    def begin_reading(self) -> None:
        """Open a read-only snapshot."""
        ...

    def end_reading(self) -> None:
        """Close the snapshot."""
        ...

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Open a transaction that holds the lock of its scope from the start, or raise `ledger_busy`."""
        ...

    def begin_staging(self) -> None:
        """Open a transaction for temporary tables only; it takes no lock that affects other processes."""
        ...

    def commit(self) -> None:
        """Make the open transaction durable."""
        ...

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one."""
        ...

    def overwrite_deleted(self) -> None:
        """From now on, overwrite deleted content."""
        ...

    def empty_journal(self) -> None:
        """Delete older versions of overwritten pages that no reader needs any more."""
        ...

    def integrity_problems(self) -> Iterator[str]:
        """Yield the problems that the database finds in its own file."""
        ...

    def reference_problems(self) -> Iterator[str]:
        """Yield rows whose references have no target."""
        ...

    def undecodable(self, query: str) -> list[str]:
        """Return the key, as text, of each row (key, text) of a query whose text is not UTF-8."""
        ...

    def search_problem(self) -> str | None:
        """Return how the search index disagrees with the users, or None. Needs no open transaction."""
        ...

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        ...
