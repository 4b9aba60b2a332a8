"""`seatctl batch`: many commands in one process, each with its own transaction and result."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, MaxFailuresOpt, StopOpt, argument, option
from seatctl.errors import JsonValue, UsageError
from seatctl.input.columns import FileRow, NoSuchColumn, column_key
from seatctl.input.lines import read_text
from seatctl.input.tables import no_rows, open_table
from seatctl.rules.batches import BadLines, Line, NotALine, columns_of, fill, line, split

app = Commands()

WordsArg = Annotated[
    list[str] | None, argument("FILE|-", "One command per line; with --csv: the command, after --.")
]
CsvOpt = Annotated[str | None, option("--csv FILE|-", "Run the command after -- once per row of this table.")]


@app.command()
def batch(
    ctx: Context,
    words: WordsArg = None,
    csv: CsvOpt = None,
    stop_on_error: StopOpt = False,
    max_failures: MaxFailuresOpt = None,
) -> None:
    """Run many commands in one process.

    FILE has one command per line. With --csv, the command after -- runs once for every row of a table;
    {column} stands for the row's value, always within one word.

    A line is split into words as a shell does it, but no shell runs; empty lines and # comments are
    skipped. Every line is checked before the first one runs (exit 3). Each line is a transaction of its own,
    and all together are one run: after a kill, `runs resume` continues, and no line runs twice. Exit 6 if
    some lines failed. With --dry-run the lines run in a copy of the ledger, so that each one sees the
    changes of those before it; calls to Stripe are dry runs.

    Examples:
      seatctl batch changes.txt
      seatctl batch --csv people.csv -- seats assign design {email}
      generate-commands | seatctl batch - --stop-on-error
      seatctl runs failures 41 -o csv | seatctl batch -
    """
    from seatctl.cli.batch_progress import checking, shown
    from seatctl.cli.framework.batch_lines import Lines
    from seatctl.services.runs.batch import Batch, ledger_for, start

    arguments = tuple(words or ())
    if (len(arguments) != 1) if csv is None else not arguments:
        raise UsageError(
            "batch takes one FILE, or --csv FILE and a command after --",
            hint="seatctl batch --csv people.csv -- seats assign design {email}",
        )
    with checking(ctx, Lines(ctx).check) as check:
        lines = lines_of_file(arguments[0], check) if csv is None else lines_of_table(csv, arguments, check)
    with ledger_for(ctx.ledger, ctx.call) as ledger, shown(ctx) as progress:
        options = Batch(Lines(ctx, ledger).do, progress, 1 if stop_on_error else max_failures)
        report = start(ledger, ctx.call, lines, options)
    ctx.emit(report, handle="line")


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
