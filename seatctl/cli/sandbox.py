"""`seatctl sandbox`: look at the embedded Stripe, move its clock, break its answers, serve it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli import sandbox_actors
from seatctl.cli.framework.options import context
from seatctl.cli.sandbox_session import opened, sandbox_path
from seatctl.errors import BadInput
from seatctl.models.report import change_report
from seatctl.output.columns import columns

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.errors import JsonValue
    from seatctl.sandbox.api.control import Fault

app = typer.Typer()

FAULTS = {
    "429": "too many requests",
    "500": "an error inside Stripe",
    "timeout": "no answer, and nothing done",
    "lost": "done, but the answer is lost",
}


@app.command("status")
def status(typer_ctx: typer.Context) -> None:
    """Show the sandbox's clock, what it holds and which faults are armed.

    Examples:
      seatctl sandbox status
      seatctl sandbox status -o json
    """
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    with opened(ctx) as twin:
        found = control.status(twin)
    record: dict[str, JsonValue] = {
        "file": str(ctx.settings.sandbox_path(ctx.profile)),
        "now": _time(found.now),
        "frozen": found.frozen,
        "next_due": None if found.next_due is None else _time(found.next_due),
        "objects": sum(found.counts.values()),
        "armed": sum(fault.remaining for fault in found.faults),
        "counts": dict(found.counts),
        "faults": [_fault(fault) for fault in found.faults],
    }
    ctx.emit_one(record, columns("file now frozen next_due objects armed"), handle="file")


@app.command("reset")
def reset(
    typer_ctx: typer.Context,
    keep_ledger: Annotated[
        bool,
        typer.Option("--keep-ledger", help="Empty the Stripe side only; the ledger will disagree with it."),
    ] = False,
) -> None:
    """Begin anew: empty the sandbox and its ledger. Asks first.

    Examples:
      seatctl sandbox reset --yes
    """
    ctx = context(typer_ctx)
    profile = ctx.profile
    objects = _objects(ctx)
    what = "the sandbox" if keep_ledger else f"the sandbox and the ledger {ctx.ledger_path(profile)}"
    if not ctx.options.dry_run:
        ctx.confirm(f"Empty {what} of profile {profile.name}?")
        _empty(ctx)
    if not (keep_ledger or ctx.options.dry_run):
        from seatctl.cli.init_steps import recreate_ledger

        recreate_ledger(ctx)
    row: dict[str, JsonValue] = {"profile": profile.name, "objects": objects, "ledger": not keep_ledger}
    many = "what was left" if objects is None else f"{objects} objects"
    ctx.emit(
        change_report(f"emptied {what}: {many}", [{**row, "result": "emptied"}], dry_run=ctx.options.dry_run)
    )


@app.command("advance")
def advance(
    typer_ctx: typer.Context,
    when: Annotated[
        str, typer.Argument(metavar="WHEN", help="A span (12h, 40d, 2w) or a UTC time.", show_default=False)
    ],
) -> None:
    """Move the sandbox's clock forward; what falls due on the way happens.

    Examples:
      seatctl sandbox advance 40d
      seatctl sandbox advance 2027-01-31
    """
    from collections import Counter

    from seatctl.models.call import from_epoch
    from seatctl.rules.dates import moment_after
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    events: tuple[str, ...] = ()
    with opened(ctx) as twin:
        before = twin.now()
        target = int(moment_after(when, from_epoch(before)).timestamp())
        if target < before:
            raise BadInput(
                f"the clock only moves forward, and it is {_time(before)}",
                hint="give a span of time, or a later time",
            )
        if not ctx.options.dry_run:
            events = control.advance(twin, to=target).events
    moved = f"from {_time(before)} to {_time(target)}"
    ctx.emit(
        change_report(
            f"moved the clock {moved}",
            [{"event": name, "count": count} for name, count in Counter(events).items()],
            ("event", "count"),
            dry_run=ctx.options.dry_run,
            data={"before": _time(before), "now": _time(before if ctx.options.dry_run else target)},
        )
    )
    if events:
        ctx.note("to bring the ledger up to date: seatctl sync")


@app.command("fail")
def fail(
    typer_ctx: typer.Context,
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND", help="429, 500, timeout or lost.", autocompletion=lambda: list(FAULTS)
        ),
    ],
    times: Annotated[int, typer.Option("--times", metavar="N", min=1, help="For how many calls.")] = 1,
    method: Annotated[
        str | None, typer.Option("--method", metavar="METHOD", help="Only GET, POST or DELETE calls.")
    ] = None,
    path: Annotated[
        str | None,
        typer.Option("--path", metavar="PATH", help="Only paths that begin so, such as /v1/customers."),
    ] = None,
    retry_after: Annotated[
        int | None, typer.Option("--retry-after", metavar="SECONDS", min=0, help="The header of a 429.")
    ] = None,
) -> None:
    """Arm a fault: the next calls to the sandbox fail in this way.

    429 is too many requests, 500 an error inside Stripe, timeout gives no answer and does nothing, lost
    does the work and loses the answer.

    Examples:
      seatctl sandbox fail 429 --times 2 --retry-after 1
      seatctl sandbox fail lost --path /v1/subscriptions --method POST
    """
    from seatctl.sandbox.api import control

    ctx = context(typer_ctx)
    if kind not in FAULTS:
        raise BadInput(
            f"{kind!r} is not a fault",
            hint=f"one of {', '.join(FAULTS)}: seatctl sandbox fail {next(iter(FAULTS))}",
        )
    if method and method.upper() not in {"GET", "POST", "DELETE"}:
        raise BadInput(f"{method!r} is not a method that Stripe has", hint="GET, POST or DELETE")
    with opened(ctx) as twin:
        if ctx.options.dry_run:
            armed = control.Fault(control.FaultKind(kind), times, method, path, retry_after)
        else:
            armed = control.fail(twin, kind, times, method, path, retry_after)
    calls = f"the next {times} calls" if times > 1 else "the next call"
    ctx.emit(
        change_report(
            f"armed a fault for {calls}: {FAULTS[kind]}", [_fault(armed)], dry_run=ctx.options.dry_run
        )
    )


app.command("complete")(sandbox_actors.complete)
app.command("authenticate")(sandbox_actors.authenticate)
app.command("retries")(sandbox_actors.retries)


@app.command("serve")
def serve(
    typer_ctx: typer.Context,
    port: Annotated[
        int, typer.Option("--port", metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = 0,
    empty: Annotated[bool, typer.Option("--empty", help="A new, empty sandbox that is thrown away.")] = False,
    seconds: Annotated[
        int | None, typer.Option("--for", metavar="SECONDS", min=1, help="Stop by itself; else on Ctrl-C.")
    ] = None,
) -> None:
    """Serve the sandbox on a port of 127.0.0.1 to anything that speaks Stripe's API.

    The first line printed is the base URL. Any key that begins with sk_test_ is accepted; the request
    header Sandbox-Time sets the clock, in epoch seconds.

    Examples:
      seatctl sandbox serve --port 12111
      seatctl sandbox serve --empty --for 600
      curl -u sk_test_x: http://127.0.0.1:12111/v1/products
    """
    from seatctl.cli.sandbox_server import serve_until_stopped

    ctx = context(typer_ctx)
    serve_until_stopped(None if empty else sandbox_path(ctx), port=port, seconds=seconds)


def _objects(ctx: Context) -> int | None:
    """How many objects a reset would delete; None if the file is damaged, which a reset repairs."""
    from seatctl.app.connections import SandboxUnusable
    from seatctl.sandbox.api import control

    try:
        with opened(ctx) as twin:
            return sum(control.status(twin).counts.values())
    except SandboxUnusable:
        return None


def _empty(ctx: Context) -> None:
    """Empty the sandbox in place, so that who has it open sees it; a damaged file makes way for a new one."""
    from seatctl.app.connections import SandboxUnusable
    from seatctl.sandbox.api import control

    try:
        with opened(ctx) as twin:
            control.reset(twin)
    except SandboxUnusable:
        path = sandbox_path(ctx)
        for end in ("", "-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        with opened(ctx):
            return


def _time(seconds: int) -> str:
    from seatctl.models.call import format_time, from_epoch

    return format_time(from_epoch(seconds))


def _fault(fault: Fault) -> dict[str, JsonValue]:
    return {
        "fault": fault.kind.value,
        "calls": fault.remaining,
        "method": fault.method,
        "path": fault.path,
        "retry_after": fault.retry_after,
    }
