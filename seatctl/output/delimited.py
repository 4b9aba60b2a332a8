"""Records as lines of CSV, TSV and Markdown. Nothing is printed here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from seatctl.output.style import Column, Format, Style, plain_cell
from seatctl.rules.terminal_text import guard_cell, one_line, visible

if TYPE_CHECKING:
    from seatctl.errors import JsonValue
    from seatctl.models.report import Record


def lines(style: Style, rows: Iterator[Record], columns: Sequence[Column]) -> Iterator[str]:
    """The list in the style's format, line by line as the rows are read."""
    if style.format is Format.MARKDOWN:
        return _markdown(style, rows, columns)
    keys = list(style.fields) or _keys(columns)
    return _tsv(style, rows, keys) if style.format is Format.TSV else _csv(style, rows, keys)


def _keys(columns: Sequence[Column]) -> list[str]:
    """All columns, and the currency wherever there is money."""
    keys = [column.key for column in columns]
    if "currency" not in keys and any(column.kind == "money" for column in columns):
        keys.append("currency")
    return keys


class _Line:
    """Hands a row back to whoever writes it."""

    def write(self, row: str) -> str:
        """The row without its end."""
        return row[:-2]


def _csv(style: Style, rows: Iterator[Record], keys: list[str]) -> Iterator[str]:
    """Formulas disarmed. Rows end in CRLF inside, because only then csv quotes a carriage return."""
    import csv

    writer = csv.writer(_Line(), lineterminator="\r\n")
    if style.header:
        yield str(writer.writerow(keys))
    for row in rows:
        yield str(writer.writerow([_csv_cell(row.get(key)) for key in keys]))


def _csv_cell(value: JsonValue) -> str:
    return guard_cell(value) if isinstance(value, str) else plain_cell(value)


def _tsv(style: Style, rows: Iterator[Record], keys: list[str]) -> Iterator[str]:
    """Exactly one line per record and one tab between cells, for cut and awk.

    What misleads a reader is spelled out on a terminal only: from a file the text can be read back.
    """
    import csv

    shown = visible if style.terminal else one_line

    writer = csv.writer(_Line(), delimiter="\t", lineterminator="\r\n")
    if style.header:
        yield str(writer.writerow(keys))
    for row in rows:
        yield str(writer.writerow([shown(plain_cell(row.get(key))) for key in keys]))


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
    """A text that is shown as it is, not taken for Markdown or HTML."""
    for mark in ("\\", "|", "`", "*", "_", "[", "]", "#", "~", "!"):
        text = text.replace(mark, f"\\{mark}")
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
