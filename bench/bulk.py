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


def assign_seats(work: Path, count: int, rounds: int) -> list[Figure]:
    """`seats assign --from` of everybody in one subscription, known already or made by `--create-users`.

    The design has one floor for both commands, which writes the users and fills their search index. So
    people who are known already are compared with that one, and with writing nothing but their seats.
    """
    people = write_people(work / "people.csv", count)
    nobody = new_stage(work / "nobody-template")
    with_subscription(nobody, count)
    known = nobody.copy(work / "known-template")
    known.prepare("users", "import", people)
    empty, full = work / "empty.db", work / "full.db"
    floors.prepare(empty)
    floors.prepare(full)
    floors.import_people(people, full)

    def assign(template: Stage, *options: str) -> Callable[[], Sample]:
        def ours() -> Sample:
            stage = template.copy(work / "assign")
            sample = stage.seatctl("seats", "assign", "design", "--from", people, *options)
            expect(stage.count("SELECT assigned FROM subscriptions"), count, "seats assigned")
            return sample

        return ours

    import_floor = _floor(work, "import", people, empty, count)
    seats_floor = _floor(work, "assign", people, full, count)
    both_floors = _floor(work, "both", people, empty, count)
    return [
        Figure(f"assign {count:,} users", *paired(assign(known), import_floor, rounds), BUDGET),
        Figure(
            "  with --create-users", *paired(assign(nobody, "--create-users"), both_floors, rounds), BUDGET
        ),
        Figure("  known ones against writing seats alone", *paired(assign(known), seats_floor, rounds), None),
    ]


def apply_state(work: Path, count: int, rounds: int) -> list[Figure]:
    """`seats apply`: of known people, of people it makes, and a second time, when nothing is left to do.

    The floors are those of assigning: the same rows are written.
    """
    people = write_people(work / "people.csv", count)
    nobody = new_stage(work / "nobody-template")
    with_subscription(nobody, count)
    known = nobody.copy(work / "known-template")
    known.prepare("users", "import", people)
    done = known.copy(work / "done-template")
    words = ("seats", "apply", people, "--subscription", "design")
    done.prepare(*words)
    empty = work / "empty.db"
    floors.prepare(empty)

    def apply(template: Stage, *options: str) -> Callable[[], Sample]:
        def ours() -> Sample:
            stage = template.copy(work / "apply")
            sample = stage.seatctl(*words, *options)
            expect(stage.count("SELECT assigned FROM subscriptions"), count, "seats assigned")
            return sample

        return ours

    import_floor = _floor(work, "import", people, empty, count)
    both_floors = _floor(work, "both", people, empty, count)
    return [
        Figure(f"apply {count:,} known users", *paired(apply(known), import_floor, rounds), BUDGET),
        Figure(
            "  with --create-users", *paired(apply(nobody, "--create-users"), both_floors, rounds), BUDGET
        ),
        Figure(
            "  a second time, with --prune", *paired(apply(done, "--prune"), import_floor, rounds), BUDGET
        ),
    ]


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
