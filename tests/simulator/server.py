"""A ledger on a server, looked at from outside; each history has a database of its own."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg

from tests.simulator.round_trips import CONNECT
from tests.support import postgres

_LEFT_OUT = frozenset({"commits", "chain", "locks", "staged_loads", "leases"})
"""Tables that only a server has, and whose contents are no facts."""

_PREPARED: list[str] = []
"""What is done to each database before its history begins: see `sabotage.py`."""


class ServerLedger:
    """Reads a ledger's tables. What was read stays as it is until the program has sent something."""

    def __init__(self, connection: psycopg.Connection[Any], generation: Callable[[], int]) -> None:
        self._connection, self._generation = connection, generation
        self._known: dict[object, Any] = {}
        self._read_at = -1
        self._tables = [
            str(row[0])
            for row in self._fresh(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'seatctl'"
                " AND tablename NOT LIKE 'staged%' ORDER BY tablename"
            )
            if row[0] not in _LEFT_OUT
        ]

    def rows(self, sql: str, *parameters: object) -> list[sqlite3.Row]:
        """The rows of a query, with its parameters at the question marks."""
        return self._remembered((sql, parameters), lambda: self._fresh(sql, *parameters))

    def dump(self, tables: Iterable[str] = ()) -> dict[str, list[tuple]]:
        """All rows of these tables, by default of all, and how many clients have staged rows."""
        names = [*tables]
        found = {name: self._table(name) for name in names or self._tables}
        if not names:
            query = "SELECT count(*) FROM staged_loads"
            found["staged_loads"] = self._remembered(query, lambda: self._plain(query))
        return found

    def _table(self, name: str) -> list[tuple]:
        return self._remembered(name, lambda: self._plain(f"SELECT * FROM {name} ORDER BY {name}"))

    def _plain(self, sql: str) -> list[tuple]:
        return self._connection.execute(sql).fetchall()

    def _fresh(self, sql: str, *parameters: object) -> list[Any]:
        with self._connection.cursor(row_factory=_named_rows) as cursor:
            if not parameters:
                return cursor.execute(sql.encode()).fetchall()
            return cursor.execute(sql.replace("%", "%%").replace("?", "%s").encode(), parameters).fetchall()

    def _remembered(self, key: object, read: Callable[[], list[Any]]) -> list[Any]:
        if self._read_at != self._generation():
            self._known.clear()
            self._read_at = self._generation()
        if key not in self._known:
            self._known[key] = read()
        return self._known[key]

    def lease(self, name: str) -> tuple[str, float] | None:
        """Who holds a lease, and until when; never remembered."""
        row = self._connection.execute(
            "SELECT holder, extract(epoch FROM until)::float8 FROM leases WHERE name = %s", (name,)
        ).fetchone()
        return None if row is None else (row[0], row[1])

    def leases(self) -> dict[str, float]:
        """Until when leases are held, by name."""
        query = "SELECT name, extract(epoch FROM until)::float8 FROM leases"
        return dict(self._remembered(query, lambda: self._plain(query)))

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class _Row(tuple):
    """A row as SQLite's: by position and by name."""

    __slots__ = ()
    names: Sequence[str] = ()

    def __getitem__(self, key: Any) -> Any:
        return tuple.__getitem__(self, self.names.index(key) if isinstance(key, str) else key)

    def keys(self) -> Sequence[str]:
        """The names of the columns."""
        return self.names


def _named_rows(cursor: psycopg.Cursor[Any]) -> Callable[[Sequence[Any]], _Row]:
    return _row_type(tuple(column.name for column in cursor.description or ()))


@cache
def _row_type(names: tuple[str, ...]) -> type[_Row]:
    return type("Row", (_Row,), {"__slots__": (), "names": names})


class Databases:
    """The databases of a server that this process has started."""

    def __init__(self) -> None:
        self._server = postgres.server()
        with self._server.connect() as connection:
            # What a vacuum does, and when, would decide in which order rows are read.
            connection.execute("ALTER SYSTEM SET autovacuum = off")
            connection.execute("SELECT pg_reload_conf()")
        self.folder = str(self._server.folder)

    def create(self, template: str | None = None) -> str:
        """Make a database, and return its name."""
        name = self._server.create(template)
        if _PREPARED and template:
            with self._server.connect(name) as connection:
                connection.execute("SET search_path TO seatctl")
                for statement in _PREPARED:
                    connection.execute(statement.encode())
        return name

    @contextmanager
    def database(self, template: str) -> Iterator[str]:
        """The name of a database that is dropped afterwards."""
        name = self.create(template)
        try:
            yield name
        finally:
            self._server.drop(name)

    def url(self, name: str) -> str:
        """A database's URL."""
        return self._server.url(name)

    def ledger(self, name: str, generation: Callable[[], int]) -> ServerLedger:
        """A ledger, to be read from outside."""
        connection = CONNECT(
            host=self.folder,
            port=self._server.port,
            user="postgres",
            dbname=name,
            autocommit=True,
            options="-csearch_path=seatctl",
        )
        return ServerLedger(connection, generation)


@contextmanager
def prepared(*statements: str) -> Iterator[None]:
    """Each history's database is changed by these statements before it begins."""
    _PREPARED.extend(statements)
    try:
        yield
    finally:
        _PREPARED.clear()
