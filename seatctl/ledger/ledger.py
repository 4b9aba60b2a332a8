"""Opening a ledger, and its transactions.

`change` is the only way to write audited facts; `journal` writes everything else; `staging` fills staged
tables. The statements are in the other modules of this package.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.port import (
    MIN_CLIENT,
    MODES,
    MOVED_TO,
    SETTING,
    UNFINISHED_COPY,
    Engine,
    Rights,
    Scope,
)
from seatctl.ledger.failures import LedgerDamaged, no_ledger, restore_hint
from seatctl.ledger.transaction import Journal, Reader, Transaction
from seatctl.models.call import Call

if TYPE_CHECKING:
    from datetime import datetime

    from seatctl.models.ledger_url import ServerUrl

__all__ = ["Journal", "Ledger", "Reader", "Scope", "Transaction", "open_ledger"]

MONEY_WAIT_SECONDS = 5.0
"""How long a money command waits for another one before it fails with `busy`."""


_NAME_ANOTHER = "give yourself access to it, or use another ledger: seatctl --ledger PATH"


@contextmanager
def _detect_damage(engine: Engine) -> Iterator[None]:
    """Check the ledger after an error that damaged rows may have caused.

    Raises LedgerDamaged if the check finds a problem, else the original error, which is a bug.
    """
    try:
        yield
    except engine.damage as error:
        problem = _damage(engine)
        if problem is None:
            raise
        raise damage_error(engine.place, *problem) from error


def _damage(engine: Engine) -> tuple[str, str, str] | None:
    """Return the first problem of the rows, read through a second connection with no transaction of ours."""
    from seatctl.ledger.checks import all_checks

    another = engine.another()
    try:
        another.begin_reading()
        return all_checks.first_damage(Reader(another))
    finally:
        another.close()


def damage_error(place: str, check: str, subject: str, detail: str) -> LedgerDamaged:
    """Return the refusal for a damaged ledger."""
    return LedgerDamaged(
        f"the ledger {place} is damaged: {subject}: {detail}",
        hint=restore_hint(place),
        data={"check": check, "subject": subject, "detail": detail},
    )


def _require_usable(place: str, meta: Mapping[str, str], *, in_use: bool) -> None:
    """Raise `ledger_newer` if the ledger needs a later program.

    `in_use`: also refuse one that was moved, and one that is a copy which was not finished.
    """
    if meta.get("min_client", MIN_CLIENT) != MIN_CLIENT:
        from seatctl.ledger.schema.versions import require_client

        require_client(place, meta)
    if in_use and (MOVED_TO in meta or UNFINISHED_COPY in meta):
        from seatctl.ledger.place_marks import require_in_use

        require_in_use(place, meta)


class Ledger:
    """One open ledger. Transactions do not nest; `money_lock` does, within one process."""

    def __init__(self, engine: Engine, *, in_use: bool = True) -> None:
        """`in_use`: refuse a ledger that was moved, and one that is a copy which was not finished."""
        self.engine = engine
        self._in_use = in_use
        self.place = engine.place
        """The path or the URL of the ledger, for messages; without a password."""
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
            raise damage_error(self.place, "meta", key, problem)
        return value

    @property
    def stripe_account(self) -> str | None:
        """The Stripe account of this ledger; None until it is known."""
        return self._meta.get("stripe_account")

    @property
    def settings(self) -> dict[str, str]:
        """The settings that this ledger stores, as text by key."""
        return {
            key.removeprefix(SETTING): text for key, text in self._meta.items() if key.startswith(SETTING)
        }

    def when_opened(self, check: Callable[[Ledger], None]) -> None:
        """Call `check` with this ledger, whose id, mode and account are known, before any answer is used."""

        def known(meta: Mapping[str, str]) -> None:
            _require_usable(self.place, meta, in_use=self._in_use)
            self.__dict__["_meta"] = dict(meta)
            check(self)

        with _detect_damage(self.engine):
            self.engine.when_opened(known)

    def now(self) -> datetime | None:
        """Return the time of the server (aware UTC); None if the ledger is a file."""
        with _detect_damage(self.engine):
            return self.engine.now()

    def behind(self) -> float | None:
        """Return how many seconds a standby may be behind its primary; None for a primary and for a file."""
        with _detect_damage(self.engine):
            return self.engine.behind()

    @property
    def rights(self) -> Rights:
        """What the database role of this connection may do; everything if the ledger is a file."""
        with _detect_damage(self.engine):
            return self.engine.rights

    def require_money_lock(self) -> None:
        """Prepare for a call to Stripe. Raises `busy` if another process may have the money lock by now."""
        self.engine.require_held("money")
        self.engine.pause()

    def pause(self) -> None:
        """Prepare for a while in which nothing is asked, such as a question to a person."""
        self.engine.pause()

    def forget_meta(self) -> None:
        """Read the account and the settings again when they are needed next."""
        self.__dict__.pop("_meta", None)

    @cached_property
    def _meta(self) -> dict[str, str]:
        with _detect_damage(self.engine):
            meta = dict(self.engine.meta())
        _require_usable(self.place, meta, in_use=self._in_use)
        return meta

    def require_in_use(self) -> None:
        """Raise `ledger_moved` or `copy_unfinished`, unless the ledger is damaged: a check says how."""
        from contextlib import suppress

        with suppress(*self.engine.damage):
            _require_usable(self.place, self.engine.meta(), in_use=True)

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """Open a read-only snapshot; inside another transaction, read what that transaction sees."""
        if self.engine.in_transaction:
            yield Reader(self.engine)
            return
        with _detect_damage(self.engine):
            self.engine.begin_reading()
            try:
                yield Reader(self.engine)
            finally:
                self.engine.end_reading()

    @contextmanager
    def change(self, call: Call, scope: Scope = Scope.WHOLE) -> Iterator[Transaction]:
        """Open a transaction that changes facts. It first records what is due, and ends with an audit entry.

        `scope` is SHARED if the change decides on nothing but the subscriptions, users and requests that it
        names. The transaction is rolled back on an exception, in a dry run (except in a rehearsal), and if
        nothing was recorded.
        """
        from seatctl.ledger.due_changes import fill_waitlists

        self._require_idle()
        # The lock is held from the first read to the commit: no other process can take the free seat, the
        # open request or the name that was read.
        with _detect_damage(self.engine):
            stored = self.settings.get("undo_window")
            if stored is not None and stored.isdecimal():
                call = call._replace(undo_window=int(stored))
            try:
                tx = self._begin_change(call, scope)
                yield tx
                fill_waitlists(tx)
                if tx.finish() and (not call.dry_run or (call.rehearsed and self.is_rehearsal)):
                    self.engine.commit()
                    if tx.messages and self.first_entry_with_messages is None:
                        self.first_entry_with_messages = tx.entry
            finally:
                self.engine.rollback()

    def _begin_change(self, call: Call, scope: Scope) -> Transaction:
        """Begin a transaction that changes facts, and record what is due."""
        from seatctl.ledger.due_changes import begin, settle

        known_id = self.id
        self.engine.begin_writing(scope)
        tx = Transaction(self.engine, call)
        beginning = begin(tx)
        self._require_same(known_id, beginning.ledger_id)
        if beginning.is_due and tx.is_shared:  # what is due may be anywhere in the ledger
            self.engine.rollback()
            return self._begin_change(call, Scope.WHOLE)
        if beginning.is_due:
            settle(tx)
        return tx

    def journal(self, scope: Scope = Scope.SHARED) -> AbstractContextManager[Journal]:
        """Open a transaction for operations, steps, the Stripe mirror and states, which are not audited."""
        return self._journal(partial(self._begin_writing, scope))

    @contextmanager
    def own_change(self, *, dry_run: bool) -> Iterator[Journal]:
        """Open a transaction for the functions of `own_requests.py`; a dry run is rolled back."""
        self._require_idle()
        self.engine.begin_unlocked()
        try:
            yield Journal(self.engine)
            if not dry_run:
                self.engine.commit()
        finally:
            self.engine.rollback()

    def staging(self) -> AbstractContextManager[Journal]:
        """Open a transaction that fills staged tables, so that no lock is held while a file is read."""
        return self._journal(self.engine.begin_staging)

    @contextmanager
    def _journal(self, begin: Callable[[], None]) -> Iterator[Journal]:
        self._require_idle()
        with _detect_damage(self.engine):
            begin()
            try:
                yield Journal(self.engine)
                self.engine.commit()
            finally:
                self.engine.rollback()

    @contextmanager
    def scratch(self) -> Iterator[Journal]:
        """Open a snapshot in which staged tables can be filled and queried; it is rolled back on leaving.

        It takes no lock and writes nothing to the file, which may be read-only.
        """
        self._require_idle()
        with _detect_damage(self.engine):
            self.engine.begin_scratch()
            try:
                yield Journal(self.engine)
            finally:
                self.engine.rollback()

    def _begin_writing(self, scope: Scope = Scope.WHOLE) -> None:
        """Take the lock, and refuse if a restore has replaced the ledger since it was opened."""
        known_id = self.id
        self.engine.begin_writing(scope)
        try:
            row = next(iter(self.engine.rows("SELECT value FROM meta WHERE key = 'ledger_id'")), None)
            self._require_same(known_id, None if row is None else row[0])
        except BaseException:
            self.engine.rollback()
            raise

    def _require_same(self, known_id: str, actual_id: str | None) -> None:
        """Refuse if a restore has replaced the ledger, or if its triggers are missing.

        What was read before, such as the number of a batch's run, must be of this ledger too.
        """
        if actual_id != known_id:
            raise refuse(
                Code.LEDGER_REPLACED,
                f"{self.place} was replaced or moved while this command was running; it was stopped",
                hint="see what the ledger holds now: seatctl runs list; then run the command again",
            )
        if not self.engine.is_guarded:
            # Without the triggers assigned seats are not counted, and more seats would be given than are paid
            # for.
            self.engine.rollback()
            problem = _damage(self.engine) or ("structure", "triggers", "differ from those of this version")
            raise damage_error(self.place, *problem)

    def _require_idle(self) -> None:
        if self.engine.in_transaction:
            raise RuntimeError("a transaction of this ledger is already open")

    @contextmanager
    def money_lock(self, wait: float = MONEY_WAIT_SECONDS) -> Iterator[None]:
        """Hold the lock for running or recovering an operation. Raises `busy` after so many seconds.

        Without it, a recovery could repeat an operation that another process is still running, and charge
        twice.
        """
        if self._money_depth:
            self._money_depth += 1
            try:
                yield
            finally:
                self._money_depth -= 1
            return
        with self.engine.hold("money", wait) as held:
            if not held:
                raise refuse(
                    Code.BUSY,
                    "another purchase or change in Stripe is in progress for this ledger",
                    hint="run the same command again when it has finished",
                )
            self._money_depth = 1
            try:
                yield
            finally:
                self._money_depth = 0

    @property
    def mail_shares(self) -> int:
        """Into how many shares messages are divided by their numbers; each has a lock of its own."""
        return self.engine.mail_shares

    def mail_lock(self, share: int, wait: float = 0) -> AbstractContextManager[bool]:
        """Hold the lock for sending the messages of a share, so that no two processes send the same one.

        Yields False if another process still holds the lock after `wait` seconds.
        """
        return self.engine.hold(self._mail_lock_name(share), wait)

    def require_mail_lock(self, share: int) -> None:
        """Raise `busy` if another process may send the messages of a share by now: see `require_held`."""
        self.engine.require_held(self._mail_lock_name(share))

    def _mail_lock_name(self, share: int) -> str:
        return "mail" if self.mail_shares == 1 else f"mail:{share}"

    @contextmanager
    def all_mail_locked(self, wait: float) -> Iterator[bool]:
        """Let nobody send messages; yields False if somebody still does after `wait` seconds."""
        with ExitStack() as stack:
            locks = (self.mail_lock(share, wait) for share in range(self.mail_shares))
            yield all(stack.enter_context(lock) for lock in locks)

    def set_stripe_account(self, account: str) -> None:
        """Store the Stripe account that the ledger's key belongs to."""
        with self.journal() as journal:
            journal.execute(
                "INSERT INTO meta (key, value) VALUES ('stripe_account', ?) ON CONFLICT (key) DO NOTHING",
                (account,),
            )
        self.forget_meta()

    def close(self) -> None:
        """Close the connection."""
        self.engine.close()


