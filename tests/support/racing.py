"""Commands in processes of their own, at the same time."""

from __future__ import annotations

from tests.support.warm import PROGRAM, Process, python

SLOWLY = f"""
import os, sys
from pathlib import Path
from tests.support.points import count_points
count_points(Path(os.devnull), None, pause=float(sys.argv.pop(1)))
{PROGRAM}
"""


def start(seatctl, *argv: str, pause: float = 0.0) -> Process:
    """A real process whose every call to Stripe takes `pause` seconds longer."""
    return python(SLOWLY, str(pause), *argv, env=seatctl.environment())


def codes(*processes: Process) -> list[int]:
    """Their exit codes, in ascending order, once all have ended."""
    for process in processes:
        process.finish()
    return sorted(process.returncode for process in processes)
