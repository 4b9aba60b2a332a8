"""Readers, journals and transactions: the three kinds of access to the ledger, and the audit of the third.

Only modules of `ledger/` call `row`, `rows`, `value`, `execute` and `insert`. `ledger.py` opens and ends the
transactions; `due_changes.py` has what each of them records first.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger.engines.port import Engine, EntryValues, Params, Row, SqlValue, StagedTable
from seatctl.models.call import Call, format_time

if TYPE_CHECKING:
    from seatctl.models.report import Record, Report


_ROWS_AT_ONCE = 100
"""Rows per statement: a page of Stripe's. SQLite allows 32,766 parameters."""


class Reader:
    """Queries within one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def row(self, sql: str, params: Params = ()) -> Row | None:
        """Return the first result row, or None."""
        return next(self.engine.rows(sql, params), None)

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows. A server sends all of them at once: see `stream`."""
        return self.engine.rows(sql, params)

    def stream(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows without ever holding all of them in memory: for lists without a limit."""
        return self.engine.stream(sql, params)

    def value(self, sql: str, params: Params = ()) -> SqlValue:
        """Return the first column of the first row, or None."""
        row = self.row(sql, params)
        return None if row is None else cast("SqlValue", row[0])

    def column(self, sql: str, params: Params = ()) -> list[Any]:
        """Return the first column of all rows."""
        return [row[0] for row in self.engine.rows(sql, params)]

    def text(self, sql: str, params: Params = ()) -> str | None:
        """Return the first column of the first row if it is a text, else None."""
        value = self.value(sql, params)
        return value if isinstance(value, str) else None

    def number(self, sql: str, params: Params = ()) -> int | None:
        """Return the first column of the first row if it is a number, else None."""
        value = self.value(sql, params)
        return value if isinstance(value, int) else None

    def exists(self, source: str, params: Params = ()) -> bool:
        """Return whether `source`, a FROM clause with its conditions, selects any row."""
        return self.row(f"SELECT 1 FROM {source} LIMIT 1", params) is not None

    def count(self, sql: str, params: Params = ()) -> int:
        """Return the first column of the first row as a number; 0 if there is none."""
        return self.number(sql, params) or 0


class Journal(Reader):
    """Writes that are not audited: operations, steps, the Stripe mirror, states, staged tables."""

    def execute(self, sql: str, params: Params = ()) -> None:
        """Run a statement whose result is not needed; see `engines/port.py` about its errors."""
        self.engine.execute(sql, params)

    def changed(self, sql: str, params: Params = ()) -> int:
        """Run a statement and return the number of rows it changed."""
        return self.engine.changed(sql, params)

    def insert_row(self, table: str, values: Mapping[str, SqlValue]) -> int:
        """Insert one row with these values by column, and return its integer key."""
        return self.engine.insert(table, values)

    def update_row(self, table: str, row_id: int, values: Mapping[str, SqlValue]) -> None:
        """Set these values by column in the row with this id."""
        assignments = ", ".join(f"{column} = :{column}" for column in values)
        self.execute(f"UPDATE {table} SET {assignments} WHERE id = :id", {**values, "id": row_id})

    def insert_all(self, into: str, row: str, rows: Sequence[Sequence[SqlValue]], then: str = "") -> None:
        """Run `into VALUES row, row, … then`: `row` is the SQL of one row, `then` an ON CONFLICT clause.

        Each statement releases the interpreter's lock and waits for it again. While other threads read pages
        from Stripe, a backfill spent most of its time in that wait; one statement per page waits once.
        """
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            page = rows[start : start + _ROWS_AT_ONCE]
            marks = ", ".join([row] * len(page))
            self.execute(f"{into} VALUES {marks} {then}", [value for values in page for value in values])

    def insert_run(self, call: Call) -> int:
        """Open a run for the command of a call, and return its number."""
        started_at = format_time(call.now)
        values = {"command": call.command, "actor": call.actor, "os_user": call.os_user}
        return self.engine.insert_run({**values, "state": "pending", "started_at": started_at})

    def load(self, table: str, columns: Sequence[str], rows: Iterable[Sequence[SqlValue]]) -> int:
        """Insert many rows, read one at a time, and return how many."""
        return self.engine.load(table, columns, rows)

    def stage(self, table: StagedTable) -> None:
        """Create a staged table; if it exists already, empty it."""
        self.engine.stage(table)

    def index_staged(self, table: StagedTable) -> None:
        """Create the indexes of a staged table after its rows were inserted."""
        self.engine.index_staged(table)


class Transaction(Journal):
    """A transaction that changes facts: it records each change, and ends with one audit entry of one run."""

    def __init__(self, engine: Engine, call: Call) -> None:
        super().__init__(engine)
        self.call = call
        self.now = format_time(call.now)
        self.messages = 0
        """The number of messages in the outbox so far."""
        self._run = call.run
        self._summary: str | None = None
        self.recorded = 0
        """The number of change rows so far."""
        self.may_hold = True
        """Whether any seats may be held: see `ledger/undo/held_seats.py`."""
        self.may_wait = True
        """Whether any request may be on a waitlist."""
        self.may_have_open: bool | None = None
        """Whether a request for a locked subscription, or for any, may be open; None if it is not known."""
        self.actor_roles: str | None = None
        """The roles granted to the actor: see `ledger/roles.py`; None if they are not known."""
        self.has_assigned = False
        """Whether a seat was assigned so far."""
        self.locked: set[int] = set()
        """The ids of the subscriptions that this transaction has locked, if it has not locked the ledger."""
        self.freed: dict[int, int] = {}
        """Seats revoked so far, by subscription, without expired ones: see `ledger/undo/held_seats.py`."""
        self.held: dict[int, int] = {}
        """Those of `freed` that `ledger/undo/held_seats.py` has held already."""
        self.freed_users: set[int] = set()
        """Some of the users who had these seats: at least two if there are several."""
        self.freed_mails: list[int] = []
        """The numbers of the messages to these users, within the entry."""

    @property
    def entry(self) -> int:
        """The id of the audit entry."""
        return self.engine.entry

    @property
    def run(self) -> int | None:
        """The run's number; None in a dry run and while nothing is recorded."""
        return self._run if self.recorded and not self.call.dry_run else None

    @property
    def opened_run(self) -> int | None:
        """The run's number, even if the run is rolled back in the end; None while nothing is recorded."""
        return self._run

    @property
    def undo(self) -> str | None:
        """The command that undoes this transaction; None while nothing is recorded."""
        return None if self.run is None else f"seatctl runs undo {self.run}"

    @property
    def is_shared(self) -> bool:
        """Whether other clients may change other things of the ledger meanwhile: see `ledger/locks.py`."""
        return self.engine.is_shared

    @property
    def only(self) -> str | None:
        """The ids, as JSON, of the subscriptions that this database role may change; None: all of them.

        What is due in the others waits for somebody who may change those.
        """
        subscriptions = self.engine.rights.subscriptions
        return None if subscriptions is None else json.dumps(subscriptions)

    @property
    def has_changed(self) -> bool:
        """Whether anything was recorded or queued under the number of this transaction's entry."""
        return bool(self.recorded or self.messages or self._run != self.call.run)

    def lock_rows(self, select: str, params: Params = ()) -> None:
        """Lock the rows of one table that `select` yields, in its order; see `engines/port.py`."""
        self.engine.lock_rows(select, params)

    def summarise(self, sentence: str) -> None:
        """Set the sentence that says what the run did."""
        self._summary = sentence

    def report(
        self,
        summary: str,
        rows: Iterable[Record] = (),
        columns: tuple[str, ...] = (),
        *,
        unchanged: bool = False,
        undoable: bool = True,
        exit_code: ExitCode = ExitCode.DONE,
        data: dict[str, JsonValue] | None = None,
    ) -> Report:
        """Return the report of this transaction. `summary` also becomes the summary of the run.

        In a dry run the summary is put in the conditional, unless `unchanged`: there was nothing to do.
        """
        from seatctl.models.report import Report, would_have

        self.summarise(summary)
        return Report(
            run=self.run,
            dry_run=self.call.dry_run,
            summary=would_have(summary) if self.call.dry_run and not unchanged else summary,
            rows=rows,
            exit_code=exit_code,
            undo=self.undo if undoable else None,
            columns=columns,
            data=data or {},
        )

    def record(
        self,
        entity: str,
        entity_id: int,
        before: Mapping[str, JsonValue] | None,
        after: Mapping[str, JsonValue] | None,
    ) -> None:
        """Record one change: `before` is None for something new, `after` is None for something deleted."""
        self.open_run()
        self.recorded += 1
        self.engine.insert_change(self.recorded, entity, entity_id, _compact(before), _compact(after))

    def record_many(self, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Record a change for each row of `select`, and return how many.

        `select` has named parameters, and yields `entity_id`, `before` and `after`: compact JSON or NULL.
        """
        self.open_run()
        inserted = self.engine.insert_changes(self.recorded, entity, select, params)
        self.recorded += inserted
        return inserted

    def record_row(self, entity: str, select: str, params: Mapping[str, SqlValue]) -> None:
        """Record the change of the only row of `select`, which is as in `record_many`.

        Unlike `record`, it costs no round trip to read the row.
        """
        self.open_run()
        self.recorded += 1
        self.engine.insert_change_of(self.recorded, entity, select, params)

    def open_run(self) -> None:
        """Insert the run with its command, unless it exists. Recording a change does this too."""
        if self._run is None:
            self._run = self.insert_run(self.call)

    def mail(
        self,
        template: str,
        ids: Mapping[str, int],
        *,
        recipient_id: int | None = None,
        recipient_actor: str | None = None,
    ) -> int | None:
        """Queue a message to a user or an e-mail address.

        Return its number within the entry, or None with `--no-notify`.
        """
        if not self.call.notify:
            return None
        self.messages += 1
        self.execute(
            "INSERT INTO outbox (entry_id, n, template, ids, recipient_id, recipient_actor)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self.entry, self.messages, template, _compact(ids), recipient_id, recipient_actor),
        )
        return self.messages

    def mail_each(self, template: str, since: int) -> int | None:
        """Queue a message to the user of each seat recorded after change `since`; return its number.

        It is a single row until it is sent (`outbox.py` expands it): a hundred thousand rows would cost a
        bulk assignment as much time as the seats themselves.
        """
        if not self.call.notify or self.recorded == since:
            return None
        if self.recorded == since + 1:
            self.messages += 1
            self.execute(
                "INSERT INTO outbox (entry_id, n, template, ids, recipient_id)"
                " SELECT c.entry, :number, :template, '{\"seat\":' || t.id || '}', t.user_id"
                " FROM changes c JOIN seats t ON t.id = c.entity_id WHERE c.entry = :entry AND c.n = :n",
                {"number": self.messages, "template": template, "entry": self.entry, "n": self.recorded},
            )
            return self.messages
        return self.mail(template, {"from_change": since + 1, "to_change": self.recorded})

    def report_rows(
        self, rows: Callable[[], Iterator[Record]], few: Callable[[], Iterable[Record]] | None = None
    ) -> Iterable[Record]:
        """Return the rows of a report, to be read from staged tables after the transaction has ended.

        `few` returns them if they are few: a server sends them with the answer to the commit.

        A rollback (of a dry run, or if nothing was recorded) undoes the staged tables too: then the rows are
        written to an unnamed file first. Memory does not grow with their number in either case.
        """
        if self.recorded and not self.call.dry_run:
            return Later(rows) if few is None else few()
        return spooled(rows())

    def finish(self) -> bool:
        """Write the audit entry and end the run; return False if nothing was recorded."""
        if not self.recorded or self._run is None:
            return False
        call = self.call
        self.engine.append_entry(EntryValues(self._run, self.now, call.actor, call.os_user, call.origin))
        if call.run is None:
            self.execute(
                "UPDATE runs SET state = 'done', finished_at = ?, summary = ? WHERE number = ?",
                (self.now, self._summary, self._run),
            )
        elif self._summary is not None and (call.batch_row is None or call.batch_row.run != self._run):
            self.execute("UPDATE runs SET summary = ? WHERE number = ?", (self._summary, self._run))
        if call.batch_row is not None:
            # In the same commit: a batch that is killed and resumed must not execute the line twice.
            self.execute(
                "UPDATE batch_rows SET state = 'done', entry_id = ? WHERE run = ? AND n = ?",
                (self.entry, *call.batch_row),
            )
        return True


def _compact(value: Mapping[str, JsonValue] | Mapping[str, int] | None) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class Later:
    """An iterable that calls a function each time it is read."""

    def __init__(self, rows: Callable[[], Iterator[Record]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Record]:
        return self._rows()


def spooled(rows: Iterator[Record]) -> Iterable[Record]:
    """Store the rows in an unnamed file, and return them for reading after their transaction has ended."""
    import tempfile
    import weakref

    spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - closed with the iterable
    try:
        for row in rows:
            spool.write(json.dumps(dict(row)) + "\n")
    except BaseException:
        spool.close()
        raise

    def read() -> Iterator[Record]:
        spool.seek(0)
        return map(json.loads, spool)

    later = Later(read)
    weakref.finalize(later, spool.close)
    return later
