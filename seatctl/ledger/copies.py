"""Whole copies of a ledger: a backup while others write, and a backup put in a ledger's place.

SQLite's backup API copies pages of one snapshot: writers go on meanwhile, and what was committed before it
began is in the copy. A restore is one transaction over the ledger that is there, so that other processes see
the old ledger or the new one, and a kill in between leaves the old one.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from seatctl.ledger import check
from seatctl.ledger.engines.sqlite import WAIT_SECONDS, SqliteEngine, translated
from seatctl.ledger.engines.sqlite_files import create_file
from seatctl.ledger.failures import LedgerBusy, LedgerCorrupt
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.system.files import new_file

_PAGES_A_STEP = 16


def copy_to(ledger: Ledger, target: Path, *, overwrite: bool) -> None:
    """Write a checked copy of a ledger to a file, 0600, whole or not at all.

    It needs no file beside it, so that it opens where nothing can be written. Raises LedgerCorrupt if the
    copy does not check clean, CannotWrite, and `file_exists` unless `overwrite`.
    """
    with new_file(target, overwrite=overwrite) as part:
        try:
            _copy(ledger.engine, part)
            _require_clean(part, ledger.path)
        finally:
            for path in _files(part)[1:]:
                path.unlink(missing_ok=True)


def _copy(source: SqliteEngine, target: Path) -> None:
    """One snapshot into a new file that uses a rollback journal: WAL needs a writable directory."""
    create_file(target)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        raise translated(error, target) from error


@contextmanager
def rehearsal(ledger: Ledger) -> Iterator[Ledger]:
    """A copy of the ledger in which the lines of a batch are tried; thrown away on leaving.

    It is private, holds no lock of the ledger, and need not survive a power cut.
    """
    with tempfile.TemporaryDirectory(prefix="seatctl-") as folder:
        path = Path(folder) / "ledger.db"
        _copy(ledger.engine, path)
        copy = open_ledger(path)
        try:
            copy.engine.execute("PRAGMA synchronous = OFF")
            copy.is_rehearsal = True
            yield copy
        finally:
            copy.close()


def _require_clean(copy: Path, original: Path) -> None:
    """Check the copy of a ledger whole, as `ledger check` does. Raises LedgerCorrupt."""
    ledger = open_ledger(copy)
    try:
        found = next(check.problems(ledger), None)
    finally:
        ledger.close()
    if found is not None:
        name, subject, detail = found
        raise LedgerCorrupt(
            f"{original} does not check clean: {name}: {subject}: {detail}",
            hint=f"to see all of it: seatctl ledger check; to copy it as it is: cp {original}* FOLDER",
            data={"check": name, "subject": subject, "detail": detail},
        )


def give_new_id(path: Path, call: Call) -> str:
    """Make a copy a ledger of its own, with a new id; that id.

    What was under way when the backup was made is over: its money operations may have gone through since,
    and under the new id they would be sent to Stripe a second time; its messages may have been delivered.
    """
    ledger = open_ledger(path)
    old, new = ledger.id, f"led_{os.urandom(12).hex()}"
    try:
        with ledger.change(call) as tx:
            _end_unfinished(tx)
            tx.execute("UPDATE meta SET value = ? WHERE key = 'ledger_id'", (new,))
            tx.record("setting", 0, {"ledger_id": old}, {"ledger_id": new})
            tx.summarise(f"restored from a backup of {old}, as {new}")
    finally:
        ledger.close()
    return new


_UNFINISHED = "it was under way when this ledger's backup was made; Stripe tells what became of it"


def _end_unfinished(tx: Transaction) -> None:
    tx.execute(
        "UPDATE runs SET state = 'failed', finished_at = ?, summary = ? WHERE number IN"
        " (SELECT run FROM operations WHERE state IN ('pending', 'waiting'))",
        (tx.now, _UNFINISHED),
    )
    tx.execute(
        "UPDATE operations SET state = 'failed', finished_at = ?, outcome = ?"
        " WHERE state IN ('pending', 'waiting')",
        (tx.now, json.dumps({"summary": _UNFINISHED})),
    )
    tx.execute("UPDATE outbox SET state = 'held' WHERE state = 'waiting'")


def replace_ledger(copy: Path, place: Path, aside: Path) -> None:
    """Put a ledger file where another one is or was; what it replaces is kept as `aside`, if it is there.

    A damaged one is moved aside with its journal; a good one is copied aside, and overwritten in one
    transaction: moving it would leave other processes writing into the file that was set aside.
    """
    try:
        current = open_ledger(place) if place.exists() else None
    except LedgerCorrupt:
        current = None
        for path in _files(place):
            if path.exists():
                path.replace(path.with_name(path.name.replace(place.name, aside.name, 1)))
    if current is None:
        copy.replace(place)
        engine = SqliteEngine(place)
        engine.use_wal()
        engine.close()
        return
    try:
        # Held, so that no operation of this ledger is under way while its steps are replaced.
        with current.money_lock():
            _overwrite(current, copy, aside)
    except sqlite3.Error as error:
        raise translated(error, place) from error
    finally:
        current.close()


def _overwrite(current: Ledger, copy: Path, aside: Path) -> None:
    """Copy a ledger aside and overwrite it in one transaction.

    It is copied once the transaction has begun, which others can read beside but not write: a change that
    is committed between a copy and the transaction would be in neither of the two files.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    begun = False

    def step(status: int, _left: int, _pages: int) -> None:
        nonlocal begun
        if begun:
            return
        if status == sqlite3.SQLITE_OK:
            begun = True
            set_aside = open_ledger(current.path)
            try:
                _copy(set_aside.engine, aside)
            finally:
                set_aside.close()
        elif time.monotonic() > deadline:
            raise LedgerBusy(
                f"another process is writing to {current.path}", hint="run the same command again"
            )

    with closing(sqlite3.connect(copy, isolation_level=None)) as source:
        # The first step takes the lock, and must not be the last: a ledger has more pages than that.
        source.backup(current.engine.connection, pages=_PAGES_A_STEP, progress=step)


def delete_leftovers(place: Path) -> None:
    """Delete what restores that were killed have left beside the ledger: whole copies of it."""
    pattern = re.compile(rf"\.+{re.escape(place.name)}\.(\d+)\.part")
    for path in place.parent.iterdir() if place.parent.is_dir() else ():
        found = pattern.match(path.name)
        if found and not _is_alive(int(found[1])):
            path.unlink(missing_ok=True)


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def _files(path: Path) -> list[Path]:
    """The file and those that SQLite may put beside it."""
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]
