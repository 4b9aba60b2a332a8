"""`ledger backup`, `restore` and `export`."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TextIO

from seatctl.errors import BadInput, Code, JsonValue, NotAllowed, NotFound, refuse
from seatctl.ledger import check, copies, exports
from seatctl.ledger.failures import LedgerCorrupt, NoLedger
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.ledger.new_id import give_new_id
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, change_report
from seatctl.models.role import Action
from seatctl.rules.terminal_text import guard_cell
from seatctl.services.users.permissions import allow
from seatctl.system.files import is_same, new_file

_STAMP = "%Y%m%dT%H%M%SZ"
_BACKUP = "this ledger's backup was made"


def backup(ledger: Ledger, call: Call, target: Path, *, overwrite: bool) -> Report:
    """Copy the ledger while others write, and check the copy.

    Raises `file_exists`, CannotWrite, LedgerCorrupt.
    """
    if not call.dry_run:
        copies.copy_to(ledger, target, overwrite=overwrite)
    row: Record = {
        "path": str(target),
        "ledger_id": ledger.id,
        "bytes": (copies.file_of(ledger).path if call.dry_run else target).stat().st_size,
        "checked": not call.dry_run,
    }
    return change_report(f"backed up to {target} and checked the copy", (row,), dry_run=call.dry_run)


def prepare_restore(source: Path, place: Path, call: Call) -> Path:
    """Return a checked copy of a backup, beside the ledger and with a new ledger id; the caller moves it.

    Raises NotFound, `same_ledger`, LedgerCorrupt, `ledger_newer`.
    """
    if not source.is_file():
        problem = f"{source} is not a regular file" if source.exists() else f"there is no file {source}"
        raise NotFound(problem, hint="name a file that ledger backup has written; - is stdin")
    if is_same(source, place):
        raise refuse(
            Code.SAME_LEDGER,
            f"{source} is the ledger that would be replaced; nothing was changed",
            hint="name a file that ledger backup has written",
            data={"path": str(source)},
        )
    copies.delete_leftovers(place)
    part = place.with_name(f".{place.name}.{os.getpid()}.part")
    try:
        with closing(open_ledger(source)) as ledger:
            ledger.require_in_use()
            copies.copy_to(ledger, part, overwrite=True)
    except (LedgerCorrupt, NoLedger) as error:
        error.hint = "name a file that ledger backup has written"
        raise
    with closing(open_ledger(part)) as copy:
        give_new_id(copy, call, summary="restored from a backup of {old}, as {new}", since=_BACKUP)
    return part


def allow_restore(place: Path, call: Call) -> None:
    """Raise RoleRequired unless the actor may manage the ledger that is replaced.

    If that ledger is damaged, everybody may replace it, because its roles may be damaged too.
    """
    if not place.exists():
        return
    try:
        current = open_ledger(place)
    except LedgerCorrupt:
        return
    try:
        with current.reading() as reader:
            allow(reader, call.actor, Action.MANAGE_LEDGER)
    except LedgerCorrupt:
        return
    except NotAllowed:
        if next(check.problems(current), None) is None:
            raise
    finally:
        current.close()


def finish_restore(part: Path, place: Path, call: Call, source: str) -> Report:
    """Move the copy to the ledger's place, and keep the ledger that it replaces."""
    replaced = place.with_name(f"{place.name}.replaced-{call.now:{_STAMP}}")
    while replaced.exists():
        replaced = replaced.with_name(f"{replaced.name}-1")
    existed = place.exists()
    copies.replace_ledger(part, place, replaced)
    with closing(open_ledger(place)) as ledger:
        ledger_id = ledger.id
    kept = str(replaced) if existed else None
    row: Record = {"path": str(place), "ledger_id": ledger_id, "replaced": kept}
    summary = f"restored {source} as {ledger_id}, which must adopt subscriptions before it changes them"
    summary += f"; the replaced ledger is {kept}" if kept else ""
    return change_report(summary, (row,), dry_run=False)


def export(ledger: Ledger, call: Call, target: Path, *, as_json: bool) -> Report:
    """Write a snapshot of the ledger to a folder, one file per table. Raises `file_exists`, BadInput."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise refuse(
            Code.FILE_EXISTS,
            f"{target} exists already and is not an empty folder",
            hint="name a new folder",
            data={"path": str(target)},
        )
    ending = "json" if as_json else "csv"
    files: list[dict[str, JsonValue]] = []
    try:
        if not call.dry_run:
            target.mkdir(mode=0o700, parents=True, exist_ok=True)
        with ledger.reading() as reader:
            for table in exports.TABLES:
                path = target / f"{table}.{ending}"
                columns, rows = exports.columns(reader, table), exports.rows(reader, table)
                written = (
                    sum(1 for _ in rows) if call.dry_run else _write(path, columns, rows, as_json=as_json)
                )
                files.append({"file": str(path), "rows": written})
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}", hint="name another folder") from error
    return change_report(f"exported to {target}", files, dry_run=call.dry_run)


def _write(path: Path, columns: Sequence[str], rows: Iterable[Record], *, as_json: bool) -> int:
    with new_file(path) as part, part.open("w", encoding="utf-8", newline="") as file:
        return _write_json(file, rows) if as_json else _write_csv(file, columns, rows)


def _write_json(file: TextIO, rows: Iterable[Record]) -> int:
    written = 0
    for row in rows:
        file.write(",\n" if written else "[\n")
        file.write(json.dumps(dict(row), ensure_ascii=False))
        written += 1
    file.write("\n]\n" if written else "[]\n")
    return written


def _write_csv(file: TextIO, columns: Sequence[str], rows: Iterable[Record]) -> int:
    writer = csv.writer(file)
    writer.writerow(columns)
    written = 0
    for row in rows:
        writer.writerow([guard_cell(value) if isinstance(value, str) else value for value in row.values()])
        written += 1
    return written
