"""`seatctl batch`: many commands in one process, each with its own transaction and result."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

app = typer.Typer()

WordsArg = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="FILE|-", help="One command per line; with --csv: the command, after --.", show_default=False
    ),
]
CsvOpt = Annotated[
    str | None,
    typer.Option("--csv", metavar="FILE|-", help="Run the command after -- once per row of this table."),
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
    from seatctl.cli.batch_files import lines_of_file, lines_of_table
    from seatctl.cli.batch_progress import checking, shown
    from seatctl.cli.framework.batch_lines import Lines
    from seatctl.errors import UsageError
    from seatctl.services.runs.batch import Batch, ledger_for, start

    ctx = context(typer_ctx)
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
