"""Opening and creating a ledger, and the transactions that may touch it.

`change` is the only way to write what the audit knows; `journal` writes what it does not; `staging` fills
TEMP tables. The statements themselves live in the modules beside this one.
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
"""How long a money command waits for another one before it says `busy`."""


_NAME_ANOTHER = "give yourself access to it, or name another ledger: seatctl --ledger PATH"


_MAY_BE_DAMAGE = (sqlite3.Error, ValueError, LookupError, TypeError, AttributeError, StopIteration)
"""What a row raises that does not hold what was written there: no such table or column, no JSON, no text, no
time, a value that nobody knows, a key that is missing, a thing that is gone. So does a bug of ours."""


@contextmanager
def _detect_damage(path: Path) -> Iterator[None]:
    """An error that rows of the ledger may have caused is the ledger's damage where it has any, else a bug.

    Raises LedgerDamaged, or what was raised.
    """
    try:
        yield
    except _MAY_BE_DAMAGE as error:
        found = _damage(path)
        if found is None:
            raise
        raise damage_error(path, *found) from error


def _damage(path: Path) -> tuple[str, str, str] | None:
    """What is wrong with the ledger, read by another connection: nothing of ours is under way there."""
    from seatctl.ledger.checks import all_checks

    engine = SqliteEngine(path)
    try:
        engine.begin_reading()
        return all_checks.first_damage(Reader(engine))
    finally:
        engine.close()


def damage_error(path: Path, check: str, subject: str, detail: str) -> LedgerDamaged:
    """The refusal of whoever has met damage."""
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
        """Whether this is a copy that is thrown away: see `copies.rehearsal`."""
        self.first_entry_with_messages: int | None = None
        """The first audit entry, of those committed through this object, that has messages to send."""

    @property
    def id(self) -> str:
        """The random id that Stripe's metadata names (design rule 9)."""
        return self._named("ledger_id", lambda found: found.startswith("led_"))

    @property
    def mode(self) -> str:
        """`sandbox`, `test` or `live`; for good."""
        return self._named("mode", lambda found: found in MODES)

    def _named(self, key: str, can_be: Callable[[str], bool]) -> str:
        """What `meta` says of the ledger. Raises LedgerDamaged where it says nothing, or what cannot be."""
        found = self._meta.get(key)
        if found is None or not can_be(found):
            wrong = "it is missing" if found is None else f"{found!r} cannot be"
            raise damage_error(self.path, "meta", key, wrong)
        return found

    @property
    def stripe_account(self) -> str | None:
        """The Stripe account it belongs to, once that is known."""
        return self._meta.get("stripe_account")

    @cached_property
    def _meta(self) -> dict[str, str]:
        with _detect_damage(self.path):
            return {row["key"]: row["value"] for row in self.engine.rows("SELECT key, value FROM meta")}

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """One snapshot in which nothing can be written; inside another transaction, that one's view."""
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
        """The one way to change facts. Settles what has fallen due first, and audits on leaving.

        Rolled back on an exception, under a dry run (except in a rehearsal), and if nothing was recorded.
        """
        from seatctl.ledger.due_changes import fill_waitlists, settle

        self._require_idle()
        # The write lock is held from the first read to the commit, so that what was read (a free seat,
        # an open request, a name) is still so when it is written: no second process can take it meanwhile.
        with _detect_damage(self.path):
            self._begin_writing()
            try:
                tx = Transaction(self.engine, call)
                settle(tx)
                yield tx
                fill_waitlists(tx)
                keep = tx.finish() and (not call.dry_run or (call.rehearsed and self.is_rehearsal))
                if keep:
                    self.engine.commit()
                    if tx.messages and self.first_entry_with_messages is None:
                        self.first_entry_with_messages = tx.entry
            finally:
                self.engine.rollback()

    def journal(self) -> AbstractContextManager[Journal]:
        """Write operations, steps, the Stripe mirror and states: no settling, no audit."""
        return self._journal(self._begin_writing)

    def staging(self) -> AbstractContextManager[Journal]:
        """Fill TEMP tables before a change, without holding the lock while a file is read."""
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
        """One snapshot in which TEMP tables may be filled and asked; all of it is forgotten on leaving.

        Takes no lock and writes nothing to the file, which may be one that nobody may write.
        """
        self._require_idle()
        with _detect_damage(self.path):
            self.engine.begin_staging()
            try:
                yield Journal(self.engine)
            finally:
                self.engine.rollback()

    def _begin_writing(self) -> None:
        """Take the write lock of the ledger that was opened, not of one that a restore put in its place."""
        known = self.id  # what else was read before, such as the number of a batch's run, is of this one too
        self.engine.begin_writing()
        found = next(iter(self.engine.rows("SELECT value FROM meta WHERE key = 'ledger_id'")), None)
        if found is None or found[0] != known:
            self.engine.rollback()
            raise refuse(
                Code.LEDGER_REPLACED,
                f"{self.path} was replaced by a backup while this command ran, which stopped there",
                hint="to see what the ledger holds now: seatctl runs list; then run it again",
            )
        if not self.engine.is_guarded:
            # Without its triggers nothing counts who sits where: it would seat one too many.
            self.engine.rollback()
            wrong = _damage(self.path) or ("structure", "triggers", "they are not those of this version")
            raise damage_error(self.path, *wrong)

    def _require_idle(self) -> None:
        if self.engine.in_transaction:
            raise RuntimeError("a transaction of this ledger is already open")

    @contextmanager
    def money_lock(self) -> Iterator[None]:
        """Held by whoever runs or recovers an operation.

        It stops a recovery from replaying an operation that its own process is still running, which would
        charge twice. flock, because the kernel frees it the moment a process dies; the file is never
        deleted, or two processes could hold locks on two files of the same name.
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
                    "another money operation on this ledger is under way",
                    hint="run the same command again when it has ended",
                )
            self._money_depth = 1
            yield
        finally:
            self._money_depth = 0
            os.close(handle)

    @contextmanager
    def mail_lock(self, wait: float = 0) -> Iterator[bool]:
        """Held by whoever sends messages: two senders would send each of them twice.

        Yields False where another process still has it after `wait` seconds.
        """
        handle = os.open(f"{self.path}.mail-lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        try:
            yield _lock(handle, wait)
        finally:
            os.close(handle)

    def set_stripe_account(self, account: str) -> None:
        """Bind the ledger to the account its key was found to belong to."""
        with self.journal() as journal:
            journal.execute(
                "INSERT INTO meta (key, value) VALUES ('stripe_account', ?) ON CONFLICT (key) DO NOTHING",
                (account,),
            )
        self.__dict__.pop("_meta", None)

    def close(self) -> None:
        """Let the file go."""
        self.engine.close()


def _lock(handle: int, wait: float) -> bool:
    """Lock an open file, waiting at most `wait` seconds; whether it is ours now."""
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
    """Open a ledger that exists, migrating an older one. `wait` is seconds for another writer.

    Raises `no_ledger`, or a LedgerError: damaged, written by a later seatctl, not writable.
    """
    try:
        there = path.exists()
    except OSError as error:
        raise refuse(
            Code.LEDGER_READ_ONLY, f"{path} cannot be opened: {error.strerror}", hint=_NAME_ANOTHER
        ) from error
    if not there:
        raise _no_ledger(path)
    if path.is_dir() or path.is_fifo():  # SQLite would call it a failing disk
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
    """Make a ledger, or open the one that is there if it has the same mode and account.

    Two processes may do so at once: both end with the same ledger. Raises `ledger_mode` otherwise.
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
    """Migrate in one transaction; a new ledger's `meta` is part of it, and the first writer's holds."""
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
    """Whether the ledger has its identity already."""
    return next(iter(engine.rows("SELECT 1 FROM meta LIMIT 1")), None) is not None


def _require_created(engine: SqliteEngine) -> None:
    """A creation that was killed before it was done left an empty file, which is no ledger yet."""
    if engine.version == 0:
        raise _no_ledger(engine.path)


def _require_migratable(engine: SqliteEngine) -> None:
    if not engine.may_write:
        raise refuse(
            Code.LEDGER_READ_ONLY,
            f"{engine.path} has the schema of an earlier version and has to be migrated first",
            hint="let a user with write access run: seatctl status",
        )


def _no_ledger(path: Path) -> NoLedger:
    return NoLedger(f"there is no ledger at {path}", hint="seatctl init")


def _require_same_mode(ledger: Ledger, mode: str, stripe_account: str | None) -> None:
    other_account = stripe_account and ledger.stripe_account and stripe_account != ledger.stripe_account
    if ledger.mode != mode or other_account:
        where, found, wanted = ledger.path, ledger.mode, mode
        if other_account:
            found, wanted = f"{found} {ledger.stripe_account}", f"{wanted} {stripe_account}"
        raise refuse(
            Code.LEDGER_MODE,
            f"the ledger {where} is for {found}, not for {wanted}",
            hint="name another profile: seatctl init PROFILE",
        )
