"""Import and assign of many users against the floor."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from bench import floors
from bench.measure import Figure, Sample, expect, paired, run
from bench.stage import Stage, new_stage, with_subscription, write_people

BUDGET = 2.5


def import_users(work: Path, count: int, rounds: int) -> Figure:
    """`users import` of a CSV into an empty ledger."""
    people = write_people(work / "people.csv", count)
    template = new_stage(work / "import-template")
    empty = work / "empty.db"
    floors.prepare(empty)

    def ours() -> Sample:
        stage = template.copy(work / "import")
        sample = stage.seatctl("users", "import", people)
        expect(stage.count("SELECT count(*) FROM users"), count, "users imported")
        expect(stage.count("SELECT count(*) FROM changes WHERE entity = 'user'"), count, "changes recorded")
        return sample

    return Figure(
        f"import {count:,} users", *paired(ours, _floor(work, "import", people, empty, count), rounds), BUDGET
    )


def assign_seats(work: Path, count: int, rounds: int) -> Figure:
    """`seats assign --from` of everybody in one subscription."""
    people = write_people(work / "people.csv", count)
    template = new_stage(work / "assign-template")
    with_subscription(template, count)
    template.seatctl("users", "import", people)
    known = work / "known.db"
    floors.prepare(known)
    floors.import_people(people, known)

    def ours() -> Sample:
        stage = template.copy(work / "assign")
        sample = stage.seatctl("seats", "assign", "design", "--from", people)
        expect(stage.count("SELECT assigned FROM subscriptions"), count, "seats assigned")
        return sample

    return Figure(
        f"assign {count:,} seats", *paired(ours, _floor(work, "assign", people, known, count), rounds), BUDGET
    )


def _floor(work: Path, what: str, people: Path, template: Path, count: int) -> Callable[[], Sample]:
    def floor() -> Sample:
        database = work / "floor.db"
        for path in work.glob("floor.db*"):
            path.unlink()
        shutil.copyfile(template, database)
        sample = run(["-m", "bench.floors", what, str(people), str(database)], Stage(work).env, keep=True)
        expect(int(sample.output), count, f"rows of the floor of {what}")
        return sample

    return floor
