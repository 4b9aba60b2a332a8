"""Files of rows: CSV, TSV, JSON and JSON Lines from a path or stdin, streamed in constant memory.

A row has its line number and the values of the requested columns. A row that cannot be read has a problem
instead, so that all bad rows are reported at once. What a valid value is (an address, a date) is checked in
rules/people.py.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from seatctl.errors import Code, SeatctlError, refuse
from seatctl.input.columns import NUL, FileRow, NoSuchColumn, WantedColumns
from seatctl.input.file_kinds import SEPARATORS, require_columns_line
from seatctl.input.lines import End, open_bytes, text_lines
from seatctl.rules.emails import check_email
from seatctl.rules.terminal_text import unguard_cell

if TYPE_CHECKING:
    from _csv import Reader

MAX_FIELD = 1 << 17
"""Most characters of a field: the csv module's default."""

_DELIMITERS = {".csv": ",", ".tsv": "\t", ".tab": "\t"}
_JSON = frozenset((".jsonl", ".ndjson"))


def no_rows(source: str) -> SeatctlError:
    """Return the refusal of a named file without rows."""
    return refuse(
        Code.NO_ROWS,
        f"{source} has a header but no rows",
        hint="check how the file was made; only stdin (-) may be empty",
        data={"path": source},
    )


class Table:
    """An open file of rows. Iterate over it once; `ignored` are the columns that were not requested.

    If a named file has no rows, reading raises `no_rows`: after an export that went wrong, "nothing to do"
    would be misleading. A pipe may be empty (`requests list … |`).
    """

    def __init__(self, source: str, rows: Iterator[FileRow], ignored: Sequence[str] = ()) -> None:
        self.source = source
        self.ignored = tuple(ignored)
        self.may_be_empty = True
        self._rows = rows
        self._stream: BinaryIO | None = None

    def __iter__(self) -> Iterator[FileRow]:
        if self.may_be_empty:
            return self._rows
        first = next(self._rows, None)
        if first is None:
            raise no_rows(self.source)
        return chain((first,), self._rows)

    def __enter__(self) -> Table:
        return self

    def __exit__(self, *_: object) -> None:
        if self._stream:
            self._stream.close()

    def reads(self, stream: BinaryIO) -> Table:
        """Return the same table, which closes `stream` when it is closed."""
        self._stream = stream
        return self


def open_table(
    source: str,
    fields: Sequence[str],
    *,
    needs: Sequence[str] = ("email",),
    mapping: Mapping[str, str] | None = None,
    stdin: BinaryIO | None = None,
    may_be_empty: bool = False,
) -> Table:
    """Open `source` (`-`: stdin); rows have values in the order of `fields`, of which `needs` are required.

    `may_be_empty` allows a named file to have no rows. Raises `file_not_found`, `file_not_readable`,
    `empty_file`, NoSuchColumn, UsageError; while it is read, `not_utf8` and `no_rows`.
    """
    stream, name = open_bytes(source, stdin)
    try:
        wanted = WantedColumns(name, tuple(fields), tuple(needs), dict(mapping or {}))
        end = End()
        table = _table(Path(source).suffix.lower(), text_lines(stream, name, end), wanted, end).reads(stream)
        # A pipe may have a name too: <(…), a fifo.
        table.may_be_empty = may_be_empty or source == "-" or not Path(source).is_file()
    except BaseException:
        stream.close()
        raise
    return table


def _table(suffix: str, lines: Iterator[str], wanted: WantedColumns, end: End) -> Table:
    """Return the table in the format of the file's extension, else of its first line."""
    leading = list(_until_filled(lines))
    first = leading[-1].lstrip() if leading else ""
    if not first:
        raise refuse(
            Code.EMPTY_FILE,
            f"{wanted.source} is empty",
            hint=f"begin it with a header: {','.join(wanted.fields)}",
        )
    everything = chain(leading, lines)
    if suffix in _JSON or (suffix not in _DELIMITERS and first.startswith(("{", "["))):
        from seatctl.input.json_rows import json_rows

        return Table(wanted.source, *json_rows(everything, wanted, array=first.startswith("[")))
    require_columns_line(first, wanted.source)
    header = ["email"] if _is_address(first, wanted) else None
    reader = csv.reader(everything, delimiter=_delimiter(suffix, first), strict=True)
    return _delimited_table(reader, wanted, header, end)


def _is_address(first: str, wanted: WantedColumns) -> bool:
    """Return whether the first line is only an e-mail address, as --quiet prints it, and not a header."""
    text = first.strip()
    if wanted.needs != ("email",) or "email" in wanted.mapping or any(mark in text for mark in SEPARATORS):
        return False
    return "@" in text and check_email(text) is None


