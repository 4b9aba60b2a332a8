"""Prints records and reports on stdout, everything else on stderr, in the chosen format.

Machine formats are streamed and never cut short; `tables.py` renders tables. Typed text is data: it reaches a
terminal, a spreadsheet or Markdown without being acted upon.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, islice
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue, SeatctlError, UsageError
from seatctl.output.style import Column, Format, Style, dump, plain_cell
from seatctl.rules.terminal_text import visible, visible_lines

if TYPE_CHECKING:
    from pathlib import Path

    from seatctl.models.report import Record, Report

TABLE_ROWS = 50
"""A table shows at most this many rows; machine formats show all."""

_LONGEST_WORD, _SHOWN_OF_IT = 5000, 200
"""Characters of a word. A path or the address of one of Stripe's pages is shorter and never cut."""


class Output:
    """What the process has printed so far."""

    begun = False
    """Whether anything was printed; a command that is repeated must not print anything twice."""


def _writer() -> Callable[[str], object]:
    """Return the function that writes to stdout."""
    Output.begun = True
    return sys.stdout.write


def emit_list(
    style: Style,
    records: Iterable[Record],
    columns: Sequence[Column],
    *,
    handle: str,
    total: Callable[[], int] | None = None,
) -> None:
    """Print a list; with `--quiet` only the handles. `total` is called only if a table is cut short."""
    if _emit_rows(style, records, columns, handle=handle, total=total) or not style.terminal:
        return
    if style.format is Format.TABLE and not style.quiet:
        note("nothing to show")  # otherwise people wonder whether the command did anything


def _emit_rows(
    style: Style,
    records: Iterable[Record],
    columns: Sequence[Column],
    *,
    handle: str,
    total: Callable[[], int] | None = None,
) -> bool:
    """Print the records; return whether there were any, as far as a table shows."""
    # On a server, the first row may be the first question to the ledger: before it, nothing may be printed.
    rows = iter(records)
    first = next(rows, None)
    records = rows if first is None else chain([first], rows)
    if style.quiet:
        # A row that was left out is not something that a next command could work on.
        _write_lines(_handle(record, handle) for record in records if record.get("result") != "bad")
        return True
    rows, chosen = _choose(style, iter(records), columns)
    if style.format is Format.JSON:
        _write_array(_objects(style, rows))
        _writer()("\n")
    elif style.format is Format.JSONL:
        _write_lines(map(dump, _objects(style, rows)))
    elif style.format is Format.TABLE:
        return _write_table(style, rows, chosen, total, handle)
    else:
        from seatctl.output.delimited import lines

        _write_lines(lines(style, rows, chosen))
    return True


def emit_one(style: Style, record: Record, columns: Sequence[Column], *, handle: str) -> None:
    """Print one record: an object in JSON, lines of title and value in a table, one row elsewhere."""
    if style.quiet:
        _write_lines([_handle(record, handle)])
    elif style.format is Format.JSON:
        rows, _ = _choose(style, iter([record]), columns)
        _writer()(dump(next(_objects(style, rows)), indent=2) + "\n")
    elif style.format is Format.TABLE:
        from seatctl.output.tables import render_one

        rows, chosen = _choose(style, iter([record]), columns)
        _writer()(render_one(style, next(rows), chosen))
    else:
        emit_list(style, [record], columns, handle=handle)


def emit_report(style: Style, report: Report, *, handle: str | None = None) -> None:
    """Print the report of a run: rows on stdout; summary and undo command on stderr, except in JSON."""
    for warning in report.warnings:
        note(f"warning: {warning}")
    if style.format is Format.JSON and not style.quiet:
        _write_report(style, report)
        return
    rows = iter(report.rows)
    first = next(rows, None)
    keys = report.columns or tuple(first or ())
    if keys:
        from seatctl.output.style import column

        columns = [column(key) for key in keys]
        records = rows if first is None else chain([first], rows)
        _emit_rows(style, records, columns, handle=handle or keys[0])
    if not style.quiet:
        sys.stdout.flush()  # so that the summary follows the rows if both go to one terminal
        note(_summary(report))
        if report.undo:
            note(f"undo: {report.undo}")


def _summary(report: Report) -> str:
    """Return the summary; that of a dry run must not read as if something had been done."""
    if not report.dry_run or report.summary.startswith("would "):
        return report.summary
    return f"dry run: {report.summary.removesuffix('; nothing was changed')}; nothing was changed"


def note(text: str) -> None:
    """Print a message on stderr, with control characters spelled out."""
    _tell(visible_lines(text) + "\n")


def _tell(text: str) -> None:
    """Write to stderr. If it is full or closed, the message is lost and the command goes on."""
    Output.begun = True
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except OSError:
        from seatctl.system.streams import drop

        drop(sys.stderr)


def write_text(text: str) -> None:
    """Print a text of our own on stdout: a help page, a path, a shell script."""
    _writer()(text if text.endswith("\n") else text + "\n")


