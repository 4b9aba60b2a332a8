"""`seatctl batch`: many commands in one process, each with its own transaction and result."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

app = typer.Typer()

WordsArg = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|-", help="One command a line; with --csv, after --, the command.", show_default=False
    ),
]
CsvOpt = Annotated[
    str | None, typer.Option("--csv", metavar="FILE|-", help="Run the command after -- once for every row.")
]
StopOpt = Annotated[bool, typer.Option("--stop-on-error", help="Stop at the first line that fails.")]
MaxFailuresOpt = Annotated[
    int | None, typer.Option("--max-failures", metavar="N", min=1, help="Stop when N lines have failed.")
]


@app.command()
def batch(
    typer_ctx: typer.Context,
    words: WordsArg = None,
    csv: CsvOpt = None,
    stop_on_error: StopOpt = False,
    max_failures: MaxFailuresOpt = None,
) -> None:
    """Run many commands in one process.

    FILE holds one command a line; with --csv the command after -- is run once for every row of a table, and
    {column} in it stands for the row's value, inside of one word.

    A line is split into words as a shell does it, but no shell is run; empty lines and # comments are
    left out. Every line is checked before the first is run (exit 3), each is a transaction of its own, and
    all are one run: killed, `runs resume` goes on where it stopped, and no line is done twice. Some lines
    failed: exit 6. --dry-run does the lines in a copy of the ledger, so that each sees what those before
    it did; what Stripe would be asked for is a dry run.

    Examples:
      seatctl batch changes.txt
      seatctl batch --csv people.csv -- seats assign design {email}
      generate-commands | seatctl batch - --stop-on-error
      seatctl runs failures 41 -o csv | seatctl batch -
    """
    from seatctl.cli.batch_files import lines_of_file, lines_of_table
    from seatctl.cli.batch_progress import checking, shown
    from seatctl.cli.framework.batch_lines import Lines
    from seatctl.errors import UsageError
    from seatctl.services.runs.batch import Batch, rehearsing, start

    ctx = context(typer_ctx)
    given = tuple(words or ())
    if (len(given) != 1) if csv is None else not given:
        raise UsageError(
            "batch takes one FILE, or --csv FILE and a command after --",
            hint="seatctl batch --csv people.csv -- seats assign design {email}",
        )
    with checking(ctx, Lines(ctx).check) as check:
        lines = lines_of_file(given[0], check) if csv is None else lines_of_table(csv, given, check)
    with rehearsing(ctx.ledger, ctx.call) as ledger, shown(ctx) as progress:
        how = Batch(Lines(ctx, ledger).do, progress, 1 if stop_on_error else max_failures)
        report = start(ledger, ctx.call, lines, how)
    ctx.emit(report, handle="line")
