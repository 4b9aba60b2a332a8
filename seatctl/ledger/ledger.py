"""Opening and creating a ledger, and its transactions.

`change` is the only way to write audited facts; `journal` writes everything else; `staging` fills TEMP
tables. The statements are in the other modules of this package.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.sqlite import WAIT_SECONDS, SqliteEngine
from seatctl.ledger.engines.sqlite_files import create_file
from seatctl.ledger.failures import RESTORE, LedgerDamaged, NoLedger
from seatctl.ledger.schema.migrate import MODES, is_current, migrate
from seatctl.ledger.transaction import Journal, Reader, Transaction
from seatctl.models.call import Call, format_time

__all__ = ["Journal", "Ledger", "Reader", "Transaction", "create_ledger", "open_ledger"]

MONEY_WAIT_SECONDS = 5.0
"""How long a money command waits for another one before it fails with `busy`."""


_NAME_ANOTHER = "give yourself access to it, or use another ledger: seatctl --ledger PATH"


_MAY_BE_DAMAGE = (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError, StopIteration)
"""The errors that a damaged row can cause: a missing table, column, key or row, or an invalid value. A bug in
the program can cause them too."""


@contextmanager
def _detect_damage(path: Path) -> Iterator[None]:
    """Check the ledger after an error that damaged rows may have caused.

    Raises LedgerDamaged if the check finds a problem, else the original error, which is a bug.
    """
    try:
        yield
    except _MAY_BE_DAMAGE as error:
        problem = _damage(path)
        if problem is None:
            raise
        raise damage_error(path, *problem) from error


def _damage(path: Path) -> tuple[str, str, str] | None:
    """Return the first problem of the rows, read through a second connection with no transaction of ours."""
    from seatctl.ledger.checks import all_checks

    engine = SqliteEngine(path)
    try:
        engine.begin_reading()
        return all_checks.first_damage(Reader(engine))
    finally:
        engine.close()


def damage_error(path: Path, check: str, subject: str, detail: str) -> LedgerDamaged:
    """Return the refusal for a damaged ledger."""
    return LedgerDamaged(
        f"the ledger {path} is damaged: {subject}: {detail}",
        hint=RESTORE,
        data={"check": check, "subject": subject, "detail": detail},
    )


class Ledger:
    """One open ledger. Transactions do not nest; `money_lock` does, within one process."""

    def __init__(self, engine: SqliteEngine) -> None:
        self.engine = engine
        self.path: Path = engine.path
        self._money_depth = 0
        self.is_rehearsal = False
        """Whether this is a temporary copy; see `copies.rehearsal`."""
        self.first_entry_with_messages: int | None = None
        """The first audit entry committed through this object that has messages to send."""

    @property
    def id(self) -> str:
        """The random id that names this ledger in the metadata of its Stripe subscriptions."""
        return self._meta_value("ledger_id", lambda value: value.startswith("led_"))

    @property
    def mode(self) -> str:
        """`sandbox`, `test` or `live`; it never changes."""
        return self._meta_value("mode", lambda value: value in MODES)

    def _meta_value(self, key: str, is_valid: Callable[[str], bool]) -> str:
        """Return a value of `meta`. Raises LedgerDamaged if it is missing or not valid."""
        value = self._meta.get(key)
        if value is None or not is_valid(value):
            problem = "is missing" if value is None else f"{value!r} is not a valid value"
            raise damage_error(self.path, "meta", key, problem)
        return value

    @property
    def stripe_account(self) -> str | None:
        """The Stripe account of this ledger; None until it is known."""
        return self._meta.get("stripe_account")

    @cached_property
    def _meta(self) -> dict[str, str]:
        with _detect_damage(self.path):
            return {row["key"]: row["value"] for row in self.engine.rows("SELECT key, value FROM meta")}

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open a read-only snapshot; inside another transaction, read what that transaction sees."""
        if self.engine.in_transaction:
            yield Reader(self.engine)
            return
        with _detect_damage(self.path):
            self.engine.begin_reading()
            try:
                yield Reader(self.engine)
            finally:
                self.engine.end_reading()

    @contextmanager
    def change(self, call: Call) -> Iterator[Transaction]:
        """Open a transaction that changes facts. It first records what is due, and ends with an audit entry.

        It is rolled back on an exception, in a dry run (except in a rehearsal), and if nothing was recorded.
        """
        from seatctl.ledger.due_changes import fill_waitlists, settle

        self._require_idle()
        # The write lock is held from the first read to the commit: no other process can take the free seat,
        # the open request or the name that was read.
        with _detect_damage(self.path):
            self._begin_writing()
            try:
                tx = Transaction(self.engine, call)
                settle(tx)
                yield tx
                fill_waitlists(tx)
                if tx.finish() and (not call.dry_run or (call.rehearsed and self.is_rehearsal)):
                    self.engine.commit()
                    if tx.messages and self.first_entry_with_messages is None:
                        self.first_entry_with_messages = tx.entry
            finally:
                self.engine.rollback()

    def journal(self) -> AbstractContextManager[Journal]:
        """Open a transaction for operations, steps, the Stripe mirror and states, which are not audited."""
        return self._journal(self._begin_writing)

    def staging(self) -> AbstractContextManager[Journal]:
        """Open a transaction that fills TEMP tables, so that no lock is held while a file is read."""
        return self._journal(self.engine.begin_staging)

    @contextmanager
    def _journal(self, begin: Callable[[], None]) -> Iterator[Journal]:
        self._require_idle()
        with _detect_damage(self.path):
            begin()
            try:
                yield Journal(self.engine)
                self.engine.commit()
            finally:
                self.engine.rollback()

    @contextmanager
    def scratch(self) -> Iterator[Journal]:
        """Open a snapshot in which TEMP tables can be filled and queried; it is rolled back on leaving.

        It takes no lock and writes nothing to the file, which may be read-only.
        """
        self._require_idle()
        with _detect_damage(self.path):
            self.engine.begin_staging()
            try:
                yield Journal(self.engine)
            finally:
                self.engine.rollback()

    def _begin_writing(self) -> None:
        """Take the write lock, and refuse if a restore has replaced the ledger since it was opened."""
        known_id = self.id  # what was read before, such as the number of a batch's run, is of this ledger too
        self.engine.begin_writing()
        row = next(iter(self.engine.rows("SELECT value FROM meta WHERE key = 'ledger_id'")), None)
        if row is None or row[0] != known_id:
            self.engine.rollback()
            raise refuse(
                Code.LEDGER_REPLACED,
                f"{self.path} was replaced by a backup while this command was running; it was stopped",
                hint="see what the ledger holds now: seatctl runs list; then run the command again",
            )
        if not self.engine.is_guarded:
            # Without the triggers assigned seats are not counted, and more seats would be given than are paid
            # for.
            self.engine.rollback()
            problem = _damage(self.path) or ("structure", "triggers", "differ from those of this version")
            raise damage_error(self.path, *problem)

    def _require_idle(self) -> None:
        if self.engine.in_transaction:
            raise RuntimeError("a transaction of this ledger is already open")

    @contextmanager
    def money_lock(self) -> Iterator[None]:
        """Hold the lock for running or recovering an operation. Raises `busy`.

        Without it, a recovery could repeat an operation that another process is still running, and charge
        twice. flock, because the kernel releases it when a process dies. The file is never deleted: otherwise
        two processes could hold locks on two files of the same name.
        """
        if self._money_depth:
            self._money_depth += 1
            try:
                yield
            finally:
                self._money_depth -= 1
            return
        try:
            handle = os.open(f"{self.path}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise refuse(
                Code.LEDGER_READ_ONLY,
                f"{self.path}.lock cannot be written: {error.strerror}",
                hint=f"give yourself write access to it and to its folder {self.path.parent}",
            ) from error
        try:
            if not _lock(handle, MONEY_WAIT_SECONDS):
                raise refuse(
                    Code.BUSY,
                    "another purchase or change in Stripe is in progress for this ledger",
                    hint="run the same command again when it has finished",
                )
            self._money_depth = 1
            yield
        finally:
            self._money_depth = 0
            os.close(handle)

    @contextmanager
    def mail_lock(self, wait: float = 0) -> Iterator[bool]:
        """Hold the lock for sending messages, so that two processes do not send the same message.

        Yields False if another process still holds the lock after `wait` seconds.
        """
        handle = os.open(f"{self.path}.mail-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(handle, wait)
        finally:
            os.close(handle)

    def set_stripe_account(self, account: str) -> None:
        """Store the Stripe account that the ledger's key belongs to."""
        with self.journal() as journal:
            journal.execute(
                "INSERT INTO meta (key, value) VALUES ('stripe_account', ?) ON CONFLICT (key) DO NOTHING",
                (account,),
            )
        self.__dict__.pop("_meta", None)

    def close(self) -> None:
        """Close the file."""
        self.engine.close()


def _lock(handle: int, wait: float) -> bool:
    """Lock an open file, waiting at most `wait` seconds; return whether it is locked."""
    import fcntl

    deadline = time.monotonic() + wait
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.05)
        else:
            return True


