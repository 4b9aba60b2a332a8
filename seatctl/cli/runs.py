"""`seatctl runs`: what was done, by run number; undoing a run, and continuing a batch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import LAST_NUMBER, Commands, MaxFailuresOpt, StopOpt, argument, option
from seatctl.errors import JsonValue
from seatctl.models.report import Record, record_of
from seatctl.models.run import RunState
from seatctl.output.style import Format, columns

if TYPE_CHECKING:
    from seatctl.models.operation import Step
    from seatctl.models.run import Change, Run


app = Commands()

STEP_COLUMNS = columns("step attempt call sent_at answered_at refused")
CHANGE_COLUMNS = columns("entry entity entity_id subject before after", titles={"subject": "What"})
TABLE_CHANGES = columns("entity subject differences", titles={"subject": "What"})
NumberArg = Annotated[int, argument("RUN", "A run's number.", max=LAST_NUMBER)]
ActorOpt = Annotated[str | None, option("--actor ACTOR", "Only runs of this actor.")]
StateOpt = Annotated[
    RunState | None, option("--state STATE", "Only runs in this state: pending, done or failed.")
]


@app.command("list")
def list_runs(ctx: Context, actor: ActorOpt = None, state: StateOpt = None) -> None:
    """List runs, newest first.

    Examples:
      seatctl runs list
      seatctl runs list --state pending
    """
    from seatctl.ledger.record import runs

    with ctx.ledger.reading() as reader:
        ctx.emit_list(
            map(_record, runs.listing(reader, actor=actor, state=state)),
            columns(
                "number started_at actor state summary command os_user",
                machine="command os_user",
                titles={"number": "Run"},
            ),
            handle="number",
            total=lambda: runs.count(reader, actor=actor, state=state),
        )


@app.command()
def show(ctx: Context, number: NumberArg) -> None:
    """Show a run: who ran which command when, every change, and every call to Stripe.

    Examples:
      seatctl runs show 41
      seatctl runs show 41 -o json
    """
    from seatctl.ledger import operations
    from seatctl.ledger.record import audit, runs

    with ctx.ledger.reading() as reader:
        run = runs.find(reader, number)
        changes = audit.changes_of_run(reader, number)
        operation = operations.of_run(reader, number)
        steps = [_step(one) for one in operations.steps(reader, operation.id)] if operation else []
        shown = columns("number command actor os_user state started_at summary", titles={"number": "Run"})
        if ctx.style.format is Format.JSON:
            record: Record = {
                **_record(run),
                "changes": [_change(*change, whole=True) for change in changes],
                "steps": [*steps],
            }
            ctx.emit_one(record, shown, handle="number")
            return
        table = ctx.style.format is Format.TABLE
        if table or ctx.style.quiet:
            ctx.emit_one(_record(run), shown, handle="number")
        if ctx.style.quiet:
            return
        # A run may have only calls to Stripe, or not even those.
        lists_changes = not (steps or table) or audit.count_changes(reader, number) > 0
        if lists_changes:
            if table:
                ctx.emit_text("")
            whole = ctx.style.format is Format.JSONL
            ctx.emit_list(
                (_change_for_people(*one) if table else _change(*one, whole=whole) for one in changes),
                TABLE_CHANGES if table else CHANGE_COLUMNS,
                handle="entity_id",
                total=lambda: audit.count_changes(reader, number),
            )
        if steps and (table or not lists_changes):
            if table:
                ctx.emit_text("")
            ctx.emit_list(iter(steps), STEP_COLUMNS, handle="step")


@app.command()
def undo(ctx: Context, number: NumberArg) -> None:
    """Undo a run: people, seats, requests and roles become what they were before it.

    Seats that the run took away are assigned again, if seats are free. The undo is refused if a later run
    changed the same things. A run that waits for an authentication, or was interrupted, is abandoned:
    nothing is charged for it. If it can be neither undone nor finished, it is given up, and the message
    says what Stripe still has of it. A purchase or another change in Stripe is not undone; the message
    names the command that reverses it, if there is one.

    Examples:
      seatctl runs undo 41
      seatctl runs undo 41 --dry-run
    """
    from seatctl.services.runs.undo import undo_run

    report = undo_run(ctx.ledger, lambda: ctx.billing, ctx.call, number)
    ctx.emit(report, handle="subject" if "subject" in report.columns else None)


def _record(run: Run) -> Record:
    return record_of(run, "number started_at actor os_user state summary command")


def _step(step: Step) -> dict[str, JsonValue]:
    """A call to Stripe: when it was sent and answered, and why it was refused or its answer unusable."""
    answer = step.answer or {}
    refused = answer.get("error") or answer.get("unusable")
    return {
        "step": step.name,
        "attempt": step.attempt,
        "call": f"{str(step.form.get('method')).upper()} {step.form.get('path')}",
        **record_of(step, "sent_at answered_at"),
        "refused": str(refused.get("message")) if isinstance(refused, dict) else None,
    }


def _change(subject: str | None, change: Change, *, whole: bool) -> dict[str, JsonValue]:
    """A change row; with `whole`, before and after are objects, else JSON text for a cell."""
    import json

    before, after = (json.loads(text) if whole and text else text for text in (change.before, change.after))
    return {
        **record_of(change, "entry entity entity_id"),
        "subject": subject,
        "before": before,
        "after": after,
        **record_of(change, "erased_at"),
    }


def _change_for_people(subject: str | None, change: Change) -> dict[str, JsonValue]:
    """A change row for people: the fields that differ."""
    from seatctl.rules.run_changes import differences

    record = _change(subject, change, whole=True)
    return {**record, "differences": [*differences(record["before"], record["after"])]}


BatchArg = Annotated[int, argument("RUN", "A batch's number.", max=LAST_NUMBER)]


@app.command()
def resume(
    ctx: Context,
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

    with batch.ledger_for(ctx.ledger, ctx.call) as ledger, shown(ctx) as progress:
        options = batch.Batch(Lines(ctx, ledger).do, progress, 1 if stop_on_error else max_failures)
        report = batch.resume(ledger, lambda: ctx.billing, ctx.call, number, options)
    ctx.emit(report, handle="line")


@app.command()
def failures(ctx: Context, number: BatchArg) -> None:
    """List the lines of a batch that failed, and why; -o csv can be given to `batch`.

    Examples:
      seatctl runs failures 41
      seatctl runs failures 41 -o csv > again.csv
      seatctl batch again.csv
    """
    from seatctl.ledger.record import batches
    from seatctl.services.runs.batch import require_batch

    with ctx.ledger.reading() as reader:
        require_batch(reader, number)
        ctx.emit_list(
            batches.failures(reader, number),
            columns("line command code exit_code error", machine="exit_code"),
            handle="line",
            total=lambda: batches.tally(reader, number).failed,
        )
