"""The connection to a server: opened when it is needed; every exchange of a batch is one round trip."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from seatctl.ledger.engines.port import Params, SqlValue
from seatctl.ledger.engines.postgres_errors import is_passing, not_connected
from seatctl.ledger.engines.postgres_text import PostgresRow, adapt, row_type, written

if TYPE_CHECKING:
    from psycopg import Connection, Cursor
    from psycopg.abc import Transformer

DEFAULT_SCHEMA = "seatctl"
"""The schema of the ledger if the `search_path` in the connection's options names no other one."""

_SEARCH_PATH = re.compile(r"""-c\s*search_path\s*=\s*["']?([^\s,"']+)""")
_POLL_SECONDS = 0.25


class Result(NamedTuple):
    """The result of one statement of a batch."""

    columns: tuple[str, ...]
    rows: Sequence[PostgresRow]
    number: int
    """The number of rows returned or changed."""


class Link:
    """A connection that may be lost and opened again."""

    def __init__(self, place: str, parameters: Callable[[], Mapping[str, str]]) -> None:
        self._place, self._parameters = place, parameters
        self._connection: Connection[PostgresRow] | None = None
        self._transformer: Transformer | None = None
        self._awaited = False
        """Whether the answer to a batch that was posted has not been read."""
        self.round_trips = 0
        """The number of answers waited for, without those of connecting; tests count them."""
        self.schema = DEFAULT_SCHEMA

    def open(self, patience: float = 0.0) -> Connection[PostgresRow]:
        """Return the connection; open it if there is none.

        A server that is starting, or whose standby is being promoted, is asked again for `patience` seconds.
        """
        if self._connection is not None and not self._connection.closed:
            return self._connection
        import psycopg

        deadline = time.monotonic() + patience
        parameters: dict[str, Any] = {**self._parameters(), "client_encoding": "utf8"}
        while True:
            try:
                connection = psycopg.connect(
                    **parameters,
                    autocommit=True,
                    cursor_factory=psycopg.ClientCursor,
                    row_factory=_rows,
                    prepare_threshold=None,
                )
                break
            except psycopg.Error as error:
                if not is_passing(error) or time.monotonic() >= deadline:
                    raise not_connected(error, self._place) from error
            time.sleep(_POLL_SECONDS)
        adapt(connection.adapters)
        self._connection, self._transformer, self._awaited = connection, None, False
        named = _SEARCH_PATH.search(connection.info.options or os.environ.get("PGOPTIONS", ""))
        self.schema = named[1] if named else DEFAULT_SCHEMA
        return connection

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as it is known."""
        return self._connection is not None and not self._connection.closed

    @property
    def is_idle(self) -> bool:
        """Whether the server has no open transaction for this connection."""
        from psycopg.pq import TransactionStatus

        return self.open().info.transaction_status == TransactionStatus.IDLE

    def written(self, sql: str, params: Params) -> bytes:
        """Return a statement with its parameters as literals. Raises ValueError for a text with a NUL."""
        from psycopg import DataError
        from psycopg.adapt import Transformer as Quoting

        if self._transformer is None:
            self._transformer = Quoting(self.open())
        try:
            return written(sql, params, self._transformer)
        except DataError as error:  # NUL is the only character that a text cannot have
            raise ValueError(str(error)) from error

    def exchange(self, texts: Sequence[bytes]) -> list[Result]:
        """Send the statements and return their results, in one round trip. Raises psycopg's errors."""
        connection = self.open()
        self._read_awaited(connection)
        self.round_trips += 1
        cursor = connection.cursor()
        cursor.execute(b";\n".join(texts))
        results = [_result(cursor)]
        while cursor.nextset():
            results.append(_result(cursor))
        if len(results) != len(texts):
            raise RuntimeError(f"{len(texts)} statements had {len(results)} results")
        return results

    def post(self, *texts: bytes) -> None:
        """Send statements whose results do not matter, and do not wait for them."""
        connection = self.open()
        self._read_awaited(connection)
        connection.pgconn.send_query(b";\n".join(texts))
        connection.pgconn.flush()
        self._awaited = True

    def _read_awaited(self, connection: Connection[PostgresRow]) -> None:
        if self._awaited:
            from psycopg.generators import fetch_many

            self._awaited = False
            connection.wait(fetch_many(connection.pgconn))

    def copy(self, statement: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run COPY … FROM STDIN with these rows, read one at a time, and return how many.

        Raises psycopg's errors, and ValueError for a text with a NUL.
        """
        import psycopg

        count = 0
        connection = self.open()
        self._read_awaited(connection)
        self.round_trips += 2
        try:
            with connection.cursor().copy(statement.encode()) as copy:
                for row in rows:
                    copy.write_row(row)
                    count += 1
        except psycopg.DataError as error:
            raise ValueError(str(error)) from error
        return count

    def close(self) -> None:
        """Close the connection, after the answer to what was posted: else the server would log an error."""
        if self._connection is not None and not self._connection.closed:
            with suppress(Exception):
                self._read_awaited(self._connection)
        self.drop()

    def drop(self) -> None:
        """Close the connection without sending anything; the server rolls back an open transaction."""
        if self._connection is not None:
            with suppress(Exception):
                self._connection.close()
        self._connection = self._transformer = None


def _rows(cursor: Cursor[PostgresRow]) -> Callable[[Sequence[Any]], PostgresRow]:
    description = cursor.description
    return row_type(() if description is None else tuple(column.name for column in description))


def _result(cursor: Cursor[PostgresRow]) -> Result:
    if cursor.description is None:
        return Result((), (), max(0, cursor.rowcount))
    names = tuple(column.name for column in cursor.description)
    return Result(names, cursor.fetchall(), cursor.rowcount)


class Statement(NamedTuple):
    """A statement of a batch, with its parameters, and who gets its result."""

    sql: str
    params: Params
    receive: Callable[[Result], None] | None

    @classmethod
    def of(cls, sql: str, params: Params = (), receive: Callable[[Result], None] | None = None) -> Statement:
        """Return a statement with its parameters as they are now."""
        return cls(sql, dict(params) if isinstance(params, Mapping) else tuple(params), receive)
