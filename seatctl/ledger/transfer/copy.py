"""A copy of a ledger at another place: its creation, its contents, and the proof that it is the same.

Everything is read from one snapshot and written in one transaction. The copy is marked as unfinished from
its beginning, so that nobody uses it before it was verified, and a copy that was killed can be made again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from seatctl.errors import Code, SeatctlError, refuse
from seatctl.ledger import check
from seatctl.ledger import place_marks as marks
from seatctl.ledger.creation import create
from seatctl.ledger.engines.port import SCHEMA_VERSION, UNFINISHED_COPY, Engine
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.failures import LedgerConflict, LedgerCorrupt, LedgerLost, NoLedger
from seatctl.ledger.ledger import Ledger, Reader, Scope, open_ledger
from seatctl.ledger.schema.versions import schema_of
from seatctl.ledger.transfer import rows
from seatctl.ledger.transfer.rows import Contents, Notify
from seatctl.models.ledger_url import ServerUrl

_UNLINKED = "SELECT count(*) FROM audit WHERE place IS NULL"


class Copy(NamedTuple):
    """A copy that was made and verified, but is still marked as unfinished."""

    ledger: Ledger
    contents: list[Contents]


@contextmanager
def locked(source: Ledger) -> Iterator[None]:
    """Open a transaction in which nobody else changes a ledger, and all entries of its audit are linked.

    It is committed at the end. Raises `ledger_replaced` if the ledger was moved since it was opened.
    """
    with source.journal(Scope.WHOLE):
        if not isinstance(source.engine, SqliteEngine):
            from seatctl.ledger.schema.postgres.bulk_load import without_time_limits

            without_time_limits(source.engine)
        source.engine.link_entries()
        yield


@contextmanager
def snapshot(source: Ledger) -> Iterator[None]:
    """Open a snapshot of a ledger in which all entries of the audit are linked; others can go on writing.

    If an entry was not linked yet, the snapshot is opened again at a moment at which nobody writes.
    """
    with ExitStack() as stack:
        if _unlinked(stack.enter_context(source.reading())):
            stack.close()
            with _nobody_writing(source.engine):
                source.engine.link_entries()
                if _unlinked(stack.enter_context(source.reading())):
                    raise RuntimeError("an entry of the audit cannot be linked")
        yield


@contextmanager
def _nobody_writing(engine: Engine) -> Iterator[None]:
    """Hold the lock of the whole ledger with another connection."""
    other = engine.another()
    try:
        other.begin_writing()
        next(other.rows("SELECT 1"))
        yield
    finally:
        other.close()


def _unlinked(reader: Reader) -> int:
    return reader.count(_UNLINKED)


def make(source: Ledger, place: Path | ServerUrl, notify: Notify, *, kept: bool = False) -> Copy:
    """Make a verified copy of a ledger that has an open snapshot. `kept`: the ledger stays in use.

    Raises `ledger_older`, `ledger_not_empty`, `copy_differs`, LedgerCorrupt if a check of the copy finds a
    problem, and what creating a ledger raises.
    """
    meta = source.engine.meta()
    marks.require_in_use(source.place, meta)
    _require_current(source.place, meta)
    mark = marks.unfinished(source.place, kept=kept)
    needed = {key: meta[key] for key in ("ledger_id", "mode", "created_at")}
    with _target_named():
        copy = create(place, {**needed, **mark}, in_use=False)
    try:
        require_free(copy, meta["ledger_id"])
        copy.engine.begin_writing()
        try:
            require_free(copy, meta["ledger_id"])
            with _damage_named(source):
                read = rows.copy_rows(source.engine, copy.engine, mark, source.place, notify)
            copy.engine.commit()
        finally:
            copy.engine.rollback()
        copy.engine.empty_journal()
        _verify(copy, read, source.place, notify)
    except BaseException:
        copy.close()
        raise
    return Copy(copy, read)


def to_rehearse(source: Ledger, path: Path) -> None:
    """Copy a snapshot of a ledger to a new file that is thrown away soon; it is not verified."""
    meta = source.engine.meta()
    copy = create(path, {key: meta[key] for key in ("ledger_id", "mode", "created_at")}, in_use=False)
    try:
        with snapshot(source):
            copy.engine.begin_writing()
            rows.copy_rows(source.engine, copy.engine, {}, source.place, lambda _: None)
            copy.engine.commit()
    finally:
        copy.close()


def require_free(copy: Ledger, ledger_id: str) -> None:
    """Raise `ledger_not_empty` unless a ledger is empty, or an unfinished copy of the ledger of this id.

    Raises `ledger_older` if it must be migrated first.
    """
    meta = copy.engine.meta()
    _require_current(copy.place, meta)
    if UNFINISHED_COPY in meta and meta.get("ledger_id") == ledger_id:
        return
    if UNFINISHED_COPY in meta or rows.has_contents(copy.engine):
        raise refuse(
            Code.LEDGER_NOT_EMPTY,
            f"there is a ledger with contents at {copy.place}; nothing was changed",
            hint="name another file or database",
            data={"place": copy.place},
        )


def _require_current(place: str, meta: Mapping[str, str]) -> None:
    """Raise `ledger_older` if a server's ledger has an earlier schema, which has other columns."""
    schema = schema_of(place, meta, unknown=SCHEMA_VERSION)
    if schema < SCHEMA_VERSION:
        raise refuse(
            Code.LEDGER_OLDER,
            f"the ledger {place} has schema {schema}; to be copied, it needs schema {SCHEMA_VERSION}",
            hint="as the owner of the ledger: seatctl ledger migrate",
            data={"schema": schema, "needed": SCHEMA_VERSION},
        )


