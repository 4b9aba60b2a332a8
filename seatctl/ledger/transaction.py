"""Reading, journalling and changing: the three ways SQL reaches the ledger, and the audit of the third.

Only modules of `ledger/` call `row`, `rows`, `value`, `execute` and `insert`. `ledger.py` opens and ends
the transactions; what a change settles first is `due_changes.py`'s.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger.engines.port import Engine, Params, Row, SqlValue
from seatctl.models.call import Call, format_time

if TYPE_CHECKING:
    from seatctl.models.report import Record, Report


class Reader:
    """Queries within one snapshot."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def row(self, sql: str, params: Params = ()) -> Row | None:
        """The first result row, or None."""
        return next(self.engine.rows(sql, params), None)

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """The result rows, fetched as they are asked for."""
        return self.engine.rows(sql, params)

    def value(self, sql: str, params: Params = ()) -> SqlValue:
        """The first column of the first row, or None."""
        row = self.row(sql, params)
        return None if row is None else cast("SqlValue", row[0])

    def count(self, sql: str, params: Params = ()) -> int:
        """A number: the first column of the first row, 0 where there is none."""
        found = self.value(sql, params)
        return found if isinstance(found, int) else 0


class Journal(Reader):
    """Writes that the audit does not know: operations, steps, the Stripe mirror, states, staging."""

    def execute(self, sql: str, params: Params = ()) -> int:
        """Run a statement; the number of rows it changed."""
        return self.engine.execute(sql, params)

    def insert(self, sql: str, params: Params = ()) -> int:
        """Insert one row; its integer key."""
        return self.engine.insert(sql, params)

    def execute_many(self, sql: str, rows: Iterable[tuple[SqlValue, ...]]) -> int:
        """Run a statement once per row of parameters, taken one at a time; the number of rows changed."""
        return self.engine.execute_many(sql, rows)


