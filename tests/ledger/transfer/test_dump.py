"""A server's ledger is backed up by pg_dump; what pg_restore makes of it gets an id of its own."""

from __future__ import annotations

import shlex
import subprocess

import pytest

from tests.support import postgres
from tests.support.places import At, database
from tests.support.subscriptions import ledger_place

ANN = "ann@example.com"


def typed(hint: str, program: str) -> list[str]:
    """The words of a program's command in a hint, to be run by the tests' own programs."""
    words = shlex.split(hint[hint.index(program) :].partition(";")[0])
    return [str(postgres.binaries() / program), *words[1:]]


@pytest.fixture
def server(sandbox, team):
    file = At(sandbox, ledger_place(sandbox))
    file.done(f"seats assign {team} {ANN} --create-users")
    with database() as url:
        yield file.move(url)


def test_a_dump_becomes_a_ledger_of_its_own(server, team, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused = server("ledger", "backup", "ledger.dump", "-o", "json")
    assert (refused.code, refused.error["code"]) == (4, "server_ledger")
    subprocess.run(typed(refused.error["hint"], "pg_dump"), check=True)
    head, before = server.head(), server.contents(tmp_path / "before")
    with database() as url:
        restored = At(server.seatctl, url)
        refused = restored("ledger", "restore", "ledger.dump", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "server_ledger")
        assert "seatctl ledger new-id" in refused.error["hint"]
        subprocess.run(typed(refused.error["hint"], "pg_restore"), check=True)
        assert restored.contents(tmp_path / "restored") == before
        asked = restored("ledger", "new-id")
        assert (asked.code, "--yes" in asked.err) == (2, True)
        dry = restored("ledger", "new-id", "--dry-run")
        assert (dry.code, "would have changed the id" in dry.err) == (0, True)
        assert restored.head() == head
        assert restored("ledger", "new-id", "--yes", "--as", "bob@example.com").code == 8
        given = restored("ledger", "new-id", "--yes", "-o", "json")
        assert given.code == 0, given.err
        (row,) = given.rows
        assert row["ledger_id"] != row["previous_id"]
        restored.assert_sound(head)
        foreign = restored("seats", "revoke", team, ANN, "-o", "json")
        assert (foreign.code, foreign.error["code"]) == (8, "foreign_ledger")
        restored.done(f"ledger adopt {team} --yes")
        restored.done(f"seats revoke {team} {ANN}")
    server.assert_sound(head)
