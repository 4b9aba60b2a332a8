"""`seatctl sandbox`: look at the embedded Stripe, move its clock, break its answers, serve it."""

from __future__ import annotations

import re
import signal
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from threading import Thread, Timer
from typing import TYPE_CHECKING, Annotated

from seatctl.app.connections import SandboxUnusable, sandbox_file
from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, argument, option
from seatctl.config.settings import Mode
from seatctl.errors import BadInput, Code, JsonValue, refuse
from seatctl.models.plan import TaxBehavior
from seatctl.models.report import change_report
from seatctl.output.emit import note, write_text
from seatctl.output.style import columns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from seatctl.sandbox.api.control import Fault
    from seatctl.sandbox.api.twin import Twin

app = Commands()

FAULTS = {
    "429": "too many requests",
    "lock_timeout": "another request is changing the object",
    "500": "an error inside Stripe",
    "timeout": "no answer, and nothing done",
    "lost": "done, but the answer is lost",
}
OUTCOMES = ("cancel", "unpaid", "past_due")
_SYNC = "to bring the ledger up to date: seatctl sync"


def sandbox_path(ctx: Context) -> Path:
    """The sandbox's file. Raises `not_a_sandbox` for a test or live profile."""
    profile = ctx.profile
    if profile.mode is not Mode.SANDBOX:
        raise refuse(
            Code.NOT_A_SANDBOX,
            f"profile {profile.name} is in {profile.mode} mode and has no sandbox",
            hint="-p PROFILE picks another; for the mode of each: seatctl config profiles",
            data={"profile": profile.name, "mode": profile.mode.value},
        )
    if not isinstance(ctx.sandbox_place, Path):
        raise refuse(
            Code.NOT_A_SANDBOX,
            f"the sandbox is served at {ctx.sandbox_place}, and is not a file of this machine",
            hint="run the same command on the machine that serves it",
            data={"profile": profile.name, "mode": profile.mode.value},
        )
    return ctx.sandbox_place


@contextmanager
def opened(ctx: Context) -> Iterator[Twin]:
    """The sandbox of the profile, closed afterwards. Raises `not_a_sandbox`, SandboxUnusable."""
    from seatctl.sandbox.api.twin import Twin

    path = sandbox_path(ctx)
    with sandbox_file(path), closing(Twin(path)) as twin:
        yield twin


@app.command("status")
def status(ctx: Context) -> None:
    """Show the sandbox's clock, what it holds and which faults are armed.

    Examples:
      seatctl sandbox status
      seatctl sandbox status -o json
    """
    from seatctl.sandbox.api import control

    with opened(ctx) as twin:
        found = control.status(twin)
    record: dict[str, JsonValue] = {
        "file": str(ctx.sandbox_place),
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
    ctx: Context,
    keep_ledger: Annotated[
        bool, option("--keep-ledger", "Empty the Stripe side only; the ledger will disagree with it.")
    ] = False,
) -> None:
    """Start again: empty the sandbox and its ledger. Asks first.

    Examples:
      seatctl sandbox reset --yes
    """
    profile = ctx.profile
    sandbox_path(ctx)
    place = ctx.ledger_place(profile)
    if not (keep_ledger or isinstance(place, Path)):  # others use it, too
        raise refuse(
            Code.SERVER_LEDGER,
            f"the ledger {place} is on a server, and is not emptied with the sandbox",
            hint="seatctl sandbox reset --keep-ledger",
        )
    objects = _objects(ctx)
    what = "the sandbox" if keep_ledger else f"the sandbox and the ledger {place}"
    if not ctx.options.dry_run:
        ctx.confirm(f"Empty {what} of profile {profile.name}?")
        _empty(ctx)
    if isinstance(place, Path) and not (keep_ledger or ctx.options.dry_run):
        from seatctl.cli.init import recreate_ledger

        recreate_ledger(ctx, place)
    row: dict[str, JsonValue] = {"profile": profile.name, "objects": objects, "ledger": not keep_ledger}
    many = "what was left" if objects is None else f"{objects} objects"
    _report(ctx, f"emptied {what}: {many}", {**row, "result": "emptied"}, sync=False)


