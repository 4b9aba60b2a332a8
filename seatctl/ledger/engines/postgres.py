"""The PostgreSQL engine: statements wait in a queue for the next one that needs an answer.

One round trip carries them all. Nothing is sent when a ledger is opened, when a transaction begins, or when
one that only read ends. Each transaction sets what it needs for itself, because PgBouncer may give every
transaction another session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from datetime import UTC, datetime, timedelta
from enum import Enum
from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple, Self

from seatctl.errors import SeatctlError
from seatctl.ledger.engines.port import (
    EntryValues,
    Params,
    Rights,
    Row,
    Scope,
    SqlValue,
    StagedTable,
    key_of,
)
from seatctl.ledger.engines.postgres_errors import is_lost, translated
from seatctl.ledger.engines.postgres_leases import Leases
from seatctl.ledger.engines.postgres_link import Link, Result, Statement
from seatctl.ledger.engines.postgres_rights import rights_of
from seatctl.ledger.failures import LedgerUnreachable

if TYPE_CHECKING:
    from seatctl.ledger.engines.search import UserIndex
    from seatctl.models.ledger_url import ServerUrl

WAIT_SECONDS = 30.0
"""How long a statement waits for a lock. An import of a million rows holds the ledger for about that long."""

_PATIENCE_SECONDS = 30.0
"""How long a lost connection is opened again: a standby may have to be promoted first."""

_MOST_QUEUED = 500
"""Statements in the queue; then it is sent, so that memory does not grow."""

_AS_ROWS = 200
"""Up to so many rows are inserted by one statement of the queue; more are copied, in round trips of their
own."""

_AT_ONCE = 5000
"""Rows that a stream fetches in one round trip."""

_NOTHING = Result((), (), 0)


class _Kind(Enum):
    """The kinds of transactions, and how they begin."""

    READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    SCRATCH = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    STAGING = "BEGIN "
    WRITING = "BEGIN"


def connect(url: ServerUrl, *, wait: float = WAIT_SECONDS) -> PostgresEngine:
    """Return the engine of a ledger on a server. It connects later."""
    from seatctl.ledger.engines.postgres_target import parameters

    return PostgresEngine(url.shown, lambda: parameters(url), wait=wait)


_THAT_STAGE = frozenset((_Kind.WRITING, _Kind.SCRATCH, _Kind.STAGING))


class _Pending(NamedTuple):
    """Staged rows that no transaction has committed yet: each one that begins stores them."""

    tables: frozenset[str]
    statements: list[Statement]


class ServerFacts(NamedTuple):
    """What the server said about itself with the first answer."""

    version: int
    """As in `server_version_num`: 180004 is 18.4."""
    user: str
    """The database role of this connection."""
    is_standby: bool
    replay_delay: float | None
    """How many seconds a standby is behind its primary, at most; None on a primary."""
    rights: Rights
    """What that database role may do."""


_META = "SELECT key, value FROM meta"
_FACTS = """SELECT extract(epoch FROM clock_timestamp()) AS now, session_user AS database_user,
    own_grants() AS grants, pg_is_in_recovery() AS is_standby,
    current_setting('server_version_num') AS version,
    extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) AS replay_delay"""

_SETTINGS = """SELECT set_config('search_path', :path, true), set_config('lock_timeout', :wait, true),
    set_config('seatctl.load', :load, true), set_config('jit', 'off', true)"""


class PostgresEngine:
    """One ledger on a server. It connects when the first answer is needed."""

    keeps_staged = True
    damage: tuple[type[Exception], ...] = ()
    """None: the server keeps the types and constraints, whoever writes."""

    def __init__(
        self, place: str, parameters: Callable[[], Mapping[str, str]], *, wait: float = WAIT_SECONDS
    ) -> None:
        self.place = place
        self.committed = False
        self.facts: ServerFacts | None = None
        self._parameters, self._wait = parameters, wait
        self.link = Link(place, parameters)
        self._queue: list[Statement] = []
        self._kind: _Kind | None = None
        """The kind of the open transaction; None if there is none."""
        self._begun = False
        """Whether the server knows about the open transaction."""
        self._ended = False
        """Whether the server has still a snapshot that was closed here."""
        self._scope = Scope.WHOLE
        self._meta: dict[str, str] | None = None
        self._meta_is_read = False
        self._checks: list[Callable[[Mapping[str, str]], None]] = []
        self._clock: tuple[datetime, float] | None = None
        self._load: int | None = None
        """The number under which the staged rows of this client are stored."""
        self._staged: set[str] = set()
        self._being_staged: set[str] = set()
        """The staged tables of the open transaction."""
        self._pending: list[_Pending] = []
        self._cursors = 0
        self._reserved: tuple[int, int] | None = None
        """The entry's id and a run's number, once they are reserved."""
        self._has_run = False
        """Whether the reserved number is that of a run."""
        self._appended = False
        """Whether the open transaction has an audit entry."""
        self._leases = Leases(self)

    # -- opening -------------------------------------------------------------------------------

    def meta(self) -> Mapping[str, str]:
        """Return the contents of `meta`: those of the first answer, once, and later those of now."""
        if self._meta is None:
            self._send()
        elif self._meta_is_read:
            self._meta = {row["key"]: row["value"] for row in self.rows(_META)}
        self._meta_is_read = True
        return self._meta or {}

    def when_opened(self, check: Callable[[Mapping[str, str]], None]) -> None:
        """Call `check` with the contents of `meta` when the first answer arrives."""
        if self._meta is not None:
            check(self._meta)
        else:
            self._checks.append(check)

    def now(self) -> datetime | None:
        """Return the time of the server: that of the first answer, and what has passed since."""
        if self._clock is None:
            self._send()
        if self._clock is None:
            return None
        at, measured = self._clock
        return at + timedelta(seconds=time.monotonic() - measured)

    def behind(self) -> float | None:
        """Return how many seconds a standby may be behind its primary; None if this is not a standby."""
        if self.facts is None:
            self.meta()
        if self.facts is None or not self.facts.is_standby:
            return None
        return self.facts.replay_delay or 0.0

    @property
    def rights(self) -> Rights:
        """What the database role of this connection may do; it was part of the first answer."""
        if self.facts is None:
            self._send()
        if self.facts is None:
            raise RuntimeError("the server has not answered")
        return self.facts.rights

    def name_person(self, key: str) -> None:
        """Queue the statement that lets a role that only checks see this person."""
        self.execute("SELECT set_config('seatctl.person', :key, true)", {"key": key})

    def another(self) -> Self:
        """Return a second connection to the same ledger."""
        return type(self)(self.place, self._parameters, wait=self._wait)

    def _opened(self, result: Result) -> None:
        self._meta = {row["key"]: row["value"] for row in result.rows}

    def _measured(self, result: Result) -> None:
        row = result.rows[0]
        self._clock = datetime.fromtimestamp(float(row["now"]), UTC), time.monotonic()
        delay = row["replay_delay"]
        self.facts = ServerFacts(
            version=int(row["version"]),
            user=row["database_user"],
            is_standby=bool(row["is_standby"]),
            replay_delay=None if delay is None else float(delay),
            rights=rights_of(row["grants"]),
        )
        checks, self._checks = self._checks, []
        self._meta_is_read = bool(checks)
        for check in checks:
            check(self._meta or {})

    # -- statements ----------------------------------------------------------------------------

    def execute(self, sql: str, params: Params = ()) -> None:
        """Queue a statement; outside of a transaction it is sent at once."""
        self._queue.append(Statement.of(sql, params))
        if self._kind is None or len(self._queue) >= _MOST_QUEUED:
            self._send()

    def ask(self, sql: str, params: Params, receive: Callable[[Row | None], None]) -> None:
        """Queue a query; `receive` gets its first row with the next answer."""

        def first(result: Result) -> None:
            receive(result.rows[0] if result.rows else None)

        self._queue.append(Statement.of(sql, params, first))
        if self._kind is None:
            self._send()

    def ask_all(self, sql: str, params: Params, receive: Callable[[Sequence[Row]], None]) -> None:
        """Queue a query; `receive` gets its rows with the next answer."""
        self._queue.append(Statement.of(sql, params, lambda result: receive(result.rows)))
        if self._kind is None:
            self._send()

    def changed(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        return self._answer(sql, params).number

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows, which arrive all at once."""
        yield from self._answer(sql, params).rows

    def stream(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows; a cursor fetches a few thousand of them in one round trip."""
        if self._kind is None:
            yield from self.rows(sql, params)
            return
        self._cursors += 1
        name = f"rows_{self._cursors}"
        # Otherwise the plan is the best one for the first tenth of the rows; but all of them are read.
        self.execute("SET LOCAL cursor_tuple_fraction = 1")
        self.execute(f"DECLARE {name} NO SCROLL CURSOR FOR {sql}", params)
        while True:
            fetched = self._answer(f"FETCH {_AT_ONCE} FROM {name}", ()).rows
            yield from fetched
            if len(fetched) < _AT_ONCE:
                return

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
        return self.link.copy(f"COPY {stored} ({names}) FROM STDIN", chain(first, remaining))

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

    # -- round trips ---------------------------------------------------------------------------

    def _answer(self, sql: str, params: Params) -> Result:
        """Send the queue and this statement in one round trip, and return its result."""
        self._queue.append(Statement.of(sql, params))
        return self._send()

    def _send(self, *, commit: bool = False) -> Result:
        """Send the queue in one round trip, pass on the results, and return the last one."""
        queue, self._queue = self._queue, []
        results, queue = self._exchange(queue, commit)
        self._begun, self._ended = self._kind is not None, False
        for statement, result in zip(queue, results, strict=True):
            if statement.receive is not None:
                statement.receive(result)
        return results[-1] if results else _NOTHING

    def _exchange(self, queue: Sequence[Statement], commit: bool) -> tuple[list[Result], list[Statement]]:
        """Exchange the queue, preceded by what the transaction needs, for its results.

        If the connection is lost, a transaction that is in the queue from its beginning is sent again, once.
        Returns no results if a COMMIT got no answer and has been carried out.
        """
        import psycopg

        repeatable = not self._begun
        while True:
            token = os.urandom(16).hex()
            whole = [*self._prefix(), *queue, *(self._ending(token) if commit else ())]
            if not whole:
                return [], []
            texts = [self.link.written(statement.sql, statement.params) for statement in whole]
            try:
                return self.link.exchange(texts), whole
            except psycopg.Error as error:
                lost = is_lost(error)
                if lost:
                    self._forget_connection()
                else:
                    self._begun, self._ended = not self.link.is_idle, False
                if commit and (lost or self.link.is_idle) and self._is_committed(token):
                    return [], []
                if not (lost and repeatable):
                    raise translated(error, self.place, opening=self._meta is None) from error
                repeatable = False
                self.link.open(_PATIENCE_SECONDS)
            except BaseException:
                # Interrupted: how far the server is, is not known. It rolls back what is not committed.
                self._forget_connection()
                raise

    def _prefix(self) -> list[Statement]:
        """Return the statements that come before the queue: BEGIN, the settings, and the first questions."""
        first: list[Statement] = []
        if self._ended:
            first.append(Statement.of("ROLLBACK"))
        if not self._begun:
            self.link.open()
            settings = {
                "path": f'"{self.link.schema}", pg_temp',
                "wait": f"{self._wait * 1000:.0f}",
                "load": str(self._load or ""),
            }
            first += [Statement.of(self._kind.value)] if self._kind else []
            first.append(Statement.of(_SETTINGS, settings))
        if self._meta is None:
            # With the schema's name: a user who may not use the schema is told so.
            meta = f'SELECT key, value FROM "{self.link.schema}".meta'
            first.append(Statement.of(meta, (), self._opened))
            first.append(Statement.of(_FACTS, (), self._measured))
        if not self._begun and self._kind in _THAT_STAGE:
            first += [statement for pending in self._pending for statement in pending.statements]
        return first

    def _ending(self, token: str) -> Iterator[Statement]:
        """Yield the statements of a COMMIT that can be resolved if it gets no answer."""
        yield Statement.of("INSERT INTO commits (token) VALUES (?)", (token,))
        yield Statement.of("COMMIT")
        if self._appended:
            yield Statement.of(f'SELECT "{self.link.schema}".link_audit()')

    def _is_committed(self, token: str) -> bool:
        """Return whether the transaction with this token was committed; if it was not, it never will be.

        The token is inserted again. That waits for a session of the server that is still at it, and fails if
        it has committed. If this one commits first, the other one cannot.
        """
        import psycopg

        again = "INSERT INTO commits (token) VALUES (?) ON CONFLICT DO NOTHING"
        path = {"path": f'"{self.link.schema}", pg_temp', "wait": f"{self._wait * 1000:.0f}", "load": ""}
        try:
            self.link.open(_PATIENCE_SECONDS)
            texts = [self.link.written(_SETTINGS, path), self.link.written(again, (token,))]
            return self.link.exchange(texts)[-1].number == 0
        except (psycopg.Error, SeatctlError) as error:
            self._forget_connection()
            raise LedgerUnreachable(
                f"the connection to {self.place} was lost during a commit and cannot be opened again;"
                " whether the change was made is not known",
                hint="see what was done: seatctl runs list",
            ) from error

    def _forget_connection(self) -> None:
        self.link.drop()
        self._begun = self._ended = False

    def run_script(self, statements: Iterable[tuple[str, Params]]) -> None:
        """Run these statements in one transaction and one round trip: the creation of a schema.

        A statement without parameters is sent as it is.
        """
        import psycopg

        self.link.open()
        path = f'SET LOCAL search_path TO "{self.link.schema}", pg_temp'
        texts = [self.link.written(*statement) for statement in statements]
        try:
            self.link.exchange([b"BEGIN", path.encode(), *texts, b"COMMIT"])
        except psycopg.Error as error:
            self._forget_connection()
            raise translated(error, self.place) from error

    def ask_server(self, sql: str, params: Params) -> Row:
        """Return the only row of a query that needs no ledger."""
        import psycopg

        self.link.open()
        try:
            return self.link.exchange([self.link.written(sql, params)])[0].rows[0]
        except psycopg.Error as error:
            self._forget_connection()
            raise translated(error, self.place) from error

    def post(self, sql: str, params: Params) -> None:
        """Run a statement in a transaction of its own, without waiting for it. Needs no open transaction."""
        texts = [self.link.written(statement.sql, statement.params) for statement in self._prefix()]
        self._ended = False
        self.link.post(*texts, self.link.written(sql, params))

    # -- transactions --------------------------------------------------------------------------

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open."""
        return self._kind is not None

    def _begin(self, kind: _Kind) -> None:
        if self._kind is not None:
            raise RuntimeError("a transaction of this ledger is already open")
        self._kind = kind
        self._appended = False
        self._being_staged = set()

    def begin_reading(self) -> None:
        """Open a read-only snapshot, or one that can store the staged rows which nothing has stored yet."""
        self._begin(_Kind.SCRATCH if self._pending else _Kind.READING)

    def end_reading(self) -> None:
        """Close the snapshot. The server hears of it with the next statement, or in a pause."""
        self._end(at_once=False)

    def pause(self) -> None:
        """Close a snapshot that the server still has: nothing is asked for a while."""
        if self._ended:
            self._ended = False
            self._post(b"ROLLBACK")

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Open a transaction that locks the ledger: against everybody, or against who needs the whole of it.

        Statements see what was committed before each of them: a row is read after it is locked.
        """
        self._begin(_Kind.WRITING)
        self._scope, self._reserved, self._has_run = scope, None, False
        self.execute("SELECT lock_ledger(:whole = 1)", {"whole": int(scope is Scope.WHOLE)})

    def begin_unlocked(self) -> None:
        """Open a transaction for functions that take their own locks and append their entries."""
        self._begin(_Kind.WRITING)
        self._scope, self._reserved, self._has_run = Scope.SHARED, None, False
        self._appended = True

    @property
    def is_shared(self) -> bool:
        """Whether the open transaction has locked the ledger against nobody but who needs the whole of it."""
        return self._kind is _Kind.WRITING and self._scope is Scope.SHARED

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
        self._begin(_Kind.STAGING)

    def begin_scratch(self) -> None:
        """Open a snapshot in which staged tables can be filled too."""
        self._begin(_Kind.SCRATCH)

    def commit(self) -> None:
        """Send the queue and COMMIT in one round trip. If it gets no answer, find out what happened."""
        if self._kind is None:
            raise RuntimeError("no transaction is open")
        is_staging = self._kind is _Kind.STAGING
        if is_staging and not self._begun:
            # Few rows, since none were sent: the next transaction sends them, without a round trip of theirs.
            others = [pending for pending in self._pending if not pending.tables <= self._being_staged]
            self._pending = [*others, _Pending(frozenset(self._being_staged), self._queue)]
            self._queue = []
        elif self._begun or self._queue:
            self._send(commit=True)
            self._pending = []
            self.committed = self.committed or not is_staging
        self._kind, self._begun = None, False

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one, without waiting for the server."""
        self._end(at_once=True)

    def _end(self, *, at_once: bool) -> None:
        if self._kind is None:
            return
        was_begun = self._begun and self.link.is_open
        self._kind, self._begun, self._queue = None, False, []
        if was_begun and at_once:
            self._post(b"ROLLBACK")
        elif was_begun:
            self._ended = True

    def _post(self, text: bytes) -> None:
        import psycopg

        try:
            self.link.post(text)
        except psycopg.Error:
            self._forget_connection()

    def hold(self, name: str, wait: float) -> AbstractContextManager[bool]:
        """Hold a lease of this name; yields False if another process still holds it after `wait` seconds."""
        if self._kind is not None:
            raise RuntimeError("a lease taken within a transaction would not be seen by others")
        return self._leases.hold(name, wait)

    def require_held(self, name: str) -> None:
        """Raise `busy` if the lease of this name, which this process took, has expired."""
        self._leases.require(name)

    # -- audit ---------------------------------------------------------------------------------

    def reserve_entry(self) -> None:
        """Queue the reservation of the entry's id and of a run's number; numbers may be left out."""

        def reserved(row: Row | None) -> None:
            self._reserved = None if row is None else (int(row[0]), int(row[1]))

        if self._kind is not _Kind.WRITING:
            raise RuntimeError("no writing transaction is open")
        self.ask("SELECT nextval('audit_seq_seq'), nextval('runs_number_seq')", (), reserved)

    @property
    def entry(self) -> int:
        """The id of this transaction's audit entry."""
        return self._numbers()[0]

    def _numbers(self) -> tuple[int, int]:
        if self._reserved is None and self._kind is _Kind.WRITING:
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
        return self.changed(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
            " SELECT :change_entry, n, :change_entity, entity_id, before, after, salt,"
            " hash_of_change(:change_entity, entity_id, before, after, salt)"
            " FROM (SELECT :change_last + row_number() OVER () AS n, entity_id, before, after,"
            " salt_of_change((SELECT gen_random_uuid()::text || gen_random_uuid()::text), :change_last"
            f" + row_number() OVER ()) AS salt FROM ({select}) AS chosen) AS salted",
            {**params, "change_entry": self.entry, "change_last": last, "change_entity": entity},
        )

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


_UNCONSTRAINED = (
    ("seats", "subscription_id", "subscriptions", "id"),
    ("seats", "user_id", "users", "id"),
    ("changes", "entry", "audit", "seq"),
    ("outbox", "entry_id", "audit", "seq"),
)


def _insertion(table: str, values: Mapping[str, SqlValue]) -> str:
    """Return the statement that inserts one row with these columns."""
    marks = ", ".join(f":{column}" for column in values)
    return f"INSERT INTO {table} ({', '.join(values)}) VALUES ({marks})"


def _returning(table: str, values: Mapping[str, SqlValue]) -> str:
    """Return the statement that inserts one row and returns its integer key."""
    return f"{_insertion(table, values)} RETURNING {key_of(table)}"
