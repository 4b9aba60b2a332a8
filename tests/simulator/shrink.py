"""The shortest history that still breaks the same invariant: delta debugging over concrete steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.simulator.actions import Step, is_read
from tests.simulator.history import Ended, replay
from tests.simulator.world import Worlds


def _without_idle_steps(ended: Ended, attempt: Callable[[list[Step]], bool]) -> None:
    """All at once: what was refused, and what only looked, has seldom to do with it."""
    idle = ("exit 9", "exit 8", "exit 3", "exit 2", "exit 4")
    pairs = [*zip(ended.steps, ended.outcomes, strict=True)]
    last = pairs.pop()
    kept = [
        step
        for step, outcome in pairs
        if not outcome.startswith(idle) and not (step.kind == "command" and is_read(step))
    ]
    attempt([*kept, last[0]])


def shrunk(
    worlds: Worlds, ended: Ended, seconds: float, clock: Callable[[], float] = time.perf_counter
) -> Ended:
    """Drop steps, then faults, as long as the violation of the same name stays; bounded in seconds."""
    assert ended.violation is not None
    wanted, best, stop = ended.violation.name, ended, clock() + seconds

    def attempt(steps: list[Step]) -> bool:
        nonlocal best
        if clock() > stop:
            return False
        found = replay(worlds, ended.seed, steps)
        if found.violation is None or found.violation.name != wanted:
            return False
        best = found
        return True

    _without_idle_steps(best, attempt)
    chunk = max(1, len(best.steps) // 2)
    while clock() < stop:
        place, dropped = 0, False
        while place < len(best.steps) and clock() < stop:
            kept = [*best.steps[:place], *best.steps[place + chunk :]]
            if len(best.steps) > 1 and attempt(kept):
                dropped = True
            else:
                place += chunk
        if chunk > 1:
            chunk //= 2
        elif not dropped:
            break
    for place, step in enumerate(best.steps):
        for less in (
            replace(step, faults=()),
            replace(step, meeting=None),
            replace(step, faults=(), meeting=None),
        ):
            if less != step and place < len(best.steps):
                attempt([*best.steps[:place], less, *best.steps[place + 1 :]])
    return best