@app.command("advance")
def advance(
    ctx: Context,
    when: Annotated[str, argument("WHEN", "A span (12h, 40d, 2w) or a UTC time.")],
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
        ctx.note(_SYNC)


@app.command("fail")
def fail(
    ctx: Context,
    kind: Annotated[str, argument("KIND", "429, lock_timeout, 500, timeout or lost.", words=FAULTS)],
    times: Annotated[int, option("--times N", "For how many calls.", min=1)] = 1,
    method: Annotated[str | None, option("--method METHOD", "Only GET, POST or DELETE calls.")] = None,
    path: Annotated[
        str | None, option("--path PATH", "Only paths that begin so, such as /v1/customers.")
    ] = None,
    retry_after: Annotated[
        int | None, option("--retry-after SECONDS", "The header of a 429 or lock_timeout.", min=0)
    ] = None,
) -> None:
    """Arm a fault: the next calls to the sandbox fail in this way.

    429 is too many requests, lock_timeout a 429 because another request is changing the object, 500 an error
    inside Stripe, timeout gives no answer and does nothing, lost does the work and loses the answer.

    Examples:
      seatctl sandbox fail 429 --times 2 --retry-after 1
      seatctl sandbox fail lost --path /v1/subscriptions --method POST
    """
    from seatctl.sandbox.api import control

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
    _report(ctx, f"armed a fault for {calls}: {FAULTS[kind]}", _fault(armed), sync=False)


@app.command("complete")
def complete(
    ctx: Context,
    session: Annotated[str, argument("SESSION", "The Checkout page's address or id.")],
    card: Annotated[
        str, option("--card CARD", "A test card, or none if the page needs none.")
    ] = "pm_card_visa",
    address: Annotated[
        list[str] | None,
        option("--address PART=VALUE", "A part of the address; by default Bonn in Germany."),
    ] = None,
    tax_id: Annotated[str | None, option("--tax-id TYPE:VALUE", "A tax id, if the page asks for it.")] = None,
) -> None:
    """Fill in a Checkout page as its customer would; a bank that asks for authentication gets it.

    The page asks for an address and a tax id if Stripe computes the tax.

    Examples:
      seatctl sandbox complete cs_test_a1B2
      seatctl sandbox complete cs_test_a1B2 --card pm_card_chargeDeclined
      seatctl sandbox complete cs_test_a1B2 --address country=US --address postal_code=10001
    """
    from seatctl.rules.billing_details import read_address, read_tax_ids
    from seatctl.rules.typed_json import dump
    from seatctl.sandbox.api import control

    place = dict(read_address(address or [])) or None
    tax_ids = read_tax_ids([tax_id] if tax_id else [])

    identifier = session.rstrip("/").rpartition("/")[2].partition("#")[0]
    status = "open"
    with opened(ctx) as twin, _refusals():
        if not ctx.options.dry_run:
            given = dump(tax_ids[0]) if tax_ids else None
            status = control.complete_checkout(twin, identifier, card, place, given)
    _report(ctx, f"completed the page {identifier} with {card}", {"session": identifier, "status": status})


@app.command("authenticate")
def authenticate(
    ctx: Context,
    invoice: Annotated[
        str | None, argument("INVOICE", "Its id, number or page; left out: the one that waits.")
    ] = None,
    fail: Annotated[bool, option("--fail", "The customer fails or refuses to answer.")] = False,
) -> None:
    """Answer a bank's question about an open invoice as the cardholder would: it is paid, or stays open.

    Examples:
      seatctl sandbox authenticate
      seatctl sandbox authenticate in_1AbC --fail
    """
    from seatctl.sandbox.api import control

    with opened(ctx) as twin, _refusals():
        identifier = _the_one(control.open_invoices(twin), invoice)
        status = "open" if ctx.options.dry_run else control.authenticate(twin, identifier, succeeds=not fail)
    done = "failed authentication" if fail else "authenticated the payment"
    _report(ctx, f"{done} of {identifier} as its cardholder", {"invoice": identifier, "status": status})


@app.command("retries")
def retries(
    ctx: Context,
    outcome: Annotated[str, argument("OUTCOME", "cancel, unpaid or past_due.", words=OUTCOMES)],
) -> None:
    """Set what becomes of a subscription when the last retry of a failed renewal fails too.

    Examples:
      seatctl sandbox retries past_due
    """
    from seatctl.sandbox.api import control

    if outcome not in OUTCOMES:
        raise BadInput(f"{outcome!r} is not an outcome", hint=f"seatctl sandbox retries {OUTCOMES[0]}")
    with opened(ctx) as twin:
        if not ctx.options.dry_run:
            control.after_retries(twin, outcome)
    _report(ctx, f"set the end of the last retry to {outcome}", {"after_retries": outcome}, sync=False)


@app.command("tax")
def tax(
    ctx: Context,
    rate: Annotated[str, argument("RATE", "The rate in percent, such as 19 or 7.25; 0 for none.")],
    default: Annotated[
        TaxBehavior | None,
        option("--default", "Whether a price without a tax behavior includes the tax; without it, none may."),
    ] = None,
) -> None:
    """Set the rate of Stripe's automatic tax in the sandbox. Without it, the tax is 0.

    It applies to every customer whose address is known, in all countries. To ask for the tax, set
    stripe.automatic_tax.

    Examples:
      seatctl sandbox tax 19
      seatctl sandbox tax 8.1 --default inclusive
      seatctl sandbox tax 0
    """
    from fractions import Fraction

    from seatctl.sandbox.api import control

    text = rate.strip().removesuffix("%")
    if not re.fullmatch(r"\d{1,2}(\.\d{1,4})?", text):
        raise BadInput(f"{rate!r} is not a rate", hint="in percent: seatctl sandbox tax 7.25")
    behavior = "unspecified" if default is None else default.value
    with opened(ctx) as twin:
        if not ctx.options.dry_run:
            control.set_tax(twin, Fraction(text) / 100, behavior)
    row: dict[str, JsonValue] = {"rate": text, "default_behavior": behavior}
    _report(ctx, f"set the tax to {text} %", row, sync=False)


@app.command("serve")
def serve(
    ctx: Context,
    port: Annotated[int, option("--port N", "0 takes a free one.", min=0, max=65535)] = 0,
    empty: Annotated[bool, option("--empty", "A new, empty sandbox that is thrown away.")] = False,
    seconds: Annotated[int | None, option("--for SECONDS", "Stop by itself; else on Ctrl-C.", min=1)] = None,
) -> None:
    """Serve the sandbox on a port of 127.0.0.1 to anything that speaks Stripe's API.

    The first line printed is the base URL. Any key that begins with sk_test_ is accepted; the request
    header Sandbox-Time sets the clock, in epoch seconds.

    Examples:
      seatctl sandbox serve --port 12111
      seatctl sandbox serve --empty --for 600
      curl -u sk_test_x: http://127.0.0.1:12111/v1/products
    """
    serve_until_stopped(None if empty else sandbox_path(ctx), port=port, seconds=seconds)


def _objects(ctx: Context) -> int | None:
    """How many objects a reset would delete; None if the file is damaged, which a reset repairs."""
    from seatctl.sandbox.api import control

    try:
        with opened(ctx) as twin:
            return sum(control.status(twin).counts.values())
    except SandboxUnusable:
        return None


def _empty(ctx: Context) -> None:
    """Empty the sandbox in place, so that who has it open sees it; a damaged file makes way for a new one."""
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


def _the_one(waiting: dict[str, tuple[str, ...]], wanted: str | None) -> str:
    """The invoice meant: by id, number or address, or the only open one."""
    if wanted is not None:
        for identifier, names in waiting.items():
            if wanted in (identifier, *names):
                return identifier
        raise refuse(
            Code.NOTHING_WAITS,
            f"{wanted} is not an open invoice of this sandbox",
            hint="seatctl invoices list",
        )
    if not waiting:
        raise refuse(Code.NOTHING_WAITS, "no invoice is open", hint="seatctl invoices list")
    if len(waiting) > 1:
        raise BadInput(
            f"{len(waiting)} invoices are open", hint=f"seatctl sandbox authenticate {next(iter(waiting))}"
        )
    return next(iter(waiting))


@contextmanager
def _refusals() -> Iterator[None]:
    """The sandbox's refusals as the program's."""
    from seatctl.sandbox.errors import ApiError

    try:
        yield
    except ApiError as error:
        kinds = {402: Code.CARD_DECLINED, 404: Code.NOT_FOUND}
        raise refuse(
            kinds.get(error.status, Code.BAD_INPUT), error.message, data={"stripe_code": error.code}
        ) from None
    except ValueError as error:
        raise refuse(Code.NOTHING_WAITS, str(error), hint="seatctl invoices list") from None


def _report(ctx: Context, sentence: str, row: dict[str, JsonValue], *, sync: bool = True) -> None:
    """`sentence` begins with a participle, so that "would have" can precede it."""
    dry = ctx.options.dry_run
    ctx.emit(change_report(sentence, [row], dry_run=dry))
    if sync and not dry:
        ctx.note(_SYNC)


def serve_until_stopped(path: Path | None, *, port: int, seconds: int | None) -> None:
    """Serve the file, or an empty one that is thrown away; the base URL is the first line on stdout.

    Raises `port_taken`.
    """
    import sys
    from tempfile import TemporaryDirectory

    from seatctl.sandbox.api.server import SandboxServer

    with ExitStack() as stack:
        if path is None:
            path = Path(stack.enter_context(TemporaryDirectory(prefix="seatctl-"))) / "sandbox.db"
        try:
            server = SandboxServer(path, port=port)
        except OSError as error:
            raise refuse(
                Code.PORT_TAKEN,
                f"port {port} cannot be opened: {error.strerror}",
                hint="seatctl sandbox serve --port 0",
            ) from None
        _stop_on_signals(stack, server.stop)  # before the address is told: who reads it may stop us at once
        write_text(server.url)
        sys.stdout.flush()
        note("any key that begins with sk_test_ is accepted; Ctrl-C stops")
        if seconds:
            timer = Timer(seconds, server.stop)
            timer.daemon = True
            timer.start()
            stack.callback(timer.cancel)
        server.run()


def _stop_on_signals(stack: ExitStack, stop: Callable[[], None]) -> None:
    """Ctrl-C and SIGTERM end the serving, not the program: the port and the file are closed as ever.

    `stop` waits for the loop to end, so it must not run on the thread that serves.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        Thread(target=stop, daemon=True).start()

    for number in (signal.SIGINT, signal.SIGTERM):
        stack.callback(signal.signal, number, signal.signal(number, handle))
