"""A service account that may only read the ledger: lists and `check` answer, and leave no file behind."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from unittest import mock

import pytest

from seatctl.ledger.failures import LedgerBusy
from seatctl.ledger.ledger import open_ledger
from tests.support.needs import need

READS = (
    "check zoe@example.com",
    "users list",
    "seats list",
    "subs list",
    "status",
    "audit log",
    "ledger check",
)


@pytest.fixture
def path(sandbox):
    assert sandbox("users", "add", "zoe@example.com").code == 0
    return sandbox.home / "default" / "ledger.db"


@pytest.fixture
def may_only_read():
    """The system says that nothing may be written."""
    with mock.patch.object(os, "access", lambda _path, mode: not mode & os.W_OK):
        yield


def files(path):
    return sorted((file.name, file.stat().st_size) for file in path.parent.iterdir())


def test_a_command_that_only_reads_works_and_creates_no_file(sandbox, path, may_only_read):
    before = files(path)
    for command in READS:
        assert sandbox(*command.split()).code == (7 if command.startswith("check") else 0), command
    assert "zoe@example.com" in sandbox("users", "list", "-q").out
    refused = sandbox("users", "add", "max@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_read_only")
    assert files(path) == before


def test_a_reader_without_write_permission_is_answered(sandbox, path):
    as_reader = []
    if os.geteuid() == 0:  # root may write everything, unless it gives that up
        need("setpriv")  # root is refused nothing
        as_reader = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]
    for file in path.parent.iterdir():
        file.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        words = [*as_reader, sys.executable, "-m", "seatctl", "users", "list", "-q"]
        done = subprocess.run(words, env=sandbox.environment(), capture_output=True, text=True, check=False)
    finally:
        path.parent.chmod(0o700)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == sandbox("users", "list", "-q").out.split()


def test_a_config_readable_by_a_group_stays_readable(sandbox):
    settings = sandbox.home / "config.toml"
    for before, after in ((0o640, 0o640), (0o600, 0o600), (0o666, 0o640)):
        settings.chmod(before)
        assert sandbox("config", "set", "color", "never").code == 0
        assert stat.S_IMODE(settings.stat().st_mode) == after


def test_a_reader_sees_what_a_writer_has_just_committed(sandbox, path):
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("SELECT count(*) FROM users").fetchone()  # keeps the log from being emptied
        assert sandbox("users", "add", "max@example.com").code == 0
        with mock.patch.object(os, "access", lambda _path, mode: not mode & os.W_OK):
            assert "max@example.com" in sandbox("users", "list", "-q").out


def test_changes_in_an_unreadable_log_are_not_ignored(sandbox, path, tmp_path):
    with closing(sqlite3.connect(path)) as writer:
        writer.execute("SELECT count(*) FROM users").fetchone()
        assert sandbox("users", "add", "max@example.com").code == 0
        copy = tmp_path / "copy.db"
        for end in ("", "-wal"):
            shutil.copy(f"{path}{end}", f"{copy}{end}")
    with mock.patch.object(os, "access", lambda _path, mode: not mode & os.W_OK):
        refused = sandbox("users", "list", "--ledger", copy, "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_read_only")
    assert "seatctl ledger backup" in refused.error["hint"]


def test_a_ledger_written_during_a_read_must_be_read_again(path, may_only_read):
    def read_slowly(ledger):
        with ledger.reading():
            os.utime(path, ns=(0, 0))

    with closing(open_ledger(path)) as ledger, pytest.raises(LedgerBusy):
        read_slowly(ledger)


def test_an_older_ledger_is_not_migrated_by_a_reader(sandbox, path, may_only_read):
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA user_version = 1")
    refused = sandbox("users", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_read_only")
    assert "earlier version" in refused.error["message"]
