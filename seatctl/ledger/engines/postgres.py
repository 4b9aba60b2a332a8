"""The PostgreSQL engine: the statements, locks and audit entries of a ledger on a server.

`postgres_session.py` sends them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from itertools import chain, islice
from typing import TYPE_CHECKING, Self

from seatctl.ledger.engines.port import EntryValues, Params, Row, Scope, SqlValue, StagedTable, key_of
from seatctl.ledger.engines.postgres_leases import Leases
from seatctl.ledger.engines.postgres_pace import SharedPace
from seatctl.ledger.engines.postgres_session import WAIT_SECONDS, Kind, PostgresSession

if TYPE_CHECKING:
    from seatctl.ledger.engines.search import UserIndex
    from seatctl.models.ledger_url import ServerUrl

_AS_ROWS = 200
"""The most rows that one INSERT of the queue has. More are copied, which takes round trips of its own."""

_AT_ONCE = 5000
"""Rows that a stream fetches in one round trip."""

_PAGE = 100
"""Rows that it fetches first if the rest may not be needed."""


def connect(url: ServerUrl, *, wait: float = WAIT_SECONDS) -> PostgresEngine:
    """Return the engine of a ledger on a server. It connects later. Raises `postgres_missing`."""
    from seatctl.ledger.engines.postgres_target import parameters, require_driver

    require_driver()  # before the first statement, which imports it as if it were there
    return PostgresEngine(url.shown, lambda: parameters(url), wait=wait)


class PostgresEngine(PostgresSession):
    """One ledger on a server."""

    mail_shares = 4
    """Each is a lease, and a connection that renews it while a long list is sent."""

    def __init__(
        self, place: str, parameters: Callable[[], Mapping[str, str]], *, wait: float = WAIT_SECONDS
    ) -> None:
        super().__init__(place, parameters, wait=wait)
        self.wants_page = False
        self._parameters = parameters
        self._scope = Scope.WHOLE
        self._staged: set[str] = set()
        """The staged tables that this client has used."""
        self._cursors = 0
        self._reserved: tuple[int, int] | None = None
        """The entry's id and a run's number, once they are reserved."""
        self._has_run = False
        """Whether the reserved number is that of a run."""
        self._leases = Leases(self)
        self._pace = SharedPace(self)

    # -- statements ----------------------------------------------------------------------------

    def name_person(self, key: str) -> None:
        """Queue the statement that lets a role that only checks see this person."""
        self.execute("SELECT set_config('seatctl.person', :key, true)", {"key": key})

    def another(self) -> Self:
        """Return a second connection to the same ledger."""
        return type(self)(self.place, self._parameters, wait=self._wait)

    def stream(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows; a cursor fetches a few thousand of them in one round trip."""
        if self._kind is None:
            yield from self.rows(sql, params)
            return
        self._cursors += 1
        name = f"rows_{self._cursors}"
        # By default the plan is the best one for the first tenth of the rows: too much for a page, which need
        # not be sorted out of a million, and too little for all.
        at_once, planned = (_PAGE, "0.0001") if self.wants_page else (_AT_ONCE, "1")
        self.execute(f"SET LOCAL cursor_tuple_fraction = {planned}")
        self.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", params)
        while True:
            fetched = self._answer(f"FETCH {at_once} FROM {name}", ()).rows
            yield from fetched
            if len(fetched) < at_once:
                return
            at_once = _AT_ONCE

    def columns(self, sql: str) -> list[str]:
        """Return the column names of a query without parameters."""
        return list(self._answer(f"{sql} LIMIT 0", ()).columns)

    def insert(self, table: str, values: Mapping[str, SqlValue]) -> int:
        """Insert one row with these values by column and return its integer key."""
        return int(self._answer(_returning(table, values), values).rows[0][0])

    def insert_later(
        self, table: str, values: Mapping[str, SqlValue], receive: Callable[[int], None]
    ) -> None:
        """Queue the insertion of one row; `receive` gets its integer key with the next answer."""

        def key(row: Row | None) -> None:
            if row is not None:
                receive(int(row[0]))

        self.ask(_returning(table, values), values, key)

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[SqlValue]]) -> int:
        """Insert many rows and return how many. A few are queued, many are copied."""
        remaining = iter(rows)
        first = list(islice(remaining, _AS_ROWS + 1))
        names = ", ".join(columns)
        if len(first) <= _AS_ROWS:
            if first:
                marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(first))
                values = [value for row in first for value in row]
                self.execute(f"INSERT INTO {table} ({names}) VALUES {marks}", values)
            return len(first)
        self._send()
        stored = f"staged_{table}" if table in self._staged else table
        return self._copy(f"COPY {stored} ({names}) FROM STDIN", chain(first, remaining))

    def stage(self, table: StagedTable) -> None:
        """Begin to use a staged table; empty it if it was used before."""

        def loaded(row: Row | None) -> None:
            self._load = None if row is None else int(row[0])

        # Again in each transaction: one that was rolled back has not registered the number.
        self.ask("SELECT begin_load(:load)", {"load": self._load}, loaded)
        if table.name in self._staged:
            self.execute(f"DELETE FROM {table.name}")
        self._staged.add(table.name)
        self._being_staged.add(table.name)

    def index_staged(self, table: StagedTable) -> None:
        """Let the planner know how many rows a staged table has; its indexes exist."""
        self.execute("SELECT index_staged(:name)", {"name": table.name})

    @property
    def users(self) -> UserIndex:
        """The index over the names and e-mails of users."""
        from seatctl.ledger.engines.postgres_search import PostgresUserIndex

        return PostgresUserIndex()

    # -- locks ---------------------------------------------------------------------------------

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Open a transaction that locks the ledger: against everybody, or against who needs the whole of it.

        Statements see what was committed before each of them: a row is read after it is locked.
        """
        self._begin(Kind.WRITING)
        self._scope, self._reserved, self._has_run = scope, None, False
        self.execute("SELECT lock_ledger(:whole = 1)", {"whole": int(scope is Scope.WHOLE)})

    def begin_unlocked(self) -> None:
        """Open a transaction for functions that take their own locks and append their entries."""
        self._begin(Kind.WRITING)
        self._scope, self._reserved, self._has_run = Scope.SHARED, None, False
        self._appended = True

    @property
    def is_shared(self) -> bool:
        """Whether the open transaction has locked the ledger against nobody but who needs the whole of it."""
        return self._kind is Kind.WRITING and self._scope is Scope.SHARED

    @property
    def damage(self) -> tuple[type[Exception], ...]:
        """Return the errors that a missing table causes, or JSON of another shape in a text."""
        from psycopg import Error

        return Error, ValueError, LookupError, TypeError, AttributeError, StopIteration

    def lock_rows(self, select: str, params: Params = ()) -> None:
        """Queue a statement that locks rows of one table in the order of `select`."""
        if self.is_shared:
            self.execute(f"{select} FOR NO KEY UPDATE", params)

    def lock_users(self) -> None:
        """Queue a statement that takes the lock for adding and editing users."""
        if self.is_shared:
            self.execute("SELECT lock_users()")

    def begin_staging(self) -> None:
        """Open a transaction for staged tables only; it locks nothing of the ledger."""
        self._begin(Kind.STAGING)

    def begin_scratch(self) -> None:
        """Open a snapshot in which staged tables can be filled too."""
        self._begin(Kind.SCRATCH)

    def hold(self, name: str, wait: float) -> AbstractContextManager[bool]:
        """Hold a lease of this name; yields False if another process still holds it after `wait` seconds."""
        if self._kind is not None:
            raise RuntimeError("a lease taken within a transaction would not be seen by others")
        return self._leases.hold(name, wait)

    def require_held(self, name: str) -> None:
        """Raise `busy` if the lease of this name, which this process took, has expired."""
        self._leases.require(name)

    def take_turns(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        """Reserve the next requests to Stripe; return in how many seconds they begin, None if unknown."""
        return self._pace.take(endpoint, gap, endpoint_gap)

    # -- audit ---------------------------------------------------------------------------------

    def reserve_entry(self) -> None:
        """Queue the reservation of the entry's id and of a run's number; numbers may be left out."""

        def reserved(row: Row | None) -> None:
            self._reserved = None if row is None else (int(row[0]), int(row[1]))

        if self._kind is not Kind.WRITING:
            raise RuntimeError("no writing transaction is open")
        self.ask("SELECT nextval('audit_seq_seq'), nextval('runs_number_seq')", (), reserved)

    @property
    def entry(self) -> int:
        """The id of this transaction's audit entry."""
        return self._numbers()[0]

    def _numbers(self) -> tuple[int, int]:
        if self._reserved is None and self._kind is Kind.WRITING:
            self._send()
        if self._reserved is None:
            self.reserve_entry()
            self._send()
        if self._reserved is None:
            raise RuntimeError("no audit entry is reserved")
        return self._reserved

    def insert_run(self, values: Mapping[str, SqlValue]) -> int:
        """Queue the insertion of a run under the reserved number, and return it."""
        if self._has_run:
            return self.insert("runs", values)
        self._has_run = True
        number = self._numbers()[1]
        columns = {"number": number, **values}
        self.execute(_insertion("runs", columns), columns)
        return number

    def insert_change(
        self, n: int, entity: str, entity_id: int, before: str | None, after: str | None
    ) -> None:
        """Queue change row `n` of the entry, with a new salt and its hash."""
        from seatctl.ledger import hashes

        salt = os.urandom(16).hex()
        hashed = hashes.change_hash(entity, entity_id, before, after, salt)
        self.execute(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.entry, n, entity, entity_id, before, after, salt, hashed),
        )

    def insert_changes(self, last: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Insert a change row for every (entity_id, before, after) of `select`; the server hashes them."""
        values = {**params, "change_entry": self.entry, "change_last": last, "change_entity": entity}
        return self.changed(_change_rows(select), values)

    def insert_change_of(self, n: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> None:
        """Queue change row `n` for the only (entity_id, before, after) of `select`; the server hashes it."""
        values = {**params, "change_entry": self.entry, "change_last": n - 1, "change_entity": entity}
        self.execute(_change_rows(select), values)

    def append_entry(self, values: EntryValues) -> None:
        """Queue the audit entry; a trigger computes its hashes, and it is linked after the commit."""
        self._appended = True
        self.execute(
            "INSERT INTO audit (seq, run, at, actor, os_user, command_hash, digest, origin)"
            " VALUES (:seq, :run, :at, :actor, :os_user, '', '', :origin)",
            {**values._asdict(), "seq": self.entry},
        )

    def blank_changes(self, condition: str, params: Mapping[str, SqlValue], erased_at: str) -> int:
        """Blank the change rows that a condition selects: nobody but a function may update them."""
        blanked = self._scalar(
            "SELECT coalesce(sum(blank_change(c.entry, c.n, :erased_at)), 0) FROM changes c"
            f" WHERE c.erased_at IS NULL AND ({condition})",
            {**params, "erased_at": erased_at},
        )
        return int(blanked or 0)

    def link_entries(self) -> None:
        """Link all committed entries into the chain, some in each transaction; a standby gets them linked."""
        if self.behind() is not None:
            return
        most = 10_000
        while self._scalar("SELECT link_audit(:most, true)", {"most": most}) == most:
            pass

    def _scalar(self, sql: str, params: Params) -> SqlValue:
        value: SqlValue = self._answer(sql, params).rows[0][0]
        return value

    # -- maintenance ---------------------------------------------------------------------------

    def overwrite_deleted(self) -> None:
        """Do nothing: the server overwrites deleted content when it wants to."""

    def empty_journal(self) -> None:
        """Do nothing: the write-ahead log belongs to the server's administrator."""

    def integrity_problems(self) -> Iterator[str]:
        """Yield nothing: a server checks its own files."""
        return iter(())

    def reference_problems(self) -> Iterator[str]:
        """Yield the references that no constraint of the server checks and that have no target."""
        for table, column, target, key in _UNCONSTRAINED:
            rows = self.rows(
                f"SELECT count(*) FROM {table} t WHERE NOT EXISTS"
                f" (SELECT 1 FROM {target} o WHERE o.{key} = t.{column})"
            )
            if count := next(rows)[0]:
                yield f"{count} rows of {table} refer to a missing row of {target}"

    def undecodable(self, table: str, key: str, columns: Sequence[str]) -> list[str]:
        """Return nothing: the server accepts UTF-8 only."""
        return []

    def not_a_time(self, column: str) -> str:
        """Return the condition that a text is not a time, such as the 30th of February."""
        return f"NOT is_a_time({column})"

    def last_run_number(self) -> int | None:
        """Return None: a transaction that is rolled back leaves its numbers out."""
        return None

    def search_problem(self) -> str | None:
        """Return None: the server keeps the index."""
        return None

    @property
    def is_guarded(self) -> bool:
        """True: only the ledger's owner could remove a trigger; `ledger check` looks."""
        return True

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back, and staged rows are deleted."""
        self._end(at_once=False)
        if self._load is not None and self.link.is_open:
            with suppress(Exception):
                self.post("SELECT forget_loads(:load)", {"load": self._load})
        self.link.close()
        self._pace.close()


_UNCONSTRAINED = (
    ("seats", "subscription_id", "subscriptions", "id"),
    ("seats", "user_id", "users", "id"),
    ("changes", "entry", "audit", "seq"),
    ("outbox", "entry_id", "audit", "seq"),
)


def _change_rows(select: str) -> str:
    """Return the statement that inserts a change row for every (entity_id, before, after) of `select`."""
    return (
        "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
        " SELECT :change_entry, n, :change_entity, entity_id, before, after, salt,"
        " hash_of_change(:change_entity, entity_id, before, after, salt)"
        " FROM (SELECT :change_last + row_number() OVER () AS n, entity_id, before, after,"
        " salt_of_change((SELECT gen_random_uuid()::text || gen_random_uuid()::text), :change_last"
        f" + row_number() OVER ()) AS salt FROM ({select}) AS chosen) AS salted"
    )


def _insertion(table: str, values: Mapping[str, SqlValue]) -> str:
    """Return the statement that inserts one row with these columns."""
    marks = ", ".join(f":{column}" for column in values)
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"


def _returning(table: str, values: Mapping[str, SqlValue]) -> str:
    """Return the statement that inserts one row and returns its integer key."""
    return f"{_insertion(table, values)} RETURNING {key_of(table)}"
