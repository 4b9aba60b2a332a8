"""The interface of a database that can hold a ledger; `sqlite.py` implements it for a file.

The text of a statement is the same for every engine: an engine translates parameter markers (`?`, `:name`)
and nothing else. Transactions, locks, staged tables, bulk loading, the hashes of the audit, integrity checks
and the meaning of error codes belong to the engine.

On a server every answer costs a round trip. Therefore `execute` promises no answer: a server's engine may
queue the statement and send it together with the next one that needs an answer. An error of a queued
statement is raised by that next one, at the latest by `commit`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, Self

if TYPE_CHECKING:
    from seatctl.ledger.engines.search import UserIndex

MODES = ("sandbox", "test", "live")
"""The modes of a ledger; `meta` has the mode, which never changes."""

SCHEMA_VERSION = 5
"""The schema that this program creates, reads and writes: the number of its migrations."""

MIN_CLIENT = "0.1.0"
"""The oldest program that works with this schema; `meta.min_client` of a new or migrated ledger."""

SETTING = "setting."
"""How the keys of `meta` begin that have the settings of the ledger."""

MOVED_TO = "moved_to"
"""The key of `meta` with the place to which a ledger was moved; it is not used any more."""

UNFINISHED_COPY = "unfinished_copy_of"
"""The key of `meta` with the place of the ledger of which this one is a copy that was not finished."""

SqlValue = str | int | float | bytes | None
Params = Mapping[str, SqlValue] | Sequence[SqlValue]

_KEYS = {"runs": "number", "requests": "number", "audit": "seq"}


def key_of(table: str) -> str:
    """Return the column that is the integer key of a table."""
    return _KEYS.get(table, "id")


class Rights(NamedTuple):
    """What the database role of a connection may do. A file, and the owner of a ledger, limit nobody."""

    actor: str | None = None
    """The only actor that it may act as; None: any."""
    reads_everything: bool = True
    """False for a role that only requests, or only checks: it sees one person."""
    requester: str | None = None
    """The key of the e-mail address of the person who may request seats for themselves."""
    checks_anybody: bool = False
    """Whether it may ask whether a person is entitled, whoever it is."""
    writes: bool = True
    """Whether it may write to tables."""
    subscriptions: tuple[int, ...] | None = None
    """The subscriptions that it may change; None: all of them, or nothing at all."""


EVERYTHING = Rights()


class StagedTable(NamedTuple):
    """A table of rows that belong to one process only, such as the rows of a file.

    Statements use it by its name. With SQLite it is a TEMP table; on a server its rows are in a table that
    all clients share, and each client sees its own. `ledger/schema/staged.py` has all of them.
    """

    name: str
    columns: Mapping[str, str]
    """The type of each column, `INTEGER` or `TEXT`, followed by `NOT NULL` if it is required."""
    key: str = ""
    """The integer column that identifies a row; empty if there is none."""
    indexes: Mapping[str, str] = MappingProxyType({})
    """The columns of each index, in parentheses, followed by its condition if it has one."""


class EntryValues(NamedTuple):
    """The values of an audit entry that its change rows do not determine."""

    run: int
    at: str
    actor: str
    os_user: str
    origin: str | None
    """JSON: the machine and the CI job that the change came from; None if they are not recorded."""


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
    committed: bool
    """Whether this connection has committed anything."""
    wants_page: bool
    """Whether the first page is probably all that is read of a stream. A file has it at once anyway."""
    mail_shares: int
    """Into how many shares the messages are divided, each of which one process sends at a time."""

    @property
    def damage(self) -> tuple[type[Exception], ...]:
        """Return the errors that damaged rows can cause; a bug in the program can cause them too."""
        ...

    @property
    def rights(self) -> Rights:
        """What this connection may do. A server says so with its first answer."""
        ...

    def name_person(self, key: str) -> None:
        """Say whom the next queries of this transaction are about, by the key of their e-mail address.

        A database role that only checks sees nobody else.
        """
        ...

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

    def behind(self) -> float | None:
        """Return how many seconds a standby may be behind its primary; None if this is not a standby."""
        ...

    def now(self) -> datetime | None:
        """Return the time of the server (aware UTC); None for a file, whose clock is this machine's."""
        ...

    def another(self) -> Self:
        """Return a second connection to the same ledger."""
        ...

    def hold(self, name: str, wait: float) -> AbstractContextManager[bool]:
        """Hold a lock across transactions: `money`, `mail`, `mail:SHARE`, `sync` or `batch:RUN`.

        It ends when the process dies. Yields False if another process still holds it after `wait` seconds.
        """
        ...

    def require_held(self, name: str) -> None:
        """Raise `busy` if a lock that `hold` took may belong to another process by now.

        A server gives it to others if this process was suspended or cut off for too long.
        """
        ...

    def take_turns(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        """Reserve the next requests to Stripe among all clients; return in how many seconds they begin.

        `gap` and `endpoint_gap`: the seconds that they take up of all requests, and of those to `endpoint`.
        Threads may call this at any time. None: nobody else is known, so this process keeps its own pace.
        """
        ...

    @property
    def users(self) -> UserIndex:
        """The index over the names and e-mails of users."""
        ...

    # -- statements ----------------------------------------------------------------------------

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement whose result is not needed."""
        ...

    def changed(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        ...

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows. A server sends all of them at once: see `stream`."""
        ...

    def stream(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows without ever holding all of them in memory."""
        ...

    def ask(self, sql: str, params: Params, receive: Callable[[Row | None], None]) -> None:
        """Run a query and pass its first row (or None) to `receive`, at the latest with the next answer."""
        ...

    def ask_all(self, sql: str, params: Params, receive: Callable[[Sequence[Row]], None]) -> None:
        """Like `ask`, for all rows of a query that yields few."""
        ...

    def columns(self, sql: str) -> list[str]:
        """Return the column names of a query without parameters."""
        ...

    def insert(self, table: str, values: Mapping[str, SqlValue]) -> int:
        """Insert one row with these values by column and return its integer key."""
        ...

    def insert_later(
        self, table: str, values: Mapping[str, SqlValue], receive: Callable[[int], None]
    ) -> None:
        """Insert one row and pass its integer key to `receive`, at the latest with the next answer."""
        ...

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[SqlValue]]) -> int:
        """Insert many rows, read one at a time, and return how many."""
        ...

    def stage(self, table: StagedTable) -> None:
        """Create a staged table; if it exists already, empty it."""
        ...

    def index_staged(self, table: StagedTable) -> None:
        """Create the indexes of a staged table after its rows were inserted.

        Sorting once takes half the time of keeping an index sorted.
        """
        ...

    # -- transactions --------------------------------------------------------------------------

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

    def read_on(self) -> None:
        """Go on reading after a statement that failed, if need be in a new snapshot."""
        ...

    def pause(self) -> None:
        """Prepare for a while in which nothing is asked, such as a call to Stripe or a question to a person.

        A server's snapshot of a reading that has ended is closed by then; otherwise with the next statement.
        """
        ...

    def begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Open a transaction that holds the lock of its scope from the start, or raise `ledger_busy`."""
        ...

    def begin_unlocked(self) -> None:
        """Open a transaction for functions of the server that take their own locks and append their entries.

        A file takes its lock.
        """
        ...

    @property
    def is_shared(self) -> bool:
        """Whether other clients may change the ledger during the open transaction: it has Scope.SHARED."""
        ...

    def lock_rows(self, select: str, params: Params = ()) -> None:
        """Lock the rows of one table that `select` yields, in its order, until the transaction ends.

        Later statements see what was committed before they were locked. There is nothing to lock if the
        transaction has locked the whole ledger.
        """
        ...

    def lock_users(self) -> None:
        """Wait until no other transaction that called this is open; then let others wait."""
        ...

    def begin_staging(self) -> None:
        """Open a transaction for staged tables only; it takes no lock that affects other processes.

        A server may store a few rows only with the next transaction, and again if that is rolled back.
        """
        ...

    def begin_scratch(self) -> None:
        """Open a snapshot in which staged tables can be filled too; it is rolled back in the end."""
        ...

    def commit(self) -> None:
        """Make the open transaction durable."""
        ...

    def rollback(self) -> None:
        """Roll back the open transaction, if there is one."""
        ...

    # -- audit ---------------------------------------------------------------------------------

    def reserve_entry(self) -> None:
        """Reserve the id of the audit entry, after the rows that the change decides on were locked.

        Thus for one entity the order of the entries is the order of its changes.
        """
        ...

    @property
    def entry(self) -> int:
        """The id of this transaction's audit entry; it is reserved if it was not."""
        ...

    def insert_run(self, values: Mapping[str, SqlValue]) -> int:
        """Insert a run with these values by column and return its number."""
        ...

    def insert_change(
        self, n: int, entity: str, entity_id: int, before: str | None, after: str | None
    ) -> None:
        """Insert change row `n` of the entry, with a new salt and its hash."""
        ...

    def insert_changes(self, last: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Insert a change row for every (entity_id, before, after) of `select`, after the change row `last`.

        Returns the number of rows inserted.
        """
        ...

    def insert_change_of(self, n: int, entity: str, select: str, params: Mapping[str, SqlValue]) -> None:
        """Insert change row `n` for the only (entity_id, before, after) of `select`; no answer is needed."""
        ...

    def append_entry(self, values: EntryValues) -> None:
        """Append the audit entry of this transaction, after all its change rows."""
        ...

    def blank_changes(self, condition: str, params: Mapping[str, SqlValue], erased_at: str) -> int:
        """Blank the rows of `changes` that a condition selects, and return how many.

        A server lets no database role update change rows; a function does this for administrators.
        """
        ...

    def link_entries(self) -> None:
        """Link all committed entries into the chain, durably. Needs no open transaction.

        A server links entries after their commit, so that changes of different things need not wait for each
        other.
        """
        ...

    # -- maintenance ---------------------------------------------------------------------------

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

    def undecodable(self, table: str, key: str, columns: Sequence[str]) -> list[str]:
        """Return the key, as text, of each row with text in these columns that is not UTF-8."""
        ...

    def not_a_time(self, column: str) -> str:
        """Return the condition that the text in a column is not a date and time in the written form."""
        ...

    def last_run_number(self) -> int | None:
        """Return the number after which the next run is numbered; None if numbers may be skipped."""
        ...

    def search_problem(self) -> str | None:
        """Return how the search index disagrees with the users, or None. Needs no open transaction."""
        ...

    def close(self) -> None:
        """Close the connection; an open transaction is rolled back."""
        ...
