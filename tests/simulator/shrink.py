"""The shortest history that still breaks the same invariant: delta debugging over concrete steps."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from tests.simulator.actions import Step
from tests.simulator.history import Ended, replay
from tests.simulator.world import Worlds


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
        if step.faults and place < len(best.steps):
            attempt([*best.steps[:place], replace(step, faults=()), *best.steps[place + 1 :]])
    return best