def open_ledger(path: Path, *, wait: float = WAIT_SECONDS) -> Ledger:
    """Open an existing ledger and migrate it if needed. `wait` is how many seconds to wait for writers.

    Raises `no_ledger`, or a LedgerError if it is damaged, was written by a later seatctl, or is not writable.
    """
    try:
        exists = path.exists()
    except OSError as error:
        raise refuse(
            Code.LEDGER_READ_ONLY, f"{path} cannot be opened: {error.strerror}", hint=_NAME_ANOTHER
        ) from error
    if not exists:
        raise _no_ledger(path)
    if path.is_dir() or path.is_fifo():  # SQLite would report a disk error
        raise refuse(Code.LEDGER_READ_ONLY, f"{path} is not a file", hint=_NAME_ANOTHER)
    engine = SqliteEngine(path, wait=wait)
    try:
        if not is_current(engine):
            _require_created(engine)
            _require_migratable(engine)
            _migrate(engine)
    except BaseException:
        engine.close()
        raise
    return Ledger(engine)


def create_ledger(path: Path, *, mode: str, stripe_account: str | None, now: datetime) -> Ledger:
    """Create a ledger, or open an existing one with the same mode and account; else raise `ledger_mode`.

    If two processes do this at the same time, both open the same ledger.
    """
    create_file(path)
    engine = SqliteEngine(path)
    try:
        if not is_current(engine):
            engine.use_wal()
            meta = {"ledger_id": f"led_{os.urandom(12).hex()}", "mode": mode, "created_at": format_time(now)}
            if stripe_account:
                meta["stripe_account"] = stripe_account
            _migrate(engine, meta)
    except BaseException:
        engine.close()
        raise
    ledger = Ledger(engine)
    try:
        _require_same_mode(ledger, mode, stripe_account)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _migrate(engine: SqliteEngine, meta: dict[str, str] | None = None) -> None:
    """Migrate in one transaction, and store `meta` if the ledger has none yet."""
    engine.begin_writing()
    try:
        migrate(engine)
        engine.execute_many(
            "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO NOTHING",
            [] if _has_meta(engine) else list((meta or {}).items()),
        )
        engine.commit()
    finally:
        engine.rollback()


