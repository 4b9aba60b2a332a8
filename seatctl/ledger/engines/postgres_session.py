"""One client's transactions on a server: a queue of statements, sent with the next one that needs an answer.

One round trip carries them all. Nothing is sent when a ledger is opened, when a transaction begins, or when
one that only read ends. Each transaction sets what it needs for itself, because PgBouncer may give every
transaction another session.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple

from seatctl.errors import SeatctlError
from seatctl.ledger.engines.port import Params, Rights, Row, SqlValue
from seatctl.ledger.engines.postgres_errors import AGAIN, is_lost, translated
from seatctl.ledger.engines.postgres_link import Link, Result, Statement
from seatctl.ledger.engines.postgres_rights import rights_of
from seatctl.ledger.failures import LedgerLost, LedgerUnreachable

if TYPE_CHECKING:
    from psycopg import Error

WAIT_SECONDS = 30.0
"""How long a statement waits for a lock. An import of a million rows holds the ledger for about that long."""

_PATIENCE_SECONDS = 30.0
"""How long a lost connection is opened again: a standby may have to be promoted first."""

_IDLE_SECONDS = 300.0
"""After how long without a statement the server ends a transaction. A machine that has vanished would hold
its locks until TCP notices it: for two hours."""

_MOST_QUEUED = 500
"""Statements in the queue; then it is sent, so that memory does not grow."""

_NOTHING = Result((), (), 0)


class Kind(Enum):
    """The kinds of transactions, and how they begin."""

    READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
    SCRATCH = "BEGIN ISOLATION LEVEL REPEATABLE READ"
    STAGING = "BEGIN "  # with a space: an enumeration takes two equal values for one member
    WRITING = "BEGIN"


_THAT_STAGE = frozenset((Kind.WRITING, Kind.SCRATCH, Kind.STAGING))


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
    set_config('seatctl.load', :load, true), set_config('jit', 'off', true),
    set_config('idle_in_transaction_session_timeout', :idle, true)"""


