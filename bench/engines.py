"""Commands with the ledger on a PostgreSQL server against the same ones with a file.

What is compared is processor time, that of the client and of the server together.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from statistics import fmean

from bench.measure import Figure, Sample, expect, least_cpu
from bench.server import new_server_stage, started
from bench.stage import Stage, new_stage, with_subscription, write_people
from bench.startup import PERSON, about_one

ASSIGN_BUDGET = 2.0
IMPORT_BUDGET = 2.5
INDEXED_BUDGET = 5.0
CHECK_BUDGET = 1.3


def import_users(work: Path, count: int, rounds: int) -> list[Figure]:
    """`users import` of a CSV into an empty ledger. The index of a file's ledger is part of its time."""
    people = write_people(work / "people.csv", count)
    with started() as server:
        file = new_stage(work / "file-template")
        indexed = new_server_stage(work / "indexed-template", server)
        bare = indexed.copy(work / "bare-template")
        server.execute(bare.database, "DROP INDEX users_search")
        used = least_cpu(
            {
                "file": _imported(file, work / "file", people, count),
                "bare": _imported(bare, work / "bare", people, count),
                "indexed": _imported(indexed, work / "indexed", people, count),
            },
            rounds,
        )
    return [
        Figure(f"import {count:,} users to a server, no index", used["bare"], used["file"], IMPORT_BUDGET),
        Figure("  with the search index", used["indexed"], used["file"], INDEXED_BUDGET),
    ]


def _imported(template: Stage, home: Path, people: Path, count: int) -> Callable[[], Sample]:
    def ours() -> Sample:
        stage = template.copy(home)
        sample = stage.seatctl("users", "import", people)
        expect(stage.count("SELECT count(*) FROM users"), count, "users imported")
        expect(stage.count("SELECT count(*) FROM changes WHERE entity = 'user'"), count, "changes recorded")
        return sample

    return ours


def assign_seats(work: Path, count: int, rounds: int) -> list[Figure]:
    """`seats assign --from` of everybody, who are users already."""
    people = write_people(work / "people.csv", count)
    with started() as server:
        templates = new_stage(work / "file-template"), new_server_stage(work / "server-template", server)
        for template in templates:
            with_subscription(template, count)
            template.prepare("users", "import", people)
        file, shared = templates
        used = least_cpu(
            {
                "file": _assigned(file, work / "file", people, count),
                "server": _assigned(shared, work / "server", people, count),
            },
            rounds,
        )
    return [Figure(f"assign {count:,} users on a server", used["server"], used["file"], ASSIGN_BUDGET)]


def _assigned(template: Stage, home: Path, people: Path, count: int) -> Callable[[], Sample]:
    def ours() -> Sample:
        stage = template.copy(home)
        sample = stage.seatctl("seats", "assign", "design", "--from", people)
        expect(stage.count("SELECT assigned FROM subscriptions"), count, "seats assigned")
        return sample

    return ours


def check(work: Path, users: int, rounds: int) -> list[Figure]:
    """`check` of one of so many users against bare programs that ask the same of the same server.

    The mean of all runs: the system counts the processor time of a server's processes in hundredths of a
    second.
    """
    with started() as server:
        stage = new_server_stage(work / "stage", server)
        stage.prepare("users", "import", write_people(work / "people.csv", users))
        stage.prepare("users", "add", PERSON)
        with_subscription(stage, 5)
        stage.prepare("seats", "assign", "design", PERSON)
        server.execute(stage.database, "VACUUM ANALYZE")

        def ours() -> Sample:
            return about_one(stage.seatctl("check", PERSON, "-o", "json", keep=True))

        def bare(kind: str) -> Callable[[], Sample]:
            words = ("-m", "bench.bare_server", kind, server.url(stage.database), PERSON)
            return lambda: about_one(stage.run(*words))

        runs = (ours, bare("command"), bare("script"))
        for once in runs:
            once()  # its bytecode is written
        used = [[once().cpu for once in runs] for _ in range(rounds)]
    checked, command, script = (fmean(seconds) for seconds in zip(*used, strict=True))
    return [
        Figure(f"check on a server, of {users:,} users", checked, script, CHECK_BUDGET, "ms"),
        Figure("  against a bare Typer command", checked, command, None, "ms"),
    ]
