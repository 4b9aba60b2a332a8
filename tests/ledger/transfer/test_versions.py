"""Which program works with which ledger, and who migrates it: on both engines."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from contextlib import closing
from pathlib import Path

import pytest

from seatctl import __version__
from seatctl.ledger.engines.port import SCHEMA_VERSION
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.schema import migrate, versions
from seatctl.ledger.schema.postgres import create
from seatctl.models.ledger_url import ServerUrl
from tests.support.engines import ENGINES
from tests.support.places import At, database
from tests.support.subscriptions import ledger_place, query
from tests.support.warm import ROOT

LATER = SCHEMA_VERSION + 1


@pytest.fixture(params=ENGINES)
def at(sandbox, request):
    file = At(sandbox, ledger_place(sandbox))
    if request.param == "sqlite":
        yield file
        return
    with database() as url:
        yield file.move(url)


@pytest.fixture
def server(sandbox):
    with database() as url:
        yield At(sandbox, ledger_place(sandbox)).move(url)


def execute(at: At, *statements: tuple[str, tuple]) -> None:
    place = ServerUrl(at.place) if "://" in at.place else Path(at.place)
    with closing(open_ledger(place)) as ledger, ledger.journal() as journal:
        for sql, params in statements:
            journal.execute(sql, params)


def need(at: At, version: str) -> None:
    """Let the ledger need this version of the program."""
    execute(at, ("UPDATE meta SET value = ? WHERE key = 'min_client'", (version,)))


def test_an_earlier_program_than_the_ledger_needs_is_refused(at):
    need(at, "99.1.0")
    for command in (
        "seats list",
        "users add new@example.com",
        "check ann@example.com",
        "sync",
        "ledger path",
    ):
        refused = at(*command.split(), "-o", "json")
        assert (refused.code, refused.error["code"]) == (74, "ledger_newer"), command
        assert (refused.error["needed"], refused.error["version"]) == ("99.1.0", __version__)
        assert "needs seatctl 99.1.0 or later" in refused.error["message"]
        assert "upgrade" in refused.error["hint"]


def test_a_program_that_the_ledger_needs_works(at):
    need(at, __version__)
    at.done("users add new@example.com")


def test_the_earlier_program_refuses_a_file_that_was_migrated(sandbox, monkeypatch):
    monkeypatch.setattr(migrate, "SCHEMA_VERSION", SCHEMA_VERSION - 1)
    for needed in ("0.1.0", "0.2.0"):
        query(ledger_place(sandbox), "UPDATE meta SET value = ? WHERE key = 'min_client'", needed)
        refused = sandbox("seats", "list", "-o", "json")
        assert (refused.code, refused.error["code"]) == (74, "ledger_newer")
        assert f"its schema is {SCHEMA_VERSION}" in refused.error["message"]
        assert f"it needs seatctl {needed} or later" in refused.error["message"]
        assert (refused.error["needed"], refused.error["version"]) == (needed, __version__)
    query(ledger_place(sandbox), "DELETE FROM meta WHERE key = 'min_client'")
    refused = sandbox("seats", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_newer")


@pytest.fixture(scope="module")
def earlier_program(tmp_path_factory) -> Path:
    """The program as it was before the schema of today: a folder for PYTHONPATH."""
    shared = "seatctl/ledger/schema/shared_ledger.py"

    def git(*words: str) -> bytes:
        return subprocess.run(["git", "-C", ROOT, *words], check=True, capture_output=True).stdout

    try:
        added = git("log", "--diff-filter=A", "--format=%H", "--", shared).decode().split()[-1]
        archive = git("archive", f"{added}^", "seatctl")
    except (OSError, IndexError, subprocess.CalledProcessError):
        pytest.skip("HISTORY MISSING: the earlier program comes from a clone of git with its history")
    folder = tmp_path_factory.mktemp("earlier")
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
    return folder


def test_the_program_of_the_schema_before_refuses_a_file_that_this_one_migrated(seatctl, earlier_program):
    """The real one, from the history. Its file is migrated by the first command of this program."""

    def earlier(*words: str) -> subprocess.CompletedProcess[str]:
        environment = seatctl.environment({"PYTHONPATH": str(earlier_program)})
        return subprocess.run(
            [sys.executable, "-m", "seatctl", *words],
            cwd=earlier_program,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    made = earlier("init", "--no-input", "--actor", "ann@example.com")
    assert made.returncode == 0, made.stderr
    added = earlier("users", "add", "zoe@example.com")
    assert added.returncode == 0, added.stderr
    assert [user["email"] for user in seatctl.rows("users", "list")] == ["zoe@example.com"]
    assert seatctl("users", "add", "bob@example.com").code == 0
    for words in ("users list", "users add eve@example.com", "check zoe@example.com", "sync"):
        refused = earlier(*words.split(), "-o", "json")
        assert refused.returncode == 74, (words, refused.stderr)
        error = json.loads(refused.stderr)["error"]
        assert error["code"] == "ledger_newer"
        assert f"its schema is {SCHEMA_VERSION}" in error["message"]
        assert "upgrade" in error["hint"]
    assert len(seatctl.rows("users", "list")) == 2
    assert seatctl("audit", "verify").code == 0


def test_a_ledger_of_this_version_is_not_migrated(at):
    for way in ((), ("--dry-run",)):
        done = at("ledger", "migrate", *way, "-o", "json")
        assert done.code == 0, done.err
        assert done.rows == [
            {"place": at.place, "schema_before": SCHEMA_VERSION, "schema": SCHEMA_VERSION},
        ]


@pytest.fixture
def later_program(monkeypatch):
    """A program with one more migration; leave its context, and the program is this one again."""

    def is_later(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(create, "SCHEMA_VERSION", LATER)
        patched.setattr(create, "MIGRATIONS", {LATER: ["ALTER TABLE plans ADD COLUMN color TEXT"]})
        patched.setattr("seatctl.ledger.creation.SCHEMA_VERSION", LATER)

    return is_later


def columns(at: At) -> list[str]:
    with closing(open_ledger(ServerUrl(at.place))) as ledger, ledger.reading() as reader:
        return reader.engine.columns("SELECT * FROM plans")


def test_two_versions_work_with_a_servers_ledger_while_it_is_migrated(server, later_program, monkeypatch):
    """Only the command migrates it, and each of the two programs works before and after."""
    with monkeypatch.context() as patched:
        later_program(patched)
        server.done("users add new@example.com")
        assert "color" not in columns(server)
        dry = server("ledger", "migrate", "--dry-run")
        assert (dry.code, "would have migrated" in dry.err, "color" in columns(server)) == (0, True, False)
        server.done("ledger migrate")
        assert "color" in columns(server)
        assert server("ledger", "migrate", "-o", "json").rows[0]["schema_before"] == LATER
    server.done("users add old@example.com")
    with monkeypatch.context() as patched:
        later_program(patched)
        server.done("users add later@example.com")
    assert len(server.rows("users", "list")) == 3


def test_a_program_two_versions_later_asks_for_the_migration(server, later_program, monkeypatch):
    later_program(monkeypatch)
    monkeypatch.setattr(versions, "OLDEST_ON_SERVER", LATER)
    refused = server("users", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_older")
    assert refused.error["hint"].endswith("seatctl ledger migrate")
    server.done("ledger migrate")
    server.done("users list")


def test_a_ledger_with_another_schema_is_not_copied(server, tmp_path, monkeypatch, later_program):
    later_program(monkeypatch)
    monkeypatch.setattr("seatctl.ledger.transfer.copy.SCHEMA_VERSION", LATER)
    refused = server("ledger", "copy", server.place, tmp_path / "file.db", "--yes", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_older")
    assert not (tmp_path / "file.db").exists()


def test_only_the_owner_migrates(server, later_program, monkeypatch):
    """Anybody else is refused by PostgreSQL itself, and nothing is changed."""
    from tests.support import postgres

    name = server.database
    with postgres.server().connect(name) as connection:
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT USAGE ON SCHEMA seatctl TO reader")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA seatctl TO reader")
    try:
        other = At(server.seatctl, server.place.replace("postgres@", "reader@"))
        later_program(monkeypatch)
        refused = other("ledger", "migrate", "-o", "json")
        assert (refused.code, refused.error["code"]) == (8, "not_allowed")
        assert "color" not in columns(server)
    finally:
        with postgres.server().connect(name) as connection:
            connection.execute("DROP OWNED BY reader")
            connection.execute("DROP ROLE reader")


def test_a_ledger_that_does_not_exist_is_not_migrated(sandbox, tmp_path):
    refused = sandbox("ledger", "migrate", "--ledger", tmp_path / "none.db", "-o", "json")
    assert (refused.code, refused.error["code"]) == (9, "no_ledger")
