"""Commands in processes of their own, at the same time."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def start(seatctl, *argv: str, pause: float = 0.0) -> subprocess.Popen:
    """A real process whose every call to Stripe takes `pause` seconds longer."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "tests" / "support" / "slowly.py"), str(pause), *argv],
        env={
            **seatctl.environment(),
            "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def codes(*processes: subprocess.Popen) -> list[int]:
    """Their exit codes, in ascending order, once all have ended."""
    for process in processes:
        process.communicate(timeout=60)
    return sorted(process.returncode for process in processes)
