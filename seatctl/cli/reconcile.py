"""`seatctl reconcile`: whether Stripe, the ledger and the seats agree."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, option

app = Commands()


@app.command()
def reconcile(
    ctx: Context,
    check: Annotated[bool, option("--check", "Exit 7 if a drift remains.")] = False,
    fix: Annotated[bool, option("--fix", "Make the safe repairs: the ledger follows Stripe.")] = False,
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

    ctx.emit(run_reconcile(ctx.ledger, ctx.billing, ctx.call, check=check, fix=fix), handle="name")
