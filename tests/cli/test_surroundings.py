"""Where seatctl runs: closed or full streams, no home folder, few file descriptors, another system."""

from __future__ import annotations

import errno
import os
import pwd
import sqlite3
import sys
import tempfile
from unittest import mock

import pytest

from seatctl.ledger.engines.sqlite import translated
from seatctl.system.refusals import as_refusal

SEATCTL = f'"{sys.executable}" -m seatctl'
COMMANDS_THAT_READ_STDIN = (
    "users import -",
    "batch -",
    "seats apply - -s design",
    "seats assign design --from -",
    "seats claim --code -",
    "sync --events -",
    "ledger restore - --yes",
    "plans import -",
    "init again --mode test --key-stdin",
)


@pytest.mark.parametrize("command", COMMANDS_THAT_READ_STDIN)
def test_a_closed_stdin_is_no_empty_file(sandbox, command):
    closed = sandbox(*command.split(), "-o", "json", stdin=None)
    assert (closed.code, closed.error["code"]) == (2, "stdin_closed")


@pytest.mark.parametrize("command", ["batch -", "seats claim --code -", "sync --events -"])
def test_what_comes_by_stdin_and_is_not_utf8_is_bad_input(sandbox, command):
    found = sandbox(*command.split(), stdin=b"caf\xe9\n")
    assert found.code in {0, 3}, found.err  # events that are not UTF-8 are no events
    assert "bug" not in found.err


def test_messages_that_cannot_be_written_change_no_exit_code(sandbox):
    for target in ("2>/dev/full", "2>&-"):
        assert sandbox.shell(f"{SEATCTL} users add zoe{len(target)}@example.com {target}").returncode == 0
        assert sandbox.shell(f"{SEATCTL} users add zoe {target}").returncode == 3


def test_a_user_without_a_home_folder_is_told_what_to_set(seatctl, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with mock.patch.object(pwd, "getpwuid", side_effect=KeyError):
        lost = seatctl("status", "-o", "json", env={"SEATCTL_CONFIG": ""})
        assert (lost.code, lost.error["code"]) == (74, "no_home")
        assert "SEATCTL_CONFIG" in lost.error["hint"]
        assert seatctl("init", "--no-input").code == 0
        assert seatctl("users", "list").code == 0


def test_the_home_folder_of_nobody_is_a_bad_path(sandbox):
    found = sandbox("users", "list", "-o", "json", "--ledger", "~no-such-user/ledger.db")
    assert (found.code, found.error["code"]) == (3, "unknown_home")


@pytest.mark.parametrize("command", ["status", "init --no-input --actor ann@example.com"])
def test_a_setting_that_names_a_file_is_told_to_name_a_folder(seatctl, tmp_path, command):
    (tmp_path / "file").write_text("")
    refused = seatctl(*command.split(), "-o", "json", env={"SEATCTL_CONFIG": str(tmp_path / "file")})
    assert (refused.code, refused.error["message"]) == (3, f"{tmp_path / 'file'} is not a folder")
    assert refused.error["hint"] == "set SEATCTL_CONFIG to a folder"


def test_init_names_the_folder_that_cannot_be_written(seatctl, tmp_path):
    file = tmp_path / "file"
    file.touch()
    places = {"SEATCTL_CONFIG": "", "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(file)}
    refused = seatctl("init", "--no-input", "-o", "json", env=places)
    assert (refused.code, refused.error["code"]) == (74, "config_not_writable")
    assert str(file) in refused.error["message"]


def test_a_name_that_the_file_system_does_not_take_is_no_bug(sandbox):
    name = "x" * 300
    for command in (
        ("users", "list", "--ledger", name),
        ("users", "import", name),
        ("seats", "apply", name, "-s", "design"),
        ("plans", "import", name),
        ("users", "list", "--profile", name),
    ):
        found = sandbox(*command)
        assert found.code in {2, 3, 9, 74}, (command, found.err)
        assert "File name too long" in found.err or "profile" in found.err


def test_a_backup_whose_name_the_file_system_does_not_take_is_no_bug(sandbox):
    name = "x" * 300
    for command in (("ledger", "backup", name), ("ledger", "restore", name, "--yes")):
        found = sandbox(*command)
        assert found.code in {2, 3, 9, 74}, (command, found.err)
        assert "File name too long" in found.err


def test_an_argument_that_is_not_utf8_is_refused_before_anything_is_done(sandbox):
    for command in (
        ("users", "add", "zoe@example.com", "--name", "Zo\udce9"),
        ("\udce9",),
        ("--as", "\udce9"),
    ):
        refused = sandbox(*command, "-o", "json")
        assert (refused.code, refused.error["code"]) == (2, "not_utf8")


def test_half_a_character_in_json_is_bad_input(sandbox):
    line = '{"email": "zoe@example.com", "name": "Zo\\ud800"}'
    assert sandbox("users", "import", "-", stdin=line).code == 3


def test_windows_is_told_of_wsl(seatctl):
    with mock.patch.dict(sys.modules, {"fcntl": None}):
        refused = seatctl("init", "--no-input")
    assert refused.code == 2
    assert "WSL" in refused.err
    assert "Traceback" not in refused.err


def test_too_few_file_descriptors_are_said(sandbox):
    for limit in (6, 8, 10, 12):
        found = sandbox.shell(f"ulimit -n {limit}; {SEATCTL} sync -o json")
        assert found.returncode in {0, 75}
        assert found.returncode == 0 or '"too_many_files"' in found.stderr or "ulimit" in found.stderr


def test_a_lock_without_a_file_descriptor_is_not_called_read_only(sandbox):
    opened = os.open

    def refused(path, *words, **options):
        if str(path).endswith("ledger.db.lock"):
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), path)
        return opened(path, *words, **options)

    with mock.patch.object(os, "open", refused):
        told = sandbox("sync", "-o", "json")
    assert (told.code, told.error["code"]) == (75, "too_many_files")