class PostgresSession:
    """A connection that opens when the first answer is needed, its queue, and its open transaction."""

    def __init__(
        self, place: str, parameters: Callable[[], Mapping[str, str]], *, wait: float = WAIT_SECONDS
    ) -> None:
        self.place = place
        self.committed = False
        self.facts: ServerFacts | None = None
        self.link = Link(place, parameters)
        self._wait = wait
        self._queue: list[Statement] = []
        self._kind: Kind | None = None
        """The kind of the open transaction; None if there is none."""
        self._begun = False
        """Whether the server knows about the open transaction."""
        self._ended = False
        """Whether the server still has a snapshot that this client has closed."""
        self._is_lost = False
        """Whether the statements of the open transaction are gone. Without this flag, code that goes on after
        the error would commit only those that follow."""
        self._appended = False
        """Whether the open transaction has an audit entry."""
        self._load: int | None = None
        """The number under which the staged rows of this client are stored."""
        self._load_is_stored = False
        """Whether a transaction with that number has been committed."""
        self._being_staged: set[str] = set()
        """The staged tables of the open transaction."""
        self._pending: list[_Pending] = []
        self._meta: dict[str, str] | None = None
        self._meta_is_read = False
        self._checks: list[Callable[[Mapping[str, str]], None]] = []
        self._clock: tuple[datetime, float] | None = None

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

    # -- round trips ---------------------------------------------------------------------------

    def _answer(self, sql: str, params: Params) -> Result:
        """Send the queue and this statement in one round trip, and return its result."""
        self._queue.append(Statement.of(sql, params))
        return self._send()

    def _send(self, *, commit: bool = False) -> Result:
        """Send the queue in one round trip, pass on the results, and return the last one."""
        self._require_not_lost()
        queue, self._queue = self._queue, []
        self._is_lost = self._kind is not None  # until there is an answer
        results, queue = self._exchange(queue, commit)
        self._begun, self._ended, self._is_lost = self._kind is not None, False, False
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
                    self._is_lost = self._kind is not None and not self._begun
                    raise self._refusal(error) from error
                repeatable = False
                self.link.open(_PATIENCE_SECONDS)
            except BaseException:
                # Interrupted: how far the server is, is not known. It rolls back what is not committed.
                self._forget_connection()
                raise

    def _require_not_lost(self) -> None:
        if self._is_lost:
            raise LedgerLost(f"the connection to {self.place} was lost within this change", hint=AGAIN)

    def _copy(self, statement: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """Run COPY … FROM STDIN and return the number of rows. Raises ValueError for a text with a NUL."""
        import psycopg

        try:
            return self.link.copy(statement, rows)
        except psycopg.Error as error:
            if is_lost(error):
                self._forget_connection()
                self._is_lost = self._kind is not None
            raise self._refusal(error) from error

    def _refusal(self, error: Error) -> Exception:
        return translated(error, self.place, opening=self._meta is None, committed=self.committed)

    def _prefix(self) -> list[Statement]:
        """Return the statements that come before the queue: BEGIN, the settings, and the first questions."""
        first: list[Statement] = []
        if self._ended:
            first.append(Statement.of("ROLLBACK"))
        if not self._begun:
            self.link.open()
            first += [Statement.of(self._kind.value)] if self._kind else []
            first.append(Statement.of(_SETTINGS, self._settings()))
        if self._meta is None:
            # With the schema's name: a user who may not use the schema is told so.
            meta = f'SELECT key, value FROM "{self.link.schema}".meta'
            first.append(Statement.of(meta, (), self._opened))
            first.append(Statement.of(_FACTS, (), self._measured))
        if not self._begun and self._kind is not None and self._load_is_stored:
            first.append(Statement.of("SELECT require_load(:load)", {"load": self._load}))
        if not self._begun and self._kind in _THAT_STAGE:
            first += [statement for pending in self._pending for statement in pending.statements]
        return first

    def _settings(self) -> dict[str, str]:
        return {
            "path": f'"{self.link.schema}", pg_temp',
            "wait": f"{self._wait * 1000:.0f}",
            "idle": f"{_IDLE_SECONDS * 1000:.0f}",
            "load": str(self._load or ""),
        }

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
        try:
            self.link.open(_PATIENCE_SECONDS)
            texts = [self.link.written(_SETTINGS, self._settings()), self.link.written(again, (token,))]
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
            raise self._refusal(error) from error

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

    def _begin(self, kind: Kind) -> None:
        if self._kind is not None:
            raise RuntimeError("a transaction of this ledger is already open")
        self._kind = kind
        self._appended = self._is_lost = False
        self._being_staged = set()

    def begin_reading(self) -> None:
        """Open a read-only snapshot, or one that can store the staged rows which nothing has stored yet."""
        self._begin(Kind.SCRATCH if self._pending else Kind.READING)

    def end_reading(self) -> None:
        """Close the snapshot. The server hears of it with the next statement, or in a pause."""
        self._end(at_once=False)

    def read_on(self) -> None:
        """Begin a new snapshot: a statement that fails ends the one in which it was."""
        if self._kind is Kind.READING:
            self._end(at_once=True)
            self._begin(Kind.READING)

    def pause(self) -> None:
        """Close a snapshot that the server still has: nothing is asked for a while."""
        if self._ended:
            self._ended = False
            self._post(b"ROLLBACK")

    def commit(self) -> None:
        """Send the queue and COMMIT in one round trip. If it gets no answer, find out what happened."""
        if self._kind is None:
            raise RuntimeError("no transaction is open")
        self._require_not_lost()
        is_staging = self._kind is Kind.STAGING
        if is_staging and not self._begun:
            # Few rows, since none were sent: the next transaction sends them, without a round trip of theirs.
            others = [pending for pending in self._pending if not pending.tables <= self._being_staged]
            self._pending = [*others, _Pending(frozenset(self._being_staged), self._queue)]
            self._queue = []
        elif self._begun or self._queue:
            self._send(commit=True)
            self._load_is_stored = self._load_is_stored or bool(self._being_staged or self._pending)
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
        self._kind, self._begun, self._is_lost, self._queue = None, False, False, []
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