def open_ledger(place: Path | ServerUrl, *, wait: float | None = None, in_use: bool = True) -> Ledger:
    """Open an existing ledger. `wait` is how many seconds to wait for writers.

    A file is migrated if needed. A server is asked with the first statement. Raises `no_ledger`, or a
    LedgerError if the ledger is damaged, was written by a later seatctl, or is not writable. `in_use`: see
    `Ledger`.
    """
    engine = _open_file(place, wait) if isinstance(place, Path) else _open_on_server(place, wait)
    return Ledger(engine, in_use=in_use)


def _open_on_server(url: ServerUrl, wait: float | None) -> Engine:
    from seatctl.ledger.engines.postgres import connect
    from seatctl.ledger.engines.postgres_session import WAIT_SECONDS
    from seatctl.ledger.schema.versions import require_schema

    engine = connect(url, wait=WAIT_SECONDS if wait is None else wait)
    engine.when_opened(lambda meta: require_schema(url.shown, meta))
    return engine


def _open_file(path: Path, wait: float | None) -> Engine:
    from seatctl.ledger.engines.sqlite import WAIT_SECONDS, SqliteEngine
    from seatctl.ledger.schema.migrate import is_current, upgrade

    try:
        exists = path.exists()
    except OSError as error:
        raise refuse(
            Code.LEDGER_READ_ONLY, f"{path} cannot be opened: {error.strerror}", hint=_NAME_ANOTHER
        ) from error
    if not exists:
        raise no_ledger(str(path))
    if path.is_dir() or path.is_fifo():  # SQLite would report a disk error
        raise refuse(Code.LEDGER_READ_ONLY, f"{path} is not a file", hint=_NAME_ANOTHER)
    engine = SqliteEngine(path, wait=WAIT_SECONDS if wait is None else wait)
    try:
        if not is_current(engine):
            upgrade(engine)
    except BaseException:
        engine.close()
        raise
    return engine
