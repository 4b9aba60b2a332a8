"""The simulator of `tests/simulator`, for as long as a test may take; by hand it runs for hours."""

from __future__ import annotations

import os

import pytest

from tests.simulator import server_sabotage  # noqa: F401 - it registers its faults
from tests.simulator.sabotage import ALL, sabotaged
from tests.simulator.world import LEDGERS
from tests.support import postgres
from tests.support.warm import python

SIMULATOR = "import sys; from tests.simulator.__main__ import main; sys.exit(main(sys.argv[1:]))"


def simulated(*argv: str, timeout: float = 300) -> tuple[int, str]:
    """The exit code and the output of the simulator, in a process in which everything random is pinned."""
    if "postgres" in argv:
        postgres.binaries()  # or skip
    started = python(SIMULATOR, *argv, env={**os.environ, "PYTHONHASHSEED": "0"})
    out, err = started.finish(timeout=timeout)
    return started.returncode, out + err


@pytest.mark.parametrize("ledger", LEDGERS)
def test_the_same_seed_is_the_same_history_to_the_last_byte(ledger):
    code, output = simulated("--ledger", ledger, "--twice", "--seed", "7", "--length", "60")
    assert code == 0, output


@pytest.mark.slow
def test_a_minute_of_histories_breaks_no_invariant(whole):
    limits = ("--seconds", "60") if not whole else ("--steps", "50000")
    code, output = simulated(*limits, "--length", "150", timeout=14_400 if whole else 600)
    assert code == 0, output


@pytest.mark.slow
def test_histories_with_the_ledger_on_a_server_break_no_invariant(whole):
    """Kills and cuts at round trips, and two commands at the same time."""
    limits = ("--seconds", "15") if not whole else ("--steps", "50000")
    length = ("--length", "60" if not whole else "300")
    code, output = simulated("--ledger", "postgres", *limits, *length, timeout=28_800 if whole else 600)
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
        *("payment under way", "classic mode", "interval waits", "tax unknown", "no seats paid", "disputes"),
        "collection paused",
    ],
)
def test_a_fault_that_was_mended_is_found_if_it_comes_back(fault):
    code, output = simulated("--sabotage", fault, "--steps", "400", "--length", "60")
    assert code == 0, output


@pytest.mark.parametrize(
    ("fault", "first"),
    [
        ("token ignored", 4),
        ("token trusted", 5),
        ("lease not required", 5),
        ("seats not counted", 1),
        ("entries not linked", 1),
    ],
)
def test_a_fault_of_the_engine_on_a_server_is_found(fault, first):
    """`first` is a history that finds it today; if it does not any more, a later one has to."""
    words = ("--sabotage", fault, "--steps", "600", "--length", "60", "--first", str(first))
    code, output = simulated("--ledger", "postgres", *words)
    assert code == 0, output
