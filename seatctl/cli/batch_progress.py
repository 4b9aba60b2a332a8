"""Shows the progress of a batch on stderr: lines for a log, or a bar on a terminal.

The check of the lines, before the first one is run, shows its progress only on a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from seatctl.app.context import Context
from seatctl.rules.batches import Line

SECONDS = 5.0
"""The shortest time between two lines, so that the log of a long batch stays readable."""

CHECK_SECONDS = 0.5
"""The time between two updates of the check. A check that ends sooner shows nothing."""

Progress = Callable[[int, int, int], None]
"""Called after each line: how many lines were tried, how many there are, how many have failed."""


@contextmanager
def shown(ctx: Context) -> Iterator[Progress]:
    """The function that the batch calls after each line."""
    if ctx.options.quiet:
        yield lambda _done, _total, _failed: None
    elif sys.stderr.isatty():
        with _bar() as update:
            yield update
    else:
        yield _Log(ctx)


@contextmanager
def checking(ctx: Context, check: Callable[[Line], None]) -> Iterator[Callable[[Line], None]]:
    """The check of a line; on a terminal it also shows how many lines it has checked."""
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
    """One line of a terminal, overwritten each time and cleared at the end."""

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
        self._ctx = ctx
        self._last = time.monotonic()

    def __call__(self, done: int, total: int, failed: int) -> None:
        """Print a line every few seconds; a batch that ends sooner prints none."""
        now = time.monotonic()
        if done < total and now - self._last >= SECONDS:
            self._last = now
            self._ctx.note(f"{done:,} of {total:,} lines tried{_failures(failed)}")


@contextmanager
def _bar() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import Progress as Bar

    with Bar(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("lines", total=None)

        def update(done: int, total: int, failed: int) -> None:
            bar.update(task, completed=done, total=total, description=f"lines{_failures(failed)}")

        yield update


def _failures(failed: int) -> str:
    return f", {failed:,} failed" if failed else ""
