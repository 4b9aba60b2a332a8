"""Points of a command: before and after every call to Stripe and every commit to the ledger."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path


def count_points(log: Path, point: int | None, *, pause: float = 0.0) -> None:
    """Write each point that this process passes to `log`, and kill the process at the `point`th.

    `pause`: each call to Stripe takes so many seconds longer.
    """
    from seatctl.ledger.engines.sqlite import SqliteEngine
    from seatctl.sandbox.api.twin import Twin

    passed = os.open(log, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
    count = 0

    def pass_by(name: str) -> None:
        nonlocal count
        count += 1
        os.write(passed, f"{name}\n".encode())
        if count == point:
            os.kill(os.getpid(), signal.SIGKILL)

    handle, commit = Twin.handle, SqliteEngine.commit

    def counted_handle(self, method, url, headers, form):
        name = f"{method} {url.partition('?')[0]}"
        pass_by(f"before {name}")
        time.sleep(pause)
        answer = handle(self, method, url, headers, form)
        pass_by(f"after {name}")
        return answer

    def counted_commit(self):
        pass_by("before a commit")
        commit(self)
        pass_by("after a commit")

    Twin.handle, SqliteEngine.commit = counted_handle, counted_commit
