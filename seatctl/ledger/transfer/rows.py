"""The rows of a ledger, read from one engine and loaded into another, and their digests.

Rows are streamed: memory does not grow with the ledger. The digest of a table is the SHA-256 of its rows in
the order of their keys, each written as a compact JSON array and a line break; it is computed while the rows
are copied, and again from what the copy has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from hashlib import sha256
from typing import NamedTuple

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import place_marks as marks
from seatctl.ledger.engines.port import Engine, SqlValue
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.transfer.tables import META, TABLES, selection

Notify = Callable[[str], None]

_NUL = "\\u0000"
"""The character NUL in JSON."""

_line = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Contents(NamedTuple):
    """How many rows a table has, and the digest of them."""

    table: str
    rows: int
    digest: str


class _Digest:
    """The digest of the rows that were read so far."""

    def __init__(self) -> None:
        self._hash, self._rows = sha256(), 0

    def of(self, rows: Iterator[Sequence[SqlValue]]) -> Iterator[Sequence[SqlValue]]:
        """Yield the rows, and add each of them. Raises ValueError for a text that no server can store."""
        for row in rows:
            line = _line(row)
            if _NUL in line and any(isinstance(value, str) and "\0" in value for value in row):
                raise ValueError(f"row {self._rows + 1} has the character NUL")
            self._hash.update(f"{line}\n".encode())
            self._rows += 1
            yield row

    def contents(self, table: str) -> Contents:
        """Return the result."""
        return Contents(table, self._rows, self._hash.hexdigest())


def _rows(engine: Engine, table: str, columns: Sequence[str]) -> Iterator[Sequence[SqlValue]]:
    select = f"SELECT {', '.join(columns)} FROM {selection(table)} ORDER BY {TABLES[table]}"
    return (tuple(row) for row in engine.stream(select))


def _columns(engine: Engine, table: str) -> list[str]:
    """Return the columns of a table in an order that is the same in every database."""
    return sorted(engine.columns(f"SELECT * FROM {table}"))


def contents(engine: Engine) -> Iterator[Contents]:
    """Read all tables within the open snapshot, and yield the contents of each."""
    for table in TABLES:
        digest = _Digest()
        for _ in digest.of(_rows(engine, table, _columns(engine, table))):
            pass
        yield digest.contents(table)


def counts(engine: Engine) -> Iterator[tuple[str, int]]:
    """Yield each table with the number of its rows."""
    for table in TABLES:
        yield table, int(next(engine.rows(f"SELECT count(*) FROM {selection(table)}"))[0])


def has_contents(engine: Engine) -> bool:
    """Return whether the ledger holds anything but its id and its settings."""
    filled = " OR ".join(f"EXISTS (SELECT 1 FROM {table})" for table in TABLES if table != META)
    return bool(next(engine.rows(f"SELECT CASE WHEN {filled} THEN 1 ELSE 0 END"))[0])


def copy_rows(
    source: Engine, target: Engine, mark: Mapping[str, str], original: str, notify: Notify
) -> list[Contents]:
    """Copy all rows from the open snapshot of one ledger into the open transaction of another.

    Rows that the other ledger had are deleted. It gets the mark of an unfinished copy of the ledger at
    `original`. Returns what was read.
    """
    read = []
    with _emptied(target):
        target.execute(f"DELETE FROM {selection(META)}")
        for table in TABLES:
            columns, digest = _columns(source, table), _Digest()
            try:
                target.load(table, columns, digest.of(_rows(source, table, columns)))
            except ValueError as error:
                raise refuse(
                    Code.LEDGER_DAMAGED,
                    f"{original} has a text in the table {table} that cannot be copied: {error}",
                    hint="seatctl ledger check",
                    data={"table": table},
                ) from error
            read.append(digest.contents(table))
            notify(f"copied {table}: {read[-1].rows}")
        marks.mark_unfinished(target, mark)
    return read


def _emptied(engine: Engine) -> AbstractContextManager[None]:
    """Return the context in which the tables are empty, and an engine accepts rows as they are."""
    tables = [table for table in TABLES if table != META]
    if isinstance(engine, SqliteEngine):
        from seatctl.ledger.schema import bulk_load

        return bulk_load.emptied(engine, tables)
    from seatctl.ledger.schema.postgres import bulk_load as server_bulk_load

    return server_bulk_load.emptied(engine, tables)


def require_equal(read: Sequence[Contents], copied: Sequence[Contents], original: str, copy: str) -> None:
    """Raise `copy_differs` if a table of the copy does not have the rows that were read."""
    for before, after in zip(read, copied, strict=True):
        if before != after:
            data: dict[str, JsonValue] = {"table": before.table, "rows": before.rows, "copied": after.rows}
            raise refuse(
                Code.COPY_DIFFERS,
                f"the table {before.table} of {copy} is not the same as that of {original}; the copy is not"
                " used",
                hint="run the same command again",
                data=data,
            )