def write_file(path: Path) -> None:
    """Print the bytes of a file on stdout."""
    Output.begun = True
    sys.stdout.flush()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


def write_error(error: SeatctlError, *, as_json: bool) -> None:
    """Print an error on stderr: its JSON object, or message, bad rows and hint."""
    from seatctl.output.redact import redact

    if as_json:
        _tell(redact(dump({"error": error.as_json()})) + "\n")
        return
    note(_readable(redact(f"seatctl: {error.message}")))
    rows = error.data.get("rows")
    if isinstance(rows, list):
        for row in rows[:TABLE_ROWS]:
            note(_readable(redact(f"  {_row_sentence(row)}")))
        if len(rows) > TABLE_ROWS:
            note(f"  … {len(rows) - TABLE_ROWS:,} more; -o json shows all")
    if error.hint:
        note(_readable(redact(f"hint: {error.hint}")))


def _readable(text: str) -> str:
    """Return a message whose longest words are cut: one of a megabyte would push the rest off the screen."""
    import re

    return re.sub(rf"\S{{{_LONGEST_WORD},}}", lambda word: f"{word[0][:_SHOWN_OF_IT]}…", text)


def _row_sentence(row: JsonValue) -> str:
    """Return a row of an error as text: `line 3: bad@: not an e-mail address`."""
    if not isinstance(row, dict):
        return plain_cell(row)
    parts = [f"line {row['line']}"] if row.get("line") is not None else []
    shown = {key: value for key, value in row.items() if key not in {"line", "result", "code"} and value}
    if isinstance(shown.get("plan"), int):
        del shown["plan"]  # the index of the plan in a file: the line says it better
    parts += map(plain_cell, shown.values())
    return ": ".join(parts)


def _handle(record: Record, handle: str) -> str:
    return visible(plain_cell(record.get(handle)))


def _choose(
    style: Style, records: Iterator[Record], columns: Sequence[Column]
) -> tuple[Iterator[Record], Sequence[Column]]:
    """Apply `--fields`; return the records and the columns. Unknown fields raise at the first record."""
    if not style.fields:
        return records, columns
    first = next(records, None)
    known = {column.key: column for column in columns}
    names = [*known, *(key for key in first or () if key not in known)]
    unknown = [field for field in style.fields if field not in names]
    if unknown and first is not None:
        from seatctl.rules.typed_values import nearest

        wrong = ", ".join(map(repr, unknown))
        close = list(dict.fromkeys(name for field in unknown for name in nearest(field, names))) or names
        raise UsageError(
            f"unknown field{'' if len(unknown) == 1 else 's'} {wrong}",
            hint=f"--fields {','.join(close)}",
            data={"fields": [*names]},
        )
    from seatctl.output.style import column

    chosen = [(known.get(field) or column(field))._replace(table=True) for field in style.fields]
    return (records if first is None else chain([first], records)), chosen


def _objects(style: Style, records: Iterator[Record]) -> Iterator[Record]:
    """Return the records for JSON: complete, or with the requested fields."""
    if not style.fields:
        return records
    return ({field: record.get(field) for field in style.fields} for record in records)


def _write_lines(lines: Iterable[str]) -> None:
    write = _writer()
    for line in lines:
        write(line + "\n")


def _write_array(rows: Iterator[Record], indent: str = "") -> None:
    """Write a JSON array, one record per line, as it is read."""
    write = _writer()
    first = next(rows, None)
    if first is None:
        write("[]")
        return
    write(f"[\n{indent}  {dump(first)}")
    for row in rows:
        write(f",\n{indent}  {dump(row)}")
    write(f"\n{indent}]")


def _write_report(style: Style, report: Report) -> None:
    head: dict[str, JsonValue] = {
        "run": report.run,
        "dry_run": report.dry_run,
        "summary": report.summary,
        "undo": report.undo,
        **({"warnings": [*report.warnings]} if report.warnings else {}),
        **report.data,
    }
    rows, _ = _choose(style, iter(report.rows), [Column(key, key) for key in report.columns])
    _writer()("{\n")
    for key, value in head.items():
        _writer()(f"  {dump(key)}: {dump(value)},\n")
    _writer()('  "rows": ')
    _write_array(_objects(style, rows), indent="  ")
    _writer()("\n}\n")


def _write_table(
    style: Style,
    rows: Iterator[Record],
    columns: Sequence[Column],
    total: Callable[[], int] | None,
    handle: str,
) -> bool:
    from seatctl.output.tables import render_list

    page = list(islice(rows, TABLE_ROWS))
    _writer()(render_list(style, page, columns, handle=handle))
    if next(rows, None) is None:
        return bool(page)
    sys.stdout.flush()
    count = f"the first {TABLE_ROWS} of {total():,}" if total else f"the first {TABLE_ROWS}; there are more"
    note(f"{count}; -o csv shows all")
    return True
