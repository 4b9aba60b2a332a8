"""Start-up of one-row questions on a large ledger, and the search of a larger one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from bench.measure import Figure, Sample, expect, paired, run
from bench.stage import NEEDLE, SHORT_NEEDLE, Stage, new_stage, with_subscription, write_people

START_BUDGET = 1.3
SEARCH_BUDGET = 1.5
SHORT_BUDGET = 3.0
PERSON = "one@example.com"


def start_up(work: Path, users: int, rounds: int) -> list[Figure]:
    """`check` and a one-row `seats list -o json` against a bare Typer command that runs the same SQL."""
    stage = populated(work / "start-up", users)
    ledger = str(stage.ledger)

    def ours(*arguments: str) -> Sample:
        return about_one(stage.seatctl(*arguments, "-o", "json", keep=True))

    def bare(*arguments: str) -> Sample:
        return about_one(
            run(["-m", "bench.bare", arguments[0], ledger, *arguments[1:]], stage.env, keep=True)
        )

    check = paired(lambda: ours("check", PERSON), lambda: bare("check", PERSON), rounds, warm=True)
    seats = paired(
        lambda: ours("seats", "list", "design"), lambda: bare("seats", "design"), rounds, warm=True
    )
    return [
        Figure(f"check among {users:,} users", *check, START_BUDGET, "ms"),
        Figure(f"seats list, one row of {users:,} users", *seats, START_BUDGET, "ms"),
    ]


def search(work: Path, users: int, rounds: int) -> list[Figure]:
    """`users list TEXT` against the start-up figure: one row of the same ledger, nothing searched."""
    stage = populated(work / "search", users)
    last = f"{NEEDLE} last{users - 1}"  # the last one in the file is a Zebediah

    def searched(text: str, found: int) -> Callable[[], Sample]:
        def ours() -> Sample:
            sample = stage.seatctl("users", "list", text, "-o", "json", keep=True)
            names = [row["name"].lower() for row in json.loads(sample.output)]
            wanted = [name for name in names if name.endswith(text.lower())]
            expect((len(wanted), len(names)), (found, found), "who was found")
            return sample

        return ours

    def one_row() -> Sample:
        return about_one(stage.seatctl("seats", "list", "design", "-o", "json", keep=True))

    part = paired(searched(last, 1), one_row, rounds, warm=True)
    short = paired(searched(SHORT_NEEDLE, users // 5000), one_row, rounds, warm=True)
    return [
        Figure(f"search among {users:,} users", *part, SEARCH_BUDGET, "ms"),
        Figure("  for two letters", *short, SHORT_BUDGET, "ms"),
    ]


def populated(home: Path, users: int) -> Stage:
    """A ledger with so many users, one of them in a seat."""
    stage = new_stage(home)
    stage.prepare("users", "import", write_people(home / "people.csv", users))
    stage.prepare("users", "add", PERSON)
    with_subscription(stage, 5)
    stage.prepare("seats", "assign", "design", PERSON)
    return stage


def about_one(sample: Sample) -> Sample:
    """Return what a run printed about the one person. Raises WrongResult if it printed something else."""
    expect(PERSON in sample.output and "design" in sample.output, True, "an answer about the one person")
    return sample
