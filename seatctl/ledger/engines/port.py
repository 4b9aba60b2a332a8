"""What a database must offer to hold a ledger; `sqlite.py` is one, a PostgreSQL twin could be another.

Everything above this seam speaks SQL that both take (`ON CONFLICT`, `RETURNING`, `:name` parameters).
Transactions, locks, TEMP staging, integrity checks and the meaning of error codes are the engine's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

SqlValue = str | int | float | bytes | None
Params = Mapping[str, SqlValue] | Sequence[SqlValue]
Hasher = Callable[[int, str, int, str | None, str | None, str], str]
"""The hash of a change row from its n, entity, id, before, after and salt."""


class Row(Protocol):
    """A result row, by column name or position. Rows stay inside `ledger/`; models leave it."""

    def __getitem__(self, key: str | int, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Sequence[str]:
        """The column names in order."""
        ...


class Engine(Protocol):
    """One connection. Raises only `SeatctlError`s for what happens to a file or a server."""

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """The result rows, fetched as they are asked for."""
        ...

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run a statement; the number of rows it changed."""
        ...

    def columns(self, sql: str) -> list[str]:
        """The names of the columns that a query without parameters yields."""
        ...

    def insert(self, sql: str, params: Params = ()) -> int:
        """Insert one row; its integer key."""
        ...

    def execute_many(self, sql: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run a statement once per row of parameters; the number of rows changed."""
        ...

    def insert_changes(
        self, hasher: Hasher, place: tuple[int, int, str], select: str, params: Mapping[str, SqlValue]
    ) -> int:
        """Insert a change row, with a fresh salt, for every (entity_id, before, after) of `select`.

        `place` is the entry, the last n taken, and the entity; `hasher` is called once per row in order
        of n. The number of rows inserted.
        """
        ...

    def define(self, name: str, function: Callable[[str | None], str | None]) -> None:
        """Let statements call a function of one text, which gives the same for the same."""
        ...

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        ...

    def begin_reading(self) -> None:
        """Open one snapshot in which nothing can be written."""
        ...

    def end_reading(self) -> None:
        """Close the snapshot."""
        ...

    def begin_writing(self) -> None:
        """Open a transaction that holds the write lock from its first moment, or raise `ledger_busy`."""
        ...

    def begin_staging(self) -> None:
        """Open a transaction for temporary tables only; takes no lock that another process could feel."""
        ...

    def commit(self) -> None:
        """Make the open transaction durable."""
        ...

    def rollback(self) -> None:
        """Forget the open transaction."""
        ...

    def overwrite_deleted(self) -> None:
        """From now on, let what is deleted be overwritten."""
        ...

    def empty_journal(self) -> None:
        """Keep no older version of what was overwritten, as far as no reader needs it."""
        ...

    def integrity_problems(self) -> Iterator[str]:
        """What the database finds wrong with its own file."""
        ...

    def reference_problems(self) -> Iterator[str]:
        """Rows whose references lead nowhere."""
        ...

    def undecodable(self, query: str) -> list[str]:
        """The key, as text, of each row (key, text) of a query whose text is not UTF-8."""
        ...

    def search_problem(self) -> str | None:
        """What is wrong between the index of users and the users; outside of a transaction."""
        ...

    def close(self) -> None:
        """Let the connection go; an open transaction is forgotten."""
        ...
