"""The three ways in which `seatctl sync` works: once, again and again, and following a stream of events."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from seatctl.errors import BadInput, ExitCode, TryAgain

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from seatctl.app.context import Context
    from seatctl.billing.port import StripeJson

_LONGEST_EVENT = 4_000_000
"""Characters; what is longer is no event of Stripe's."""


def once(ctx: Context, *, full: bool = False) -> None:
    """One sync."""
    from seatctl.services.sync.sync import sync

    report = sync(ctx.ledger, ctx.billing, ctx.call, full=full)
    ctx.emit(report, handle="name")
    if report.data.get("rebuilt"):
        ctx.note("this ledger may read these subscriptions; to change them too: seatctl ledger adopt")
        ctx.note(
            "Stripe does not know users, seats, roles and requests. After that, bring people in without "
            "mailing everyone again: seatctl users import FILE, then "
            "seatctl seats assign SUBSCRIPTION --from FILE --no-notify"
        )


def watch(ctx: Context, every: int) -> None:
    """Sync every so many seconds until interrupted; what passes is told and tried again."""
    while True:
        try:
            once(ctx)
        except TryAgain as error:
            ctx.note(f"{error.message}; the next try is in {every} seconds")
        _deliver(ctx)
        time.sleep(every)
        ctx.look_at_the_clock()


def _deliver(ctx: Context) -> None:
    """Send the messages of what was taken over: other commands do so when they end, which these do not."""
    if ctx.ledger.first_entry_with_messages is not None:
        from seatctl.cli.deliver_mail import deliver

        deliver(ctx, ctx.ledger.first_entry_with_messages)


def follow_events(ctx: Context, source: str) -> None:
    """Take over what each event is about as it arrives. Not noted as a success: events may be missed.

    A passing trouble with one of them is told and does not end the stream.
    """
    from seatctl.rules.plural import counted
    from seatctl.services.sync.events import about
    from seatctl.services.sync.sync import follow

    count = missed = 0
    with _opened(source) as stream:
        for event in read_events(stream):
            found = about(event)
            if found is None:
                continue
            ctx.look_at_the_clock()
            try:
                report = follow(ctx.ledger, ctx.billing, ctx.call, [found])
            except TryAgain as error:
                missed += 1
                ctx.note(f"{event.get('type')}: {found[1]} was missed: {error.message}")
                continue
            count += 1
            for row in report.rows:
                ctx.note(f"{event.get('type')}: {row['name']}: {row['summary']}")
            _deliver(ctx)
    told = f"{counted(count, 'event')} taken over" + (f", {missed} missed" if missed else "")
    ctx.note(f"{told}; to make sure that none was missed: seatctl sync")
    if missed:
        ctx.exit_code = ExitCode.PARTIAL


def read_events(stream: TextIO) -> Iterator[StripeJson]:
    """The JSON objects of a stream, on one line each or on several; other lines are left out.

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
            continue  # a line of a longer object that happens to end so
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
    from contextlib import nullcontext
    from io import TextIOWrapper

    from seatctl.cli.framework.options import file_path

    if source == "-":
        if isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(encoding="utf-8", errors="replace")
        return nullcontext(sys.stdin)  # left open: it is not ours
    try:
        return file_path(source).open(encoding="utf-8", errors="replace")
    except OSError as error:
        raise BadInput(f"{source} cannot be read: {error.strerror}") from error