def test_sqlite_cannot_open_a_file_for_two_reasons(tmp_path):
    error = sqlite3.OperationalError("unable to open database file")
    error.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
    assert translated(error, tmp_path).code == "ledger_read_only"
    with mock.patch.object(os, "open", side_effect=OSError(errno.EMFILE, "full")):
        assert translated(error, tmp_path).code == "too_many_files"


def test_what_the_system_has_no_more_of_may_be_there_the_next_time():
    lacks = (MemoryError(), RuntimeError("can't start new thread"), OSError(errno.ENFILE, "full"))
    assert [as_refusal(error).exit_code for error in lacks] == [75, 75, 75]
    assert as_refusal(RuntimeError("ours")) is None
    assert as_refusal(FileNotFoundError(errno.ENOENT, "No such file", "ours")) is None


def test_a_config_that_windows_wrote_is_read_or_refused(sandbox):
    settings = sandbox.home / "config.toml"
    text = settings.read_text()
    settings.write_bytes(text.replace("\n", "\r\n").encode("utf-8-sig"))
    assert sandbox("status").code == 0
    settings.write_bytes(text.encode("utf-16"))
    refused = sandbox("status", "-o", "json")
    assert (refused.code, refused.error["message"]) == (3, f"{settings} is not UTF-8")


def test_no_folder_for_temporary_files_is_said(sandbox):
    with mock.patch.object(tempfile, "tempdir", None), mock.patch("tempfile._candidate_tempdir_list", list):
        told = sandbox("batch", "-", "--dry-run", "-o", "json", stdin="users add zoe@example.com\n")
    assert (told.code, told.error["code"]) == (74, "system_refused")
    assert "TMPDIR" in told.error["hint"]


def test_the_current_folder_may_have_been_deleted(sandbox, tmp_path):
    gone = f'mkdir "{tmp_path}/gone" && cd "{tmp_path}/gone" && rmdir "{tmp_path}/gone"'
    told = sandbox.shell(f"{gone}; PYTHONPATH={tmp_path.cwd()} {SEATCTL} users list --ledger x.db -o json")
    assert (told.returncode, '"system_refused"' in told.stderr) == (74, True), told.stderr


def test_a_completion_that_nobody_can_read_is_no_bug(sandbox):
    asked = sandbox.shell(
        f"_SEATCTL_COMPLETE=complete_bash COMP_WORDS=seatctl COMP_CWORD=1 {SEATCTL} >/dev/full"
    )
    assert (asked.returncode, "Traceback" in asked.stderr) == (74, False), asked.stderr


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_every_file_may_end_its_lines_as_any_system_does(sandbox, pro, tmp_path, end):
    file = tmp_path / "file"

    def written(*lines):
        file.write_bytes(end.join([*lines, ""]).encode())
        return file

    commands = written("users add zoe@example.com", "", "# one more", "users add max@example.com")
    assert sandbox("batch", commands).code == 0
    assert sandbox("users", "import", written("email,name", 'zoe@example.com,"Zoe Z"')).code == 0
    assert sandbox("plans", "import", written(*sandbox("plans", "export").out.splitlines())).code == 0
    settings = sandbox.home / "config.toml"
    settings.write_bytes(end.join(settings.read_text().splitlines()).encode())
    assert [row["name"] for row in sandbox.rows("users", "list")] == [None, "Zoe Z"]


def test_only_a_line_end_ends_a_line_of_a_batch(sandbox):
    refused = sandbox("batch", "-", "-o", "json", stdin='users add zoe@example.com --name "Zoe\u2028Z"\n')
    assert (refused.code, [row["line"] for row in refused.error["rows"]]) == (3, [1])
    assert sandbox("batch", "-", stdin=f"{'x' * 200_000},b\n").code == 3


def test_a_user_without_a_home_folder_has_no_keyring(seatctl, monkeypatch):
    for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    with mock.patch("keyring.set_password", side_effect=RuntimeError("no home")):
        refused = seatctl(
            "init", "--mode", "test", "--key-stdin", "-o", "json", stdin="sk_test_abcdefghijkl\n"
        )
    assert (refused.code, refused.error["code"]) == (8, "no_key")
