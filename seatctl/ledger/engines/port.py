"""The interface of a database that can hold a ledger. `sqlite.py` implements it; PostgreSQL could be another.

The modules above use SQL that both understand (`ON CONFLICT`, `RETURNING`, `:name` parameters). Transactions,
locks, TEMP tables, integrity checks and the meaning of error codes belong to the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

SqlValue = str | int | float | bytes | None
Params = Mapping[str, SqlValue] | Sequence[SqlValue]
Hasher = Callable[[int, str, int, str | None, str | None, str], str]
"""Computes the hash of a change row from its n, entity, id, before, after and salt."""


class Row(Protocol):
    """A result row with access by column name or position. Rows stay inside `ledger/`; others get models."""

    def __getitem__(self, key: str | int, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Sequence[str]:
        """Return the column names in order."""
        ...


class Engine(Protocol):
    """One connection. Errors of a file or a server are raised as `SeatctlError`."""

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

    def begin_writing(self) -> None:
        """Open a transaction that holds the write lock from the start, or raise `ledger_busy`."""
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
