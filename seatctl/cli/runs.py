"""`seatctl runs`: what was done, by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.options import context

if TYPE_CHECKING:
    from seatctl.errors import JsonValue
    from seatctl.models.report import Record
    from seatctl.models.run import Change, Run

app = typer.Typer()

NumberArg = Annotated[int, typer.Argument(metavar="RUN", help="A run's number.", show_default=False)]
ActorOpt = Annotated[str | None, typer.Option("--actor", metavar="ACTOR", help="Only what this actor did.")]
StateOpt = Annotated[
    str | None, typer.Option("--state", metavar="STATE", help="Only these: pending, done or failed.")
]


@app.command("list")
def list_runs(ctx: typer.Context, actor: ActorOpt = None, state: StateOpt = None) -> None:
    """List what was done, newest first.

    Examples:
      seatctl runs list
      seatctl runs list --state pending
    """
    from seatctl.errors import UsageError
    from seatctl.ledger import runs
    from seatctl.models.run import RunState
    from seatctl.output import Column

    here = context(ctx)
    if state is not None and state not in list(RunState):
        raise UsageError(f"--state takes {', '.join(RunState)}; not {state!r}", hint="--state pending")
    wanted = None if state is None else RunState(state)
    with here.ledger.reading() as reader:
        here.emit_list(
            map(_record, runs.listing(reader, actor=actor, state=wanted)),
            (
                Column("number", "Run", "integer"),
                Column("started_at", "Started", "time"),
                Column("actor", "Actor"),
                Column("state", "State"),
                Column("summary", "Summary"),
                Column("command", "Command", table=False),
                Column("os_user", "OS user", table=False),
            ),
            handle="number",
            total=lambda: runs.count(reader, actor=actor, state=wanted),
        )


@app.command()
def show(ctx: typer.Context, number: NumberArg) -> None:
    """Show a run: who did what when, and everything it changed, before and after.

    Examples:
      seatctl runs show 41
      seatctl runs show 41 -o json
    """
    from seatctl.ledger import audit, runs
    from seatctl.output import Column, Format

    here = context(ctx)
    with here.ledger.reading() as reader:
        run = runs.find(reader, number)
        changes = audit.changes_of_run(reader, number)
        head = (
            Column("number", "Run", "integer"),
            Column("command", "Command"),
            Column("actor", "Actor"),
            Column("os_user", "OS user"),
            Column("state", "State"),
            Column("started_at", "Started", "time"),
            Column("summary", "Summary"),
        )
        if here.style.format is Format.JSON:
            record: Record = {**_record(run), "changes": [_change(*change, whole=True) for change in changes]}
            here.emit_one(record, head, handle="number")
            return
        if here.style.format is Format.TABLE or here.style.quiet:
            here.emit_one(_record(run), head, handle="number")
        if not here.style.quiet:
            here.emit_list(
                (_change(*change, whole=here.style.format is Format.JSONL) for change in changes),
                (
                    Column("entry", "Entry", "integer", table=False),
                    Column("entity", "Changed"),
                    Column("entity_id", "Id", "integer", table=False),
                    Column("subject", "What"),
                    Column("before", "Before"),
                    Column("after", "After"),
                ),
                handle="entity_id",
                total=lambda: audit.count_changes(reader, number),
            )


def _record(run: Run) -> Record:
    from seatctl.models.call import format_time

    return {
        "number": run.number,
        "started_at": format_time(run.started_at),
        "actor": run.actor,
        "os_user": run.os_user,
        "state": run.state.value,
        "summary": run.summary,
        "command": run.command,
    }


def _change(subject: str | None, change: Change, *, whole: bool) -> dict[str, JsonValue]:
    """A change row; with `whole` its contents are objects, else JSON text for a cell."""
    import json

    from seatctl.models.call import format_time

    before, after = change.before, change.after
    return {
        "entry": change.entry,
        "entity": change.entity,
        "entity_id": change.entity_id,
        "subject": subject,
        "before": json.loads(before) if whole and before else before,
        "after": json.loads(after) if whole and after else after,
        "erased_at": None if change.erased_at is None else format_time(change.erased_at),
    }
