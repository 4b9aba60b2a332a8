"""Formats records as lines of CSV, TSV and Markdown. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from seatctl.output.style import Column, Format, Style, plain_cell
from seatctl.rules.terminal_text import guard_cell, one_line, visible

if TYPE_CHECKING:
    from seatctl.errors import JsonValue
    from seatctl.models.report import Record


def lines(style: Style, rows: Iterator[Record], columns: Sequence[Column]) -> Iterator[str]:
    """Yield the list in the style's format, line by line as the rows are read."""
    if style.format is Format.MARKDOWN:
        return _markdown(style, rows, columns)
    keys = list(style.fields) or _keys(columns)
    if style.format is Format.CSV:
        return _delimited(style, rows, keys, ",", _csv_cell)
    # Misleading characters are spelled out only on a terminal; text in a file can be read back.
    shown = visible if style.terminal else one_line

    def cell(value: JsonValue) -> str:
        # Most cells are plain; without calls for them, a long list takes a tenth less time.
        if type(value) is str and value.isascii() and value.isprintable():
            return value
        return shown(plain_cell(value))

    return _delimited(style, rows, keys, "\t", cell)


def _keys(columns: Sequence[Column]) -> list[str]:
    """Return the keys of all columns, and `currency` if one of them is money."""
    keys = [column.key for column in columns]
    if "currency" not in keys and any(column.kind == "money" for column in columns):
        keys.append("currency")
    return keys


class _Line:
    """A file object that returns each row to the caller of `writerow`."""

    def write(self, row: str) -> str:
        """Return the row without its line end."""
        return row[:-2]


def _delimited(
    style: Style,
    rows: Iterator[Record],
    keys: list[str],
    delimiter: str,
    cell: Callable[[JsonValue], str],
) -> Iterator[str]:
    """Yield one line per record. The writer uses CRLF, because only then it quotes a lone CR."""
    import csv

    writer = csv.writer(_Line(), delimiter=delimiter, lineterminator="\r\n")
    if style.header:
        yield str(writer.writerow(keys))
    for row in rows:
        yield str(writer.writerow([cell(row.get(key)) for key in keys]))


def _csv_cell(value: JsonValue) -> str:
    """Return a cell in which no formula is left that a spreadsheet would run."""
    return guard_cell(value) if isinstance(value, str) else plain_cell(value)


def _markdown(style: Style, rows: Iterator[Record], columns: Sequence[Column]) -> Iterator[str]:
    from seatctl.output.tables import cell

    shown = [column for column in columns if column.table]
    if style.header:
        yield _markdown_row(markdown_text(column.title) for column in shown)
        yield _markdown_row("---" for _ in shown)
    for row in rows:
        yield _markdown_row(markdown_text(cell(style, row, column)) for column in shown)


def _markdown_row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def markdown_text(text: str) -> str:
    """Return text that is shown literally, not interpreted as Markdown or HTML."""
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "#", "~", "!"):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
