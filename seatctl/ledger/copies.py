"""Copies of a whole ledger: backups, restores, and the copy in which a batch is rehearsed.

SQLite's backup API copies the pages of one snapshot: others can write meanwhile, and everything that was
committed before is in the copy. A restore overwrites the existing ledger in one transaction: other processes
see either the old ledger or the new one, and a killed restore leaves the old one.
"""

from __future__ import annotations

import os
import re
import shlex
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.ledger import check
from seatctl.ledger.engines.sqlite import WAIT_SECONDS, SqliteEngine, translated
from seatctl.ledger.engines.sqlite_files import create_file
from seatctl.ledger.failures import LedgerBusy, LedgerCorrupt
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.system.files import new_file

_PAGES_A_STEP = 16


def copy_to(ledger: Ledger, target: Path, *, overwrite: bool) -> None:
    """Write a checked copy of a ledger to a file (mode 0600). After an error there is no file.

    The copy needs no other files beside it and can be opened on read-only media. Raises LedgerCorrupt if a
    check of the copy finds a problem, CannotWrite, and `file_exists` unless `overwrite`.
    """
    source = file_of(ledger)
    with new_file(target, overwrite=overwrite) as part:
        try:
            _copy(source, part)
            _require_clean(part, source.path)
        finally:
            for path in _files(part)[1:]:
                path.unlink(missing_ok=True)


def file_of(ledger: Ledger) -> SqliteEngine:
    """Return the engine of a ledger that is a file. Raises `server_ledger`."""
    if not isinstance(ledger.engine, SqliteEngine):
        raise refuse(
            Code.SERVER_LEDGER,
            f"the ledger {ledger.place} is on a server and cannot be copied like a file",
            hint=f"to back it up: pg_dump --format=custom --file=ledger.dump {shlex.quote(ledger.place)}",
        )
    return ledger.engine


def _copy(source: SqliteEngine, target: Path) -> None:
    """Copy one snapshot to a new file with a rollback journal; WAL would need a writable directory."""
    create_file(target)
    try:
        with closing(sqlite3.connect(target, isolation_level=None)) as copy:
            source.connection.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE").fetchone()
    except sqlite3.Error as error:
        raise translated(error, target) from error


@contextmanager
def rehearsal(ledger: Ledger) -> Iterator[Ledger]:
    """Yield a private copy of the ledger for the dry run of a batch; it is deleted on leaving.

    The copy takes no lock of the ledger, and need not survive a power cut.
    """
    with tempfile.TemporaryDirectory(prefix="seatctl-") as folder:
        path = Path(folder) / "ledger.db"
        if isinstance(ledger.engine, SqliteEngine):
            _copy(ledger.engine, path)
        else:
            from seatctl.ledger.transfer.copy import to_rehearse

            to_rehearse(ledger, path)
        copy = open_ledger(path)
        try:
            copy.engine.execute("PRAGMA synchronous = OFF")
            copy.is_rehearsal = True
            yield copy
        finally:
            copy.close()


def _require_clean(copy: Path, original: Path) -> None:
    """Make all checks of `ledger check` on the copy of a ledger. Raises LedgerCorrupt."""
    ledger = open_ledger(copy)
    try:
        problem = next(check.problems(ledger), None)
    finally:
        ledger.close()
    if problem is not None:
        name, subject, detail = problem
        raise LedgerCorrupt(
            f"a check of {original} found a problem: {name}: {subject}: {detail}",
            hint=f"to see all problems: seatctl ledger check; to copy it as it is: cp {original}* FOLDER",
            data={"check": name, "subject": subject, "detail": detail},
        )


def replace_ledger(copy: Path, place: Path, aside: Path) -> None:
    """Put the ledger file `copy` at `place`; an existing ledger there is kept as `aside`.

    A damaged ledger is moved to `aside` with its journal. A good one is copied to `aside` and overwritten in
    one transaction: if it were moved, other processes would go on writing to the file that was set aside.
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
        # With the money lock, no operation of this ledger can be running while its steps are replaced.
        with current.money_lock():
            _overwrite(file_of(current), copy, aside)
    except sqlite3.Error as error:
        raise translated(error, place) from error
    finally:
        current.close()


def _overwrite(current: SqliteEngine, copy: Path, aside: Path) -> None:
    """Copy a ledger to `aside` and overwrite it in one transaction.

    The copy is made after the transaction has begun, when others can read but not write: otherwise a change
    that is committed between the copy and the transaction would be in neither of the two files.
    """
    deadline = time.monotonic() + WAIT_SECONDS
    begun = False

    def step(status: int, _left: int, _pages: int) -> None:
        nonlocal begun
        if begun:
            return
        if status == sqlite3.SQLITE_OK:
            begun = True
            set_aside = current.another()
            try:
                _copy(set_aside, aside)
            finally:
                set_aside.close()
        elif time.monotonic() > deadline:
            raise LedgerBusy(
                f"another process is writing to {current.path}", hint="run the same command again"
            )

    with closing(sqlite3.connect(copy, isolation_level=None)) as source:
        # The first step takes the lock and must not be the last one; every ledger has more pages than that.
        source.backup(current.connection, pages=_PAGES_A_STEP, progress=step)


def delete_leftovers(place: Path) -> None:
    """Delete the copies that killed restores left beside the ledger."""
    pattern = re.compile(rf"\.+{re.escape(place.name)}\.(\d+)\.part")
    for path in place.parent.iterdir() if place.parent.is_dir() else ():
        match = pattern.match(path.name)
        if match and not _is_alive(int(match[1])):
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
    """Return the file and those that SQLite may create beside it."""
    return [path, *(path.with_name(path.name + end) for end in ("-wal", "-shm", "-journal"))]