class Transaction(Journal):
    """One change: it records what becomes different, and ends as one audit entry of one run."""

    def __init__(self, engine: Engine, call: Call) -> None:
        super().__init__(engine)
        self.call = call
        self.now = format_time(call.now)
        from seatctl.ledger import hashes  # hashlib is 5 ms, which a read need not pay

        last = self.row("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1")
        self.entry: int = 1 if last is None else last["seq"] + 1
        self._previous: str = hashes.NO_HASH if last is None else last["hash"]
        self._hashes = hashes
        self._digest = hashes.sha256()
        self.messages = 0
        """Messages put into the outbox so far."""
        self._run = call.run
        self._summary: str | None = None
        self.recorded = 0
        """Change rows so far."""
        self.freed: dict[int, int] = {}
        """Seats given back so far by somebody's will, by subscription: see `ledger/undo/held_seats.py`."""
        self.held: dict[int, int] = {}
        """Of those: what `ledger/undo/held_seats.py` has taken note of."""
        self.freed_people: set[int] = set()
        """Some of the users who had them: more than one wherever there are several."""
        self.freed_mails: list[int] = []
        """The messages that tell them, by id."""

    @property
    def run(self) -> int | None:
        """The run's number; None under a dry run and while nothing is recorded."""
        return self._run if self.recorded and not self.call.dry_run else None

    @property
    def opened_run(self) -> int | None:
        """The run's number, even where it is forgotten in the end; None while nothing is recorded."""
        return self._run

    @property
    def undo(self) -> str | None:
        """The command that takes this change back; None while there is nothing to take back."""
        return None if self.run is None else f"seatctl runs undo {self.run}"

    def summarise(self, sentence: str) -> None:
        """Say in one sentence what the run did."""
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
        """The report of this change; `summary` begins with what was done, and becomes that of the run.

        `unchanged`: the summary says that there was nothing to do.
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
        """Note one changed thing: what it was (None: nothing), what it is (None: gone)."""
        self.open_run()
        was, became, salt = _compact(before), _compact(after), os.urandom(16).hex()
        hashed = self._hash(self.recorded + 1, entity, entity_id, was, became, salt)
        self.execute(
            "INSERT INTO changes (entry, n, entity, entity_id, before, after, salt, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.entry, self.recorded, entity, entity_id, was, became, salt, hashed),
        )

    def record_many(self, entity: str, select: str, params: Mapping[str, SqlValue]) -> int:
        """Note what `select` yields as `entity_id`, `before`, `after`: compact JSON or NULL.

        Parameters by name. The number of things noted.
        """
        self.open_run()
        return self.engine.insert_changes(self._hash, (self.entry, self.recorded, entity), select, params)

    def _hash(self, n: int, *change: *tuple[str, int, str | None, str | None, str]) -> str:
        """The hash of the next change row, taken into the entry's digest."""
        if n != self.recorded + 1:
            raise ValueError(f"change {n} does not follow change {self.recorded}")
        self.recorded = n
        hashed = self._hashes.change_hash(*change)
        self._digest.update(hashed.encode())
        return hashed

    def open_run(self) -> None:
        """Write down the command now; noting the first change does so too."""
        if self._run is None:
            call = self.call
            self._run = self.insert(
                "INSERT INTO runs (command, actor, os_user, state, started_at)"
                " VALUES (?, ?, ?, 'pending', ?)",
                (call.command, call.actor, call.os_user, self.now),
            )

    def mail(
        self,
        template: str,
        ids: Mapping[str, int],
        *,
        recipient_id: int | None = None,
        recipient_actor: str | None = None,
    ) -> int | None:
        """Put a message into the outbox, to a user or an e-mail address; its id. None under `--no-notify`."""
        if not self.call.notify:
            return None
        self.messages += 1
        return self.insert(
            "INSERT INTO outbox (entry_id, n, template, ids, recipient_id, recipient_actor)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (self.entry, self.messages, template, _compact(ids), recipient_id, recipient_actor),
        )

    def mail_each(self, template: str, since: int) -> int | None:
        """One message to the user of every seat recorded after change `since` of this transaction; its id.

        Kept as a single row until it is sent (`outbox.py` spreads it): a hundred thousand rows of it
        would cost a bulk assignment as much as the seats themselves. One to a single person is kept as one.
        """
        if not self.call.notify or self.recorded == since:
            return None
        if self.recorded == since + 1:
            seat = self.row(
                "SELECT t.id, t.user_id FROM changes c JOIN seats t ON t.id = c.entity_id"
                " WHERE c.entry = ? AND c.n = ?",
                (self.entry, self.recorded),
            )
            if seat is not None:
                return self.mail(template, {"seat": seat["id"]}, recipient_id=seat["user_id"])
        return self.mail(template, {"from_change": since + 1, "to_change": self.recorded})

    def report_rows(self, rows: Callable[[], Iterator[Record]]) -> Iterable[Record]:
        """The rows of a report, read from TEMP tables once the transaction has ended.

        A rollback takes the TEMP tables back too, so what may end in one (a dry run, or nothing to do)
        is written to an unnamed file first: memory stays flat either way.
        """
        if self.recorded and not self.call.dry_run:
            return _Later(rows)
        return spooled(rows())

    def finish(self) -> bool:
        """Write the audit entry and end the run; False where nothing was recorded."""
        if not self.recorded or self._run is None:
            return False
        call = self.call
        # A run that was opened before (an operation, perhaps finished by `sync`) has its own command.
        command = self.value("SELECT command FROM runs WHERE number = ?", (self._run,))
        command = self._hashes.text_hash(str(command))
        digest = self._digest.hexdigest()
        fields = (self.entry, self._run, self.now, call.actor, call.os_user, command, digest, self._previous)
        self.execute(
            "INSERT INTO audit (seq, run, at, actor, os_user, command_hash, digest, prev_hash, hash)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*fields, self._hashes.entry_hash(*fields)),
        )
        if call.run is None:
            self.execute(
                "UPDATE runs SET state = 'done', finished_at = ?, summary = ? WHERE number = ?",
                (self.now, self._summary, self._run),
            )
        elif self._summary is not None and (call.batch_row is None or call.batch_row.run != self._run):
            self.execute("UPDATE runs SET summary = ? WHERE number = ?", (self._summary, self._run))
        if call.batch_row is not None:
            # In this very commit: a batch that is killed and resumed must not do the line a second time.
            self.execute(
                "UPDATE batch_rows SET state = 'done', entry_id = ? WHERE run = ? AND n = ?",
                (self.entry, *call.batch_row),
            )
        return True


def _compact(value: Mapping[str, JsonValue] | Mapping[str, int] | None) -> str | None:
    if value is None:
        return None
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


class _Later:
    """An iterable that asks when it is read."""

    def __init__(self, rows: Callable[[], Iterator[Record]]) -> None:
        self._rows = rows

    def __iter__(self) -> Iterator[Record]:
        return self._rows()


def spooled(rows: Iterator[Record]) -> Iterable[Record]:
    """The rows, kept in an unnamed file until they are read: they outlive their transaction."""
    import tempfile
    import weakref

    spool = tempfile.TemporaryFile("w+", encoding="utf-8")  # noqa: SIM115 - lives as long as the iterable
    for row in rows:
        spool.write(json.dumps(dict(row)) + "\n")

    def again() -> Iterator[Record]:
        spool.seek(0)
        return map(json.loads, spool)

    later = _Later(again)
    weakref.finalize(later, spool.close)
    return later