def existing(place: Path | ServerUrl) -> Ledger | None:
    """Return the ledger at a place, whatever its state; None if there is none."""
    try:
        with _target_named():
            ledger = open_ledger(place, in_use=False)
            try:
                ledger.engine.meta()
            except BaseException:
                ledger.close()
                raise
    except NoLedger:
        return None
    return ledger


@contextmanager
def _target_named() -> Iterator[None]:
    """Let the refusal of a file that is not a ledger advise another place, not to restore a backup.

    The backup would replace the ledger in use, not this file.
    """
    try:
        yield
    except LedgerCorrupt as error:
        error.hint = "name another file or database"
        raise


@contextmanager
def _damage_named(source: Ledger) -> Iterator[None]:
    """Raise LedgerCorrupt if rows could not be copied because the ledger is damaged."""
    try:
        yield
    except Exception as error:
        is_known = isinstance(error, SeatctlError) and not isinstance(error, LedgerConflict)
        if is_known or isinstance(error, LedgerLost):
            raise
        another = Ledger(source.engine.another(), in_use=False)
        try:
            _require_sound(another, source.place)
        finally:
            another.close()
        raise


def _verify(copy: Ledger, read: list[Contents], original: str, notify: Notify) -> None:
    """Compare a copy with what was read, and make all checks of `ledger check`."""
    with copy.reading() as reader:
        rows.require_equal(read, list(rows.contents(reader.engine)), original, copy.place)
    notify("the copy has the same rows")
    _require_sound(copy, original)


def _require_sound(ledger: Ledger, original: str) -> None:
    """Make all checks of `ledger check`. Raises LedgerCorrupt, which names the ledger at `original`."""
    problem = next(check.problems(ledger), None)
    if problem is not None:
        name, subject, detail = problem
        raise LedgerCorrupt(
            f"a check of {original} found a problem: {name}: {subject}: {detail}; the copy is not used",
            hint="seatctl ledger check",
            data={"check": name, "subject": subject, "detail": detail},
        )


def finish(copy: Ledger) -> None:
    """Let a copy be used."""
    copy.engine.begin_writing()
    try:
        marks.mark_finished(copy.engine)
        copy.engine.commit()
    finally:
        copy.engine.rollback()
