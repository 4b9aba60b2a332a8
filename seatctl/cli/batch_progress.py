"""How far a batch has come, on stderr: lines that a log can keep, or a bar on a terminal.

That lines are being checked, before the first is run, is shown on a terminal only: it writes nothing yet.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seatctl.app.context import Context
from seatctl.models.batch import Line

SECONDS = 5.0
"""At most this often a line is written, so that a log of an hour's batch stays readable."""

CHECK_SECONDS = 0.5
"""A check that is over sooner shows nothing; later it is told this often how far it has come."""

Progress = Callable[[int, int, int], None]
"""Told after each line: how many of how many were tried, and how many of them failed."""


@contextmanager
def shown(ctx: Context) -> Iterator[Progress]:
    """What the batch is to tell how far it has come."""
    if ctx.options.quiet:
        yield lambda _done, _total, _failed: None
    elif sys.stderr.isatty():
        with _bar() as told:
            yield told
    else:
        yield _Log(ctx)


@contextmanager
def checking(ctx: Context, check: Callable[[Line], None]) -> Iterator[Callable[[Line], None]]:
    """The check of a line, which tells a person who waits how many lines it has seen."""
    if ctx.options.quiet or not sys.stderr.isatty():
        yield check
        return
    counter = _Counter()

    def counted(line: Line) -> None:
        counter.add()
        check(line)

    try:
        yield counted
    finally:
        counter.clear()


class _Counter:
    """One line of a terminal, written over and taken away in the end."""

    def __init__(self) -> None:
        self._count, self._width, self._last = 0, 0, time.monotonic()

    def add(self) -> None:
        self._count += 1
        now = time.monotonic()
        if now - self._last >= CHECK_SECONDS:
            self._last = now
            self._write(f"{self._count:,} lines checked")

    def clear(self) -> None:
        if self._width:
            self._write("")
            sys.stderr.write("\r")

    def _write(self, text: str) -> None:
        sys.stderr.write(f"\r{text.ljust(self._width)}")
        sys.stderr.flush()
        self._width = len(text)


class _Log:
    def __init__(self, ctx: Context) -> None:
        self._here = ctx
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, failed: int) -> None:
        """A line every few seconds; a batch that is over sooner needs none."""
        now = time.monotonic()
        if done < total and now - self._last >= SECONDS:
            self._last = now
            self._here.note(f"{done:,} of {total:,} lines tried{_wrong(failed)}")


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("lines", total=None)

        def told(done: int, total: int, failed: int) -> None:
            bar.update(task, completed=done, total=total, description=f"lines{_wrong(failed)}")

        yield told


def _wrong(failed: int) -> str:
    return f", {failed:,} failed" if failed else ""
