"""`ledger backup`, `restore` and `export`: the ledger's way out of its machine, and back."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TextIO

from seatctl.errors import BadInput, Code, JsonValue, NotAllowed, NotFound, refuse
from seatctl.ledger import check, copies, exports
from seatctl.ledger.failures import LedgerCorrupt, NoLedger
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.models.call import Call
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.rules.terminal_text import guard_cell
from seatctl.services.users.permissions import allow
from seatctl.system.files import is_same, new_file

_STAMP = "%Y%m%dT%H%M%SZ"


def backup(ledger: Ledger, call: Call, target: Path, *, overwrite: bool) -> Report:
    """A checked copy of the ledger, while others write. Raises `file_exists`, CannotWrite, LedgerCorrupt."""
    if call.dry_run:
        size = ledger.path.stat().st_size
        row: Record = {"path": str(target), "ledger_id": ledger.id, "bytes": size, "checked": False}
        return Report(None, True, f"would back up to {target}", (row,))
    copies.copy_to(ledger, target, overwrite=overwrite)
    row = {"path": str(target), "ledger_id": ledger.id, "bytes": target.stat().st_size, "checked": True}
    return Report(None, False, f"backed up to {target}, which checks clean", (row,))


def prepare_restore(source: Path, place: Path, call: Call) -> Path:
    """A checked copy of a backup beside the ledger, with an id of its own; the caller puts it in place.

    Raises NotFound, `same_ledger`, LedgerCorrupt, `ledger_newer`.
    """
    if not source.is_file():
        what = f"{source} is not a regular file" if source.exists() else f"there is no file {source}"
        raise NotFound(what, hint="name a file that ledger backup has written; - is stdin")
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
        opened = open_ledger(source)
        try:
            copies.copy_to(opened, part, overwrite=True)
        finally:
            opened.close()
    except (LedgerCorrupt, NoLedger) as error:
        error.hint = "name a file that ledger backup has written"
        raise
    copies.give_new_id(part, call)
    return part


def allow_restore(place: Path, call: Call) -> None:
    """Whoever manages the ledger that is replaced may; of one that is damaged, whoever has the file.

    What such a one says of roles may be what was damaged.
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
    """Put the copy in the ledger's place and keep what it replaces."""
    aside = place.with_name(f"{place.name}.replaced-{call.now:{_STAMP}}")
    while aside.exists():
        aside = aside.with_name(f"{aside.name}-1")
    kept = place.exists()
    copies.replace_ledger(part, place, aside)
    ledger = open_ledger(place)
    new = ledger.id
    ledger.close()
    row: Record = {"path": str(place), "ledger_id": new, "replaced": str(aside) if kept else None}
    said = f"restored {source}; as {new} it must adopt its subscriptions before it changes any"
    return Report(None, False, f"{said}; what it replaced is {aside}" if kept else said, (row,))


def export(ledger: Ledger, call: Call, target: Path, *, as_json: bool) -> Report:
    """Everything the ledger holds as a folder of files, of one moment. Raises `file_exists`, BadInput."""
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise refuse(
            Code.FILE_EXISTS,
            f"{target} is there already and not empty",
            hint="name a new folder",
            data={"path": str(target)},
        )
    ending = "json" if as_json else "csv"
    found: list[dict[str, JsonValue]] = []
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
                found.append({"file": str(path), "rows": written})
    except OSError as error:
        raise BadInput(f"{target} cannot be written: {error.strerror}", hint="name another folder") from error
    said = f"would export to {target}" if call.dry_run else f"exported to {target}"
    return Report(None, call.dry_run, said, found)


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
