"""Reads the lines of a batch: commands, a CSV with a `command` column, or a template and a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from seatctl.errors import JsonValue
from seatctl.input.columns import NoSuchColumn, column_key
from seatctl.input.lines import read_text
from seatctl.input.rows import FileRow
from seatctl.input.tables import no_rows, open_table
from seatctl.models.batch import Line
from seatctl.rules.batches import BadLines, NotALine, columns_of, fill, line, split

Check = Callable[[Line], None]
_COMMAND = "command"


class _LineCollector:
    """Collects the good lines, and the problem of each bad one."""

    def __init__(self, check: Check) -> None:
        self._check = check
        self._good: list[Line] = []
        self._bad: list[dict[str, JsonValue]] = []

    def add(self, n: int, text: str, words: Callable[[], tuple[str, ...]]) -> None:
        """Add a line, unless it is empty; note why if it cannot be run."""
        try:
            collector = Line(n, words())
            if collector.words:
                self._check(collector)
                self._good.append(collector)
        except NotALine as error:
            self._bad.append({"line": n, "command": text.strip(), "error": str(error)})

    def lines(self) -> list[Line]:
        """All good lines, in order. Raises BadLines if a line is bad."""
        if self._bad:
            raise BadLines(self._bad)
        return self._good


def lines_of_file(source: str, check: Check) -> list[Line]:
    """The commands of a file, or of the output of `runs failures` as CSV or TSV.

    Raises BadLines, `no_rows`.
    """
    collector = _LineCollector(check)
    for n, text in _commands(read_text(source)):
        collector.add(n, text, partial(split, text))
    lines = collector.lines()
    if not lines and source != "-" and Path(source).is_file():
        raise no_rows(source)
    return lines


def _commands(text: str) -> Iterator[tuple[int, str]]:
    first = text.partition("\n")[0]
    for delimiter in (",", "\t"):
        header: list[str] = []
        with suppress(csv.Error):  # a NUL or a very long word: not a header
            header = next(csv.reader([first], delimiter=delimiter), [])
        if len(header) > 1 and _COMMAND in header:
            table = csv.DictReader(io.StringIO(text), delimiter=delimiter)
            try:
                yield from ((n, row[_COMMAND] or "") for n, row in enumerate(table, start=2))
            except csv.Error as error:
                raise BadLines([{"line": table.line_num + 1, "command": "", "error": str(error)}]) from None
            return
    yield from enumerate(
        text.split("\n"), start=1
    )  # not `splitlines`: a name may contain its other line ends


def lines_of_table(source: str, template: Sequence[str], check: Check) -> list[Line]:
    """The template filled in for every row, each value within one word. Raises BadLines, NoSuchColumn."""
    words = line(0, template).words
    names = columns_of(words)
    keys = [column_key(name) for name in names]

    def filled(row: FileRow) -> tuple[str, ...]:
        if row.problem is not None:
            raise NotALine(row.problem)
        return fill(words, dict(zip(names, row.values, strict=True)))

    collector = _LineCollector(check)
    try:
        with open_table(source, keys, needs=keys) as table:
            for row in table:
                collector.add(row.line, ",".join(row.values), partial(filled, row))
    except NoSuchColumn as error:
        error.hint = "a template names columns of the file, such as {email}"
        raise
    return collector.lines()