def _until_filled(lines: Iterator[str]) -> Iterator[str]:
    """Yield blank lines and the first line that is not blank."""
    for line in lines:
        yield line
        if line.strip():
            return


# -- CSV and TSV --------------------------------------------------------------------------------


def _delimiter(suffix: str, header: str) -> str:
    """Return the delimiter: by extension, then by the header; `;` only if nothing else is possible."""
    header = "".join(header.split('"')[::2])  # a separator inside quotes does not count
    by_name = _DELIMITERS.get(suffix)
    if by_name == "\t" or (by_name or ",") in header:
        return by_name or ","
    if "\t" in header:
        return "\t"
    return ";" if ";" in header else ","


def _delimited_table(reader: Reader, wanted: WantedColumns, header: list[str] | None, end: End) -> Table:
    """Return the table; `header` names the columns if the file has no header line."""
    try:
        header = header or next((cells for cells in reader if any(map(str.strip, cells))), [])
    except csv.Error as error:
        raise NoSuchColumn(
            f"the first line of {wanted.source} cannot be read: {_csv_problem(error, 1)}",
            hint="begin the file with the names of the columns, separated by commas, tabs or semicolons",
        ) from None
    header = [unguard_cell(name).strip() for name in header]
    indexes, ignored = wanted.columns(header)
    # Our TSV does not guard cells (it is for cut and awk), so an apostrophe in one is data.
    plain = str.strip if reader.dialect.delimiter == "\t" else _unguarded
    least = 1 + max((indexes[wanted.fields.index(field)] for field in wanted.needs), default=0)
    make = _row_maker(_Widths(least, len(header), end), indexes, plain)
    return Table(wanted.source, _delimited_rows(reader, lambda: reader.line_num, make), ignored)


class _Widths(NamedTuple):
    """How many cells a row may have: spreadsheets omit empty ones at its end."""

    least: int
    header: int
    end: End

    def problem(self, cells: Sequence[str]) -> str | None:
        """Return what is wrong with a row that is not as wide as the header, or None."""
        if len(cells) < self.header and self.end.cut_off:
            return f"{_ragged(len(cells), self.header)}, and the file ends in the middle of this line"
        if len(cells) < self.least or any(cells[self.header :]):
            return _ragged(len(cells), self.header)
        return None


def _csv_problem(error: csv.Error, lines: int) -> str:
    text = str(error)
    if "field limit" in text:
        return f"a field is longer than {MAX_FIELD} characters" + (
            ", or a quote is never closed" if lines > 1 else ""
        )
    if "unexpected end" in text:
        return "a quote is never closed"
    if "expected after" in text:
        return "there is text after a closing quote; double a quote inside of a quoted field"
    return text


def _delimited_rows(
    reader: Iterator[list[str]],
    line_num: Callable[[], int],
    make: Callable[[int, list[str]], FileRow | None],
) -> Iterator[FileRow]:
    """Yield a row per record, with the line it begins on; a malformed record becomes a row with a problem."""
    line = line_num() + 1
    while True:
        try:
            for cells in reader:
                row = make(line, cells)
                if row is not None:
                    yield row
                line = line_num() + 1
        except csv.Error as error:
            yield FileRow(line, (), _csv_problem(error, line_num() - line + 1))
            line = line_num() + 1
        else:
            return


def _row_maker(
    widths: _Widths, indexes: Sequence[int], plain: Callable[[str], str]
) -> Callable[[int, list[str]], FileRow | None]:
    """Return a function from a record's cells to a row, None for a blank one. `plain` undoes guards."""
    pick: Callable[[list[str]], tuple[str, ...]] = itemgetter(*indexes, -1)
    count, strip, width = len(indexes), str.strip, widths.header

    def make(line: int, cells: list[str]) -> FileRow | None:
        if len(cells) != width:
            if not any(map(strip, cells)):
                return None
            if problem := widths.problem(cells):
                return FileRow(line, (), problem)
            cells[len(cells) :] = [""] * (width - len(cells))
            del cells[width:]
        cells.append("")  # the value of a field without a column
        values = tuple(map(strip, pick(cells)[:count]))
        text = "".join(values)
        if "'" in text:
            values = tuple([plain(value) if value[:1] == "'" else value for value in values])
        if not text and not any(map(strip, cells)):
            return None
        return FileRow(line, values, NUL if "\0" in text else None)

    return make


def _unguarded(value: str) -> str:
    return unguard_cell(value).strip()


def _ragged(cells: int, width: int) -> str:
    return f"it has {cells} field{'' if cells == 1 else 's'}, the header has {width}"