def _has_meta(engine: SqliteEngine) -> bool:
    """Return whether the ledger has its id and mode already."""
    return next(iter(engine.rows("SELECT 1 FROM meta LIMIT 1")), None) is not None


def _require_created(engine: SqliteEngine) -> None:
    """Raise `no_ledger` for an empty file: a creation that was killed leaves one."""
    if engine.version == 0:
        raise _no_ledger(engine.path)


def _require_migratable(engine: SqliteEngine) -> None:
    if not engine.may_write:
        raise refuse(
            Code.LEDGER_READ_ONLY,
            f"{engine.path} has the schema of an earlier version and must be migrated first",
            hint="ask a user with write access to run: seatctl status",
        )


def _no_ledger(path: Path) -> NoLedger:
    return NoLedger(f"there is no ledger at {path}", hint="seatctl init")


def _require_same_mode(ledger: Ledger, mode: str, stripe_account: str | None) -> None:
    other_account = stripe_account and ledger.stripe_account and stripe_account != ledger.stripe_account
    if ledger.mode != mode or other_account:
        actual, wanted = ledger.mode, mode
        if other_account:
            actual, wanted = f"{actual} {ledger.stripe_account}", f"{wanted} {stripe_account}"
        raise refuse(
            Code.LEDGER_MODE,
            f"the ledger {ledger.path} is for {actual}, not for {wanted}",
            hint="name another profile: seatctl init PROFILE",
        )
