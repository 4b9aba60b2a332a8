"""`seatctl sync`: makes the ledger and Stripe agree, once, repeatedly, or from a stream of events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Annotated, TextIO

from seatctl.app.context import Context
from seatctl.cli.framework.commands import Commands, option
from seatctl.cli.program import deliver
from seatctl.errors import BadInput, ExitCode, TryAgain, UsageError

if TYPE_CHECKING:
    from seatctl.billing.port import StripeJson


app = Commands()


@app.command()
def sync(
    ctx: Context,
    full: Annotated[bool, option("--full", "Read everything again, not only what has changed.")] = False,
    watch: Annotated[bool, option("--watch", "Sync repeatedly until interrupted.")] = False,
    every: Annotated[int, option("--every SECONDS", "The time between two syncs of --watch.", min=1)] = 600,
    events: Annotated[
        str | None, option("--events FILE|-", "Apply what `stripe listen --print-json` prints.")
    ] = None,
) -> None:
    """Finish or undo what was interrupted, then read from Stripe what has changed there.

    A purchase that was killed, or whose answer was lost, is finished if Stripe has it or if it is less than
    23 hours old; otherwise it is undone. Nothing is charged twice. The first sync reads everything; an
    interrupted sync continues where it stopped. Objects that cannot be read are skipped and listed.

    Examples:
      seatctl sync
      seatctl sync --dry-run
      seatctl sync --full
      seatctl sync --watch --every 600
      stripe listen --print-json | seatctl sync --events -
    """
    if sum((watch, events is not None, full)) > 1:
        raise UsageError("--full, --watch and --events exclude each other")
    if ctx.options.dry_run and (watch or events is not None):
        raise UsageError("--dry-run works with neither --watch nor --events", hint="seatctl sync --dry-run")
    if events is not None:
        _follow_events(ctx, events)
    elif watch:
        _watch(ctx, every)
    else:
        _once(ctx, full=full)


_LONGEST_EVENT = 4_000_000
"""Characters; a longer text is not an event of Stripe."""


def _once(ctx: Context, *, full: bool = False) -> None:
    """One sync."""
    from seatctl.services.sync.sync import sync

    report = sync(ctx.ledger, ctx.billing, ctx.call, full=full)
    ctx.emit(report, handle="name")
    if report.data.get("rebuilt"):
        ctx.note("this ledger can only read these subscriptions; to change them too: seatctl ledger adopt")
        ctx.note(
            "Stripe does not have users, seats, roles and requests. After adopting, bring people in without "
            "sending mail to everyone again: seatctl users import FILE, then "
            "seatctl seats assign SUBSCRIPTION --from FILE --no-notify"
        )


def _watch(ctx: Context, every: int) -> None:
    """Sync every `every` seconds until interrupted. After an error that passes, note it and go on."""
    while True:
        try:
            _once(ctx)
        except TryAgain as error:
            ctx.note(f"{error.message}; the next try is in {every} seconds")
        deliver(ctx)
        ctx.pause()
        time.sleep(every)
        ctx.reread_clock()


def _follow_events(ctx: Context, source: str) -> None:
    """Apply the object of each event as it arrives. Notes no success, because events may be missed.

    If an object cannot be read for now, a note says so and the stream goes on.
    """
    from seatctl.models.report import counted
    from seatctl.services.sync.reader import object_of
    from seatctl.services.sync.sync import sync_objects

    count = missed = 0
    with _opened(source) as stream:
        for event in read_events(stream):
            changed = object_of(event)
            if changed is None:
                continue
            ctx.reread_clock()
            try:
                report = sync_objects(ctx.ledger, ctx.billing, ctx.call, [changed])
            except TryAgain as error:
                missed += 1
                ctx.note(f"{event.get('type')}: {changed[1]} was missed: {error.message}")
                continue
            count += 1
            for row in report.rows:
                ctx.note(f"{event.get('type')}: {row['name']}: {row['summary']}")
            deliver(ctx)
    summary = f"{counted(count, 'event')} applied" + (f", {missed} missed" if missed else "")
    ctx.note(f"{summary}; to make sure that none was missed: seatctl sync")
    if missed:
        ctx.exit_code = ExitCode.PARTIAL


def read_events(stream: TextIO) -> Iterator[StripeJson]:
    """The JSON objects of a stream, each on one line or on several; other lines are skipped.

    Raises BadInput for an object that never ends.
    """
    text = ""
    for line in stream:
        if not text and not line.lstrip().startswith("{"):
            continue
        text += line
        if len(text) > _LONGEST_EVENT:
            raise BadInput(
                "an event does not end", hint="stripe listen --print-json | seatctl sync --events -"
            )
        if not line.rstrip().endswith("}"):
            continue
        try:
            event = json.loads(text)
        except ValueError:
            continue  # the object goes on in the next line
        except RecursionError:
            raise BadInput(
                "an event is nested too deeply to be one of Stripe's",
                hint="stripe listen --print-json | seatctl sync --events -",
            ) from None
        text = ""
        if isinstance(event, dict):
            yield event
    if text.strip():
        raise BadInput("the last event is cut short", hint="to make sure that none was missed: seatctl sync")


def _opened(source: str) -> AbstractContextManager[TextIO]:
    from io import TextIOWrapper

    from seatctl.system.refusals import expanded

    if source == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        return nullcontext(sys.stdin)  # not closed: it belongs to the process
    try:
        return expanded(source).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}") from error
