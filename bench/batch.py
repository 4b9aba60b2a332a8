"""Many commands in one process against as many processes, of which a sample is run."""

from __future__ import annotations

import shlex
import statistics
from pathlib import Path

from bench.measure import Figure, expect
from bench.stage import Stage, new_stage, with_subscription

BUDGET = 1 / 20


def batch(work: Path, lines: int, sample: int) -> Figure:
    """`batch` of so many lines, people added and seated in turns, against what they cost one by one.

    Half of the sample runs before the batch and half after it, so that a busy machine slows both alike;
    the processes before it work on the smaller ledger, which is to their advantage.
    """
    stage = new_stage(work / "batch")
    with_subscription(stage, lines + sample)
    path = work / "lines.txt"
    path.write_text("".join(f"{shlex.join(words)}\n" for words in _commands("p", lines)))
    one_by_one = _commands("q", sample)
    seconds = [_process(stage, words) for words in one_by_one[: sample // 2]]
    ours = stage.seatctl("batch", path)
    seconds += [_process(stage, words) for words in one_by_one[sample // 2 :]]
    expect(stage.count("SELECT assigned FROM subscriptions"), (lines + sample) // 2, "people seated")
    done = "SELECT count(*) FROM batch_rows WHERE state = 'done'"
    expect(stage.count(done), lines, "lines done")
    as_processes = statistics.median(seconds) * lines
    return Figure(f"batch of {lines:,} lines, as many processes", ours.seconds, as_processes, BUDGET)


def _commands(prefix: str, count: int) -> list[list[str]]:
    people = [f"{prefix}{n}@example.com" for n in range(count // 2)]
    return [words for one in people for words in (["users", "add", one], ["seats", "assign", "design", one])]


def _process(stage: Stage, words: list[str]) -> float:
    return stage.seatctl(*words).seconds
