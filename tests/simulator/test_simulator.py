"""The simulator of `tests/simulator`, for as long as a test may take; by hand it runs for hours."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulator.sabotage import ALL, sabotaged

ROOT = Path(__file__).parents[2]


def simulated(*argv: str, timeout: float = 300) -> subprocess.CompletedProcess:
    """A run of the simulator in a process of its own, in which everything random is pinned."""
    return subprocess.run(
        [sys.executable, "-m", "tests.simulator", *argv],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def test_the_same_seed_is_the_same_history_to_the_last_byte():
    done = simulated("--twice", "--seed", "7", "--length", "60")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_a_minute_of_histories_breaks_no_invariant(whole):
    limits = ("--seconds", "60") if not whole else ("--steps", "50000")
    done = simulated(*limits, "--length", "150", timeout=14_400 if whole else 600)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("fault", [*ALL])
def test_every_fault_can_be_put_back(fault):
    """What it patches is still there: a mended function that moved would be patched in vain."""
    with sabotaged(fault):
        pass


@pytest.mark.parametrize(
    "fault",
    [
        *("our own clock", "void is open", "on session", "silent status", "open after 429"),
        *("payment under way", "classic mode", "tax unknown", "no seats paid", "disputes"),
    ],
)
def test_a_fault_that_was_mended_is_found_if_it_comes_back(fault):
    done = simulated("--sabotage", fault, "--steps", "400", "--length", "60")
    assert done.returncode == 0, done.stdout + done.stderr
