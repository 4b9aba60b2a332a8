"""Commands in real processes that SIGKILL themselves at a counted point (`points.py`)."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.conftest import Seatctl
from tests.support.warm import PROGRAM, python

COUNTED = f"""
import sys
from pathlib import Path
from tests.support.points import count_points
log, point = sys.argv[1:3]
del sys.argv[1:3]
count_points(Path(log), int(point) or None)
{PROGRAM}
"""


@dataclass(frozen=True)
class Ended:
    """How a process ended: `code` is negative for a signal; `points` are those it passed, in order."""

    code: int
    points: tuple[str, ...]
    err: str

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


def run_jobs(jobs: Iterable[tuple[Seatctl, tuple[str, ...], int | None]]) -> Iterator[Ended]:
    """Run each (profile, arguments, point) in a process of its own, one after another.

    Point 1 is the first one; None lets the command run to its end.
    """
    for seatctl, argv, point in jobs:
        log = seatctl.home.with_suffix(".points")
        process = python(
            COUNTED,
            *(str(log), str(point or 0), *argv),
            env=seatctl.environment(),
            stdout=subprocess.DEVNULL,
        )
        _, err = process.finish()
        yield Ended(process.returncode, tuple(log.read_text().splitlines()), err)
