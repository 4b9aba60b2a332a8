"""`seatctl doctor`: check everything that commands rely on, and name the command that repairs it."""

from __future__ import annotations

import typer

from seatctl.cli.framework.options import context
from seatctl.output.columns import columns

app = typer.Typer()

COLUMNS = columns("check result detail repair")


@app.command("doctor")
def doctor(typer_ctx: typer.Context) -> None:
    """Check configuration, ledger, key and Stripe, and say how to repair problems (exit 7).

    Examples:
      seatctl doctor
      seatctl doctor -p live -o json
    """
    from seatctl.cli.doctor_checks import examine
    from seatctl.errors import ExitCode

    ctx = context(typer_ctx)
    findings = list(examine(ctx))
    ctx.emit_list((finding.as_record() for finding in findings), COLUMNS, handle="check")
    wrong = sum(finding.result == "problem" for finding in findings)
    if wrong:
        ctx.exit_code = ExitCode.NO
    ctx.note(f"{wrong} problem{'' if wrong == 1 else 's'} found" if wrong else "everything is in order")
