"""`seatctl sync`: bring the ledger and Stripe to agree."""

from __future__ import annotations

import typer

from seatctl.cli.options import context

app = typer.Typer()


@app.command()
def sync(ctx: typer.Context) -> None:
    """Finish or undo what was interrupted.

    Purchases that were killed, or whose answer was lost, are finished if Stripe has them or they are
    young, and taken back if they are older than 23 hours. Nothing is charged twice.

    Examples:
      seatctl sync
      seatctl sync --dry-run
    """
    from seatctl.services.syncing import sync as run_sync

    here = context(ctx)
    here.emit(run_sync(here.ledger, here.billing, here.call), handle="run")
