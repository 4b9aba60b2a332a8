"""Commands in real processes that SIGKILL themselves at a counted point.

A point lies before and after every call to Stripe and before and after every commit to the ledger. Run
as a script it reads jobs from stdin, one JSON object a line, and forks a process for each, so that the
imports are paid for once; as a module it is what the tests call.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Ended:
    """How a process ended: `code` is negative for a signal; `points` are those it passed, in order."""

    code: int
    points: tuple[str, ...]
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def run_jobs(
    environment: dict[str, str], jobs: Iterable[tuple[Path, tuple[str, ...], int | None]]
) -> Iterator[Ended]:
    """Run each (configuration directory, arguments, point) in a process of its own, one after another.

    Point 1 is the first one; None lets the command run to its end.
    """
    lines = [json.dumps({"home": str(home), "argv": argv, "point": point}) for home, argv, point in jobs]
    done = subprocess.run(
        [sys.executable, __file__],
        input="\n".join(lines),
        env={**environment, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        ended = json.loads(line)
        yield Ended(ended["code"], tuple(ended["points"]), ended["err"])


def _serve() -> None:
    from seatctl.__main__ import main  # noqa: F401 - loaded before the forks
    from seatctl.billing import stripe  # noqa: F401
    from seatctl.cli import plans, subs, sync  # noqa: F401
    from seatctl.services.plans import plan_add_operation, plan_edit_operation  # noqa: F401

    for line in sys.stdin.read().splitlines():
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(job: dict) -> dict:
    home = Path(job["home"])
    log, errors = home.with_suffix(".points"), home.with_suffix(".err")
    child = os.fork()
    if not child:
        _become(home, job["argv"], job["point"], log, errors)
    _, status = os.waitpid(child, 0)
    points = log.read_text().splitlines() if log.exists() else []
    return {"code": os.waitstatus_to_exitcode(status), "points": points, "err": errors.read_text()}


def _become(home: Path, argv: list[str], point: int | None, log: Path, errors: Path) -> None:
    """The rest of the forked process: the command, with its points counted."""
    from seatctl.__main__ import main

    nothing = Path(os.devnull)
    sys.stdout, sys.stderr, sys.stdin = nothing.open("w"), errors.open("w"), nothing.open()
    os.environ["SEATCTL_CONFIG"] = str(home)
    count_points(log, point)
    code = 1
    try:
        code = int(main(argv))
        sys.stderr.flush()
    finally:
        os._exit(code)


def count_points(log: Path, point: int | None, *, pause: float = 0.0) -> None:
    """Wrap the calls to Stripe and the commits of this process; `pause` seconds before each call."""
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


if __name__ == "__main__":
    _serve()
