"""`seatctl ledger`: the file in which everything is kept."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import context
from seatctl.cli.ledger_backup import backup, export, restore

app = typer.Typer()
for _verb in (backup, restore, export):
    app.command()(_verb)


@app.command()
def path(typer_ctx: typer.Context) -> None:
    """Print where the ledger is.

    Examples:
      seatctl ledger path
    """
    from seatctl.output.style import Column

    ctx = context(typer_ctx)
    where = ctx.ledger.path
    record = {"path": str(where), "ledger_id": ctx.ledger.id, "mode": ctx.ledger.mode}
    columns = (
        Column("path", "Path"),
        Column("ledger_id", "Id", table=False),
        Column("mode", "Mode", table=False),
    )
    if ctx.format is None:
        typer.echo(where)
    else:
        ctx.emit_one(record, columns, handle="path")


@app.command()
def check(typer_ctx: typer.Context) -> None:
    """Check the ledger: the file, its references, the seat counters, the audit; exit 7 if anything is wrong.

    Examples:
      seatctl ledger check
      seatctl ledger check -o json
    """
    from contextlib import closing

    from seatctl.errors import ExitCode
    from seatctl.ledger import check as checking
    from seatctl.ledger.ledger import open_ledger
    from seatctl.output.style import Column

    ctx = context(typer_ctx)
    # Not as other commands open it: they ask the ledger for its mode, which a damaged one may not know.
    with closing(open_ledger(ctx.ledger_path(ctx.profile))) as ledger:
        found = list(checking.problems(ledger))
        over = [] if found else checking.over_assigned(ledger)
        shared = [] if found else checking.shared_addresses(ledger)
    bad = {name for name, _, _ in found}
    rows = [{"check": name, "ok": True, "subject": None, "detail": None} for name in checking.check_names()]
    rows = [row for row in rows if row["check"] not in bad]
    rows += [{"check": name, "ok": False, "subject": what, "detail": why} for name, what, why in found]
    ctx.emit_list(
        rows,
        (
            Column("check", "Check"),
            Column("ok", "OK", "flag"),
            Column("subject", "Subject"),
            Column("detail", "Detail"),
        ),
        handle="check",
    )
    for sentence in over:
        ctx.note(f"over-assigned: {sentence}")
    for sentence in shared:
        ctx.note(f"e-mail: {sentence}")
    if found:
        counted = "1 problem" if len(found) == 1 else f"{len(found)} problems"
        where = ctx.ledger_path(ctx.profile)
        ctx.note(f"{counted} found in {where}; seatctl ledger restore FILE puts a backup in its place")
        ctx.exit_code = ExitCode.NO


@app.command()
def adopt(
    typer_ctx: typer.Context,
    subscription: Annotated[
        list[str] | None,
        typer.Argument(metavar="[SUBSCRIPTION]...", help="Only these; else all.", show_default=False),
    ] = None,
) -> None:
    """Make this ledger the home of subscriptions that another ledger keeps, or none.

    A subscription has one home, whose seats count. Its id is written to Stripe; the ledger that was the
    home before can then only read.

    Examples:
      seatctl ledger adopt
      seatctl ledger adopt design sales --yes
      seatctl ledger adopt --dry-run
    """
    from seatctl.rules.plural import counted
    from seatctl.services.sync.adopt import adopt as run_adopt
    from seatctl.services.sync.adopt import adoptable

    ctx = context(typer_ctx)
    names = subscription or []
    if ctx.asks:
        with ctx.ledger.reading() as reader:
            subscriptions = adoptable(reader, ctx.call, ctx.ledger.id, names)
        homes = {pool.home_ledger for pool in subscriptions if pool.home_ledger}
        if subscriptions:
            lose = f"; {', '.join(sorted(homes))} can then only read" if homes else ""
            ctx.confirm(f"Make this ledger the home of {counted(len(subscriptions), 'subscription')}{lose}?")
    ctx.emit(run_adopt(ctx.ledger, ctx.billing, ctx.call, names), handle="name")
