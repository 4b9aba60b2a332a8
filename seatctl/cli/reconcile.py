"""`seatctl reconcile`: whether Stripe, the ledger and the seats agree."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context

app = typer.Typer()


@app.command()
def reconcile(
    typer_ctx: typer.Context,
    check: Annotated[bool, typer.Option("--check", help="Exit 7 if a drift remains.")] = False,
    fix: Annotated[
        bool, typer.Option("--fix", help="Make the safe repairs: the ledger follows Stripe.")
    ] = False,
) -> None:
    """Compare the seats paid for in Stripe, the ledger's capacity, and the seats assigned.

    Each drift comes with the command that repairs it. --fix takes no seat from anybody and buys nothing;
    if more seats are assigned than paid for, the row says who was assigned last. Exit 7 if an object in
    Stripe could not be read.

    Examples:
      seatctl reconcile
      seatctl reconcile --check -o json
      seatctl reconcile --fix
    """
    from seatctl.services.sync.reconcile import reconcile as run_reconcile

    ctx = context(typer_ctx)
    ctx.emit(run_reconcile(ctx.ledger, ctx.billing, ctx.call, check=check, fix=fix), handle="name")
