"""The simulator of `tests/simulator`, for as long as a test may take; by hand it runs for hours."""

from __future__ import annotations

import os

import pytest

from tests.simulator.sabotage import ALL, sabotaged
from tests.support.warm import python

SIMULATOR = "import sys; from tests.simulator.__main__ import main; sys.exit(main(sys.argv[1:]))"


def simulated(*argv: str, timeout: float = 300) -> tuple[int, str]:
    """The exit code and the output of the simulator, in a process in which everything random is pinned."""
    started = python(SIMULATOR, *argv, env={**os.environ, "PYTHONHASHSEED": "0"})
    out, err = started.finish(timeout=timeout)
    return started.returncode, out + err


def test_the_same_seed_is_the_same_history_to_the_last_byte():
    code, output = simulated("--twice", "--seed", "7", "--length", "60")
    assert code == 0, output


@pytest.mark.slow
def test_a_minute_of_histories_breaks_no_invariant(whole):
    limits = ("--seconds", "60") if not whole else ("--steps", "50000")
    code, output = simulated(*limits, "--length", "150", timeout=14_400 if whole else 600)
    assert code == 0, output


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
    code, output = simulated("--sabotage", fault, "--steps", "400", "--length", "60")
    assert code == 0, output
