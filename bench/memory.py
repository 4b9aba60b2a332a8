"""Resident memory of bulk commands: many rows against few."""

from __future__ import annotations

from pathlib import Path

from bench.measure import Figure, expect
from bench.stage import new_stage, with_subscription, write_people

BUDGET = 1.2


def memory(work: Path, few: int, many: int) -> list[Figure]:
    """Import, assign, apply and list: greatest resident memory at `many` rows against that at `few`."""
    small, large = _peaks(work / "few", few), _peaks(work / "many", many)
    return [
        Figure(f"memory of {name}, {many:,} rows to {few:,}", large[name], small[name], BUDGET, "MB")
        for name in large
    ]


def _peaks(home: Path, count: int) -> dict[str, int]:
    stage = new_stage(home)
    people = write_people(home / "people.csv", count)
    with_subscription(stage, count)
    with_subscription(stage, count, "video")
    apply = ("seats", "apply", people, "--subscription", "video", "--create-users", "--prune")
    done = {
        "users import": stage.seatctl("users", "import", people, memory=True),
        "seats assign": stage.seatctl("seats", "assign", "design", "--from", people, memory=True),
        "seats apply": stage.seatctl(*apply, memory=True),
        "users list": stage.seatctl("users", "list", "-o", "csv", memory=True),
    }
    expect(stage.count("SELECT min(assigned) FROM subscriptions"), count, "seats assigned")
    for name, sample in done.items():
        # A header, a row for each, and the owner of the subscription in the list of users.
        expect(sample.lines in {count + 1, count + 2}, True, f"{sample.lines} lines of {name}")
    return {name: sample.resident for name, sample in done.items()}
