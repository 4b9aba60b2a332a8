"""`seatctl runs resume` and `seatctl runs failures`: batches that did not end well."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import LAST_NUMBER, context
from seatctl.output.columns import columns

BatchArg = Annotated[
    int, typer.Argument(metavar="RUN", help="A batch's number.", show_default=False, max=LAST_NUMBER)
]
StopOpt = Annotated[bool, typer.Option("--stop-on-error", help="Stop at the first line that fails.")]
MaxFailuresOpt = Annotated[
    int | None, typer.Option("--max-failures", metavar="N", min=1, help="Stop when N lines have failed.")
]


def resume(
    typer_ctx: typer.Context,
    number: BatchArg,
    stop_on_error: StopOpt = False,
    max_failures: MaxFailuresOpt = None,
) -> None:
    """Continue a batch that was killed or stopped: run the lines that were not tried yet.

    No line that succeeded is run again. A purchase that was interrupted is finished, never begun a second
    time. Lines that failed are not run again; `runs failures` lists them.

    Examples:
      seatctl runs resume 41
      seatctl runs resume 41 --dry-run
    """
    from seatctl.cli.batch_progress import shown
    from seatctl.cli.framework.batch_lines import Lines
    from seatctl.services.runs import batch

    ctx = context(typer_ctx)
    with batch.ledger_for(ctx.ledger, ctx.call) as ledger, shown(ctx) as progress:
        options = batch.Batch(Lines(ctx, ledger).do, progress, 1 if stop_on_error else max_failures)
        report = batch.resume(ledger, lambda: ctx.billing, ctx.call, number, options)
    ctx.emit(report, handle="line")


def failures(typer_ctx: typer.Context, number: BatchArg) -> None:
    """List the lines of a batch that failed, and why; -o csv can be given to `batch`.

    Examples:
      seatctl runs failures 41
      seatctl runs failures 41 -o csv > again.csv
      seatctl batch again.csv
    """
    from seatctl.ledger.record import batches
    from seatctl.services.runs.batch import require_batch

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        require_batch(reader, number)
        ctx.emit_list(
            batches.failures(reader, number),
            columns("line command code exit_code error", machine="exit_code"),
            handle="line",
            total=lambda: batches.tally(reader, number).failed,
        )
