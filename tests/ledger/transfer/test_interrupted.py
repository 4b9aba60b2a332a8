"""A move that is killed at any point: both places can never be used, and running it again finishes it.

The points are before and after each transaction of either ledger, and in the middle of the rows. By default
every third of them in each direction; all with --whole-proofs.
"""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path

import pytest

from seatctl.ledger.engines import postgres_session
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.transfer import rows
from tests.support import postgres
from tests.support.both_sides import charges
from tests.support.engines import ENGINES
from tests.support.killing import Killing
from tests.support.places import At, database, expire_leases
from tests.support.relay import relayed
from tests.support.subscriptions import ledger_place
from tests.support.warm import PROGRAM, python

KILLED = f"""
import sys
from pathlib import Path
from seatctl.ledger.engines.postgres import PostgresEngine
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.transfer import rows
from tests.support.points import counted, surrounded
log, point = sys.argv[1:3]
del sys.argv[1:3]
pass_by = counted(Path(log), int(point) or None)
for engine in (SqliteEngine, PostgresEngine):
    engine.commit = surrounded(engine.commit, "a commit", pass_by)
PostgresEngine.run_script = surrounded(PostgresEngine.run_script, "the schema", pass_by)
rows._columns = surrounded(rows._columns, "a table", pass_by)
{PROGRAM}
"""

pytestmark = pytest.mark.slow


def run(at: At, place: str, log: Path, point: int | None) -> tuple[int, list[str], str]:
    """Move the ledger in a process of its own: its exit code, the points it passed, and stderr."""
    words = (str(log), str(point or 0), "ledger", "copy", at.place, place, "--yes")
    environment = at.seatctl.environment(at.variables)
    process = python(KILLED, *words, env=environment, stdout=subprocess.DEVNULL)
    _, err = process.finish()
    return process.returncode, log.read_text().splitlines(), err


def transactions(points: list[str]) -> list[int]:
    """The numbers of the points around a transaction, and of one between the tables."""
    tables = [n for n, point in enumerate(points, 1) if point.endswith("a table")]
    return [n for n, point in enumerate(points, 1) if n not in tables or n == tables[len(tables) // 3]]


@pytest.mark.parametrize("cuts", [1, 2])
@pytest.mark.parametrize("engine", ENGINES)
def test_a_connection_that_is_lost_meanwhile(sandbox, team, tmp_path, monkeypatch, engine, cuts):
    """The command begins again once, and then asks to be run again."""
    columns, left = rows._columns, [cuts]
    file = At(sandbox, ledger_place(sandbox))
    with database() as url, relayed(postgres.server().port) as relay:
        there = At(sandbox, url)
        far = postgres.server().tcp_url(there.database, port=relay.port)
        if engine == "postgres":
            file.move(url)
        here, place = (file, far) if engine == "sqlite" else (At(sandbox, far), str(tmp_path / "file.db"))

        def cut(connection, table: str) -> list[str]:
            if table == "seats" and left[0]:
                left[0] -= 1
                relay.cut()
            return columns(connection, table)

        monkeypatch.setattr(rows, "_columns", cut)
        head = here.head()
        done = here("ledger", "copy", here.place, place, "--yes")
        assert (done.code, left) == (0 if cuts == 1 else 75, [0])
        if cuts == 2:
            assert "run the same command again" in done.err
            here.done("users add new@example.com")
            done = here("ledger", "copy", here.place, place, "--yes")
            assert done.code == 0, done.err
        assert here("seats", "list").code == 74
        At(sandbox, place).assert_sound(head)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_move_may_take_longer_than_a_transaction_may_be_idle(sandbox, team, tmp_path, monkeypatch, engine):
    """Each side waits for the other one, and a server ends what waits for too long."""
    columns = rows._columns
    file = At(sandbox, ledger_place(sandbox))
    with database() as url:
        here, place = (file, url) if engine == "sqlite" else (file.move(url), str(tmp_path / "file.db"))

        def slow(connection, table: str) -> list[str]:
            is_source = isinstance(connection, SqliteEngine) == (engine == "sqlite")
            time.sleep(0.6 if is_source and table == "seats" else 0)
            return columns(connection, table)

        monkeypatch.setattr(rows, "_columns", slow)
        monkeypatch.setattr(postgres_session, "_IDLE_SECONDS", 0.3)
        head = here.head()
        done = here("ledger", "copy", here.place, place, "--yes")
        assert done.code == 0, done.err
        monkeypatch.undo()
        At(sandbox, place).assert_sound(head)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_move_that_is_killed(sandbox, team, tmp_path, whole, engine):
    killing = Killing(tmp_path / "copies", whole)
    log = tmp_path / "log"

    def prepared(url: str) -> tuple[At, str]:
        """A ledger at the one place, and the other place."""
        seatctl = killing.copy(sandbox)
        file = At(seatctl, ledger_place(seatctl))
        return (
            (file, url) if engine == "sqlite" else (file.move(url), str(tmp_path / f"{seatctl.home.name}.db"))
        )

    killing.directory.mkdir()
    with database() as url:
        here, place = prepared(url)
        code, points, err = run(here, place, log, None)
        assert code == 0, err
    numbers = transactions(points)
    assert len(numbers) >= 7
    for number in numbers if whole else numbers[::3] + numbers[-2:]:
        with database() as url:
            here, place = prepared(url)
            head, before = here.head(), charges(here.seatctl)
            code, passed, err = run(here, place, log, number)
            where = f"{number} of {len(points)}: {passed[-1]}"
            assert code == -signal.SIGKILL, (where, err)
            there = At(here.seatctl, place)
            usable = [at("seats", "list").code == 0 for at in (here, there)]
            assert usable in ([True, False], [False, True], [False, False]), where
            if engine == "postgres":
                expire_leases(url)
            code, _, err = run(here, place, log, None)
            assert code == 0, (where, err)
            assert [at("seats", "list").code for at in (here, there)] == [74, 0], where
            there.assert_sound(head)
            there.done("subs add-seats design 1 --yes")
            assert len(charges(here.seatctl)) == len(before) + 1, where
