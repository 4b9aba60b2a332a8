"""Points of a command: before and after every call to Stripe and every commit to the ledger."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path


def counted(log: Path, point: int | None) -> Callable[[str], None]:
    """A function that notes that a point was passed; it kills the process at the `point`th."""
    passed = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    count = 0

    def pass_by(name: str) -> None:
        nonlocal count
        count += 1
        os.write(passed, f"{name}\n".encode())
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    return pass_by


def count_points(log: Path, point: int | None, *, pause: float = 0.0) -> None:
    """Write each point that this process passes to `log`, and kill the process at the `point`th.

    `pause`: each call to Stripe takes so many seconds longer.
    """
    from seatctl.ledger.engines.postgres import PostgresEngine
    from seatctl.ledger.engines.sqlite import SqliteEngine
    from seatctl.sandbox.api.twin import Twin

    pass_by = counted(log, point)
    handle = Twin.handle

    def counted_handle(self, method, url, headers, form):
        name = f"{method} {url.partition('?')[0]}"
        pass_by(f"before {name}")
        time.sleep(pause)
        answer = handle(self, method, url, headers, form)
        pass_by(f"after {name}")
        return answer

    Twin.handle = counted_handle
    for engine in (SqliteEngine, PostgresEngine):
        engine.commit = surrounded(engine.commit, "a commit", pass_by)


def surrounded(method: Callable, name: str, pass_by: Callable[[str], None]) -> Callable:
    """A method with a point before and a point after it."""

    def call(*args, **options):
        pass_by(f"before {name}")
        result = method(*args, **options)
        pass_by(f"after {name}")
        return result

    return call
