"""Options that name a file to write: important files are never overwritten, and a file appears complete."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from seatctl.errors import Code
from seatctl.system.files import CannotWrite, new_file
from tests.support.refusals import refuses
from tests.support.subscriptions import add_subscription, ledger_place

ANN = "ann@example.com"
ROWS = f"email,subscription\n{ANN},design\n"


@pytest.fixture
def office(sandbox, tmp_path):
    """Two profiles with a ledger each, a file of people, and a folder for what is written."""
    assert sandbox("init", "second", "--no-input", "--actor", ANN).code == 0
    add_subscription(ledger_place(sandbox), seats=4)
    assert sandbox("users", "add", ANN).code == 0
    assert sandbox("invoices", "list").code == 0, "the sandbox is there"
    (tmp_path / "people.csv").write_text(ROWS)
    return sandbox


def writers(tmp_path: Path) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    """The words before and after the path of each command that writes a file."""
    people = str(tmp_path / "people.csv")
    return [
        (("ledger", "backup"), ("--overwrite",)),
        (("seats", "apply", people, "--save"), ("--overwrite",)),
    ]


def whole(home: Path) -> dict[str, bytes]:
    """Every file that there is, but for what SQLite shares and the log."""
    return {
        str(path): path.read_bytes()
        for path in sorted(home.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", "-wal", ".log"))
    }


@pytest.mark.parametrize(
    "own",
    [
        "default/ledger.db",
        "default/ledger.db-wal",
        "default/ledger.db-shm",
        "default/ledger.db-journal",
        "default/ledger.db.lock",
        "default/ledger.db.batch-lock",
        "default/sandbox.db",
        "default/sandbox.db-wal",
        "second/ledger.db",
        "second/ledger.db.mail-lock",
        "second/sandbox.db",
        "config.toml",
        ".config.lock",
        "log/seatctl.log",
        "../people.csv",
    ],
)
def test_files_that_seatctl_uses_are_never_overwritten(office, tmp_path, own, monkeypatch):
    path = office.home / own
    path.parent.mkdir(exist_ok=True)
    there = path.exists()
    (tmp_path / "links").mkdir()
    names = [path, office.home / "default" / ".." / own, tmp_path / "links" / "symlink"]
    names[2].symlink_to(path)
    if there:
        names.append(tmp_path / "links" / "hard")
        names[3].hardlink_to(path)
    monkeypatch.chdir(tmp_path / "links")
    names.append(Path(os.path.relpath(path)))
    before = whole(office.home)
    for name in names:
        for words, options in writers(tmp_path)[own == "../people.csv" :]:
            for more in (options, (*options, "--dry-run")):
                refused = office(*words, name, *more, "-o", "json")
                assert (refused.code, refused.error["code"], refused.out) == (4, "own_file", ""), (
                    name,
                    words,
                )
    assert whole(office.home) == before
    assert path.exists() == there or own.endswith(("-shm", "-wal"))
    assert office("ledger", "check").code == 0


def test_only_regular_files_are_written(office, tmp_path):
    fifo, folder, full = tmp_path / "fifo", tmp_path / "folder", tmp_path / "link"
    os.mkfifo(fifo)
    folder.mkdir()
    full.symlink_to("/dev/full")
    for words, options in writers(tmp_path):
        for path in (fifo, folder, full, "/dev/null"):
            refused = office(*words, path, *options, "-o", "json")
            assert (refused.code, refused.error["code"]) == (3, "not_a_file"), (words, path)
        gone = office(*words, tmp_path / "nowhere" / "x", *options, "-o", "json")
        assert (gone.code, gone.error["code"]) == (9, "not_found")
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("words", ["ledger backup", "seats apply people.csv --save"])
def test_a_pipe_is_not_a_file(office, tmp_path, monkeypatch, words):
    """/dev/stdout is a link to something that has no path of its own."""
    monkeypatch.chdir(tmp_path)
    reading, writing = os.pipe()
    try:
        refused = office(*words.split(), f"/dev/fd/{writing}", "--overwrite", "-o", "json")
    finally:
        os.close(reading)
        os.close(writing)
    assert (refused.code, refused.error["code"]) == (3, "not_a_file")


def test_only_a_file_can_be_restored(office, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    refused = office("ledger", "restore", tmp_path / "fifo", "--yes", "-o", "json")
    assert (refused.code, refused.error["message"]) == (9, f"{tmp_path / 'fifo'} is not a regular file")


def test_an_existing_file_is_replaced_only_with_overwrite(office, tmp_path):
    for number, (words, options) in enumerate(writers(tmp_path)):
        path = tmp_path / f"there{number}"
        path.write_text("precious")
        path.chmod(0o644)
        refused = office(*words, path, "-o", "json")
        assert (refused.code, refused.error["code"], path.read_text()) == (4, "file_exists", "precious")
        assert "--overwrite" in refused.error["hint"]
        link = tmp_path / f"link{number}"
        link.symlink_to(path)
        assert office(*words, link, *options).code == 0
        assert link.is_symlink(), "what is written is what the link leads to"
        assert (path.read_bytes()[:8] != b"precious", stat.S_IMODE(path.stat().st_mode)) == (True, 0o600)
    assert list(tmp_path.glob(".*.part")) == []


def test_a_database_in_use_is_not_replaced(office, tmp_path):
    """SQLite would apply the old file's log to a new file."""
    copy = tmp_path / "copy.db"
    assert office("ledger", "backup", copy).code == 0
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("INSERT INTO meta (key, value) VALUES ('x', 'y')")
        db.commit()
        refused = office("ledger", "backup", copy, "--overwrite", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "file_exists")
    assert office("ledger", "backup", copy, "--overwrite").code == 0


def test_a_ledger_is_not_restored_onto_itself(office, tmp_path):
    before = ledger_place(office).read_bytes()
    link, hard = tmp_path / "link", tmp_path / "hard"
    link.symlink_to(ledger_place(office))
    hard.hardlink_to(ledger_place(office))
    for path in (ledger_place(office), link, hard):
        refused = office("ledger", "restore", path, "--yes", "-o", "json")
        assert (refused.code, refused.error["code"]) == (4, "same_ledger")
    assert ledger_place(office).read_bytes() == before
    assert list((office.home / "default").glob("*.replaced-*")) == []


def as_process(seatctl, *words, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "seatctl", *words],
        env=seatctl.environment(),
        cwd=seatctl.home,
        input=stdin,
        capture_output=True,
        check=True,
    )


def test_a_dash_is_stdout_and_stdin(office):
    names = set(office.home.iterdir())
    copy = as_process(office, "ledger", "backup", "-").stdout
    assert copy.startswith(b"SQLite format 3")
    plan = as_process(office, "seats", "apply", "-", "--save", "-", stdin=ROWS.encode()).stdout
    assert plan.startswith(b'{"seatctl_plan"')
    assert as_process(office, "seats", "apply", "--saved", "-", stdin=plan).returncode == 0
    assert [row["email"] for row in office.rows("seats", "list")] == [ANN]
    assert b"restored stdin" in as_process(office, "ledger", "restore", "-", "--yes", stdin=copy).stderr
    assert office.rows("seats", "list") == []
    assert set(office.home.iterdir()) - names <= {office.home / "log"}, "no file is called -"
    for words in (("ledger", "export", "-"), ("invoices", "download", "--to", "-", "--since", "2020-01-01")):
        assert office(*words).code == 2, words
    assert office("ledger", "backup", "-", tty=True).code == 2


def test_a_dry_run_of_a_backup_has_checked_nothing(office, tmp_path):
    told = office("ledger", "backup", tmp_path / "x.db", "--dry-run", "-o", "json").json
    assert (told["rows"][0]["checked"], told["summary"].startswith("would have backed up to")) == (
        False,
        True,
    )
    assert not (tmp_path / "x.db").exists()


def test_a_config_that_is_a_symlink_stays_one(office, tmp_path):
    real = tmp_path / "dotfiles.toml"
    config = office.home / "config.toml"
    config.replace(real)
    config.symlink_to(real)
    assert office("config", "set", "actor", "bob@example.com").code == 0
    assert (config.is_symlink(), "bob@example.com" in real.read_text()) == (True, True)


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ("config.toml", "own_file"),
        ("default/sandbox.db", "own_file"),
        ("second/sandbox.db", "own_file"),
        (".config.lock", "own_file"),
        ("default/ledger.db-wal", "own_file"),
        ("default", "not_a_file"),
        ("fifo", "not_a_file"),
    ],
)
def test_a_ledger_replaces_no_other_file(office, tmp_path, place, code):
    """A restore keeps what it replaces, but nothing finds config.toml under another name."""
    assert office("ledger", "backup", tmp_path / "b.db").code == 0
    os.mkfifo(office.home / "fifo")
    before = whole(office.home)
    for words in (
        ("ledger", "restore", tmp_path / "b.db", "--yes"),
        ("init", "third", "--no-input", "--actor", ANN),
    ):
        refused = office("--ledger", office.home / place, *words, "-o", "json")
        assert (refused.code, refused.error["code"]) == (4 if code == "own_file" else 3, code), refused.err
    assert whole(office.home) == before


@pytest.mark.parametrize("place", ["config.toml", "default/sandbox.db", "default", "-"])
def test_init_does_not_overwrite_another_file(office, place):
    path = place if place == "-" else office.home / place
    before = whole(office.home)
    made = office("--ledger", path, "init", "third", "--no-input", "--actor", ANN, "-o", "json")
    assert made.code in {2, 3, 4, 74}, made.err
    found = whole(office.home)
    assert {name: found[name] for name in before} == before


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "file"
    path.write_text("precious")

    def write(overwrite: bool, error: Exception | None) -> None:
        with new_file(path, overwrite=overwrite) as part:
            part.write_text("half")
            if error is not None:
                raise error

    for overwrite, error, raised in (
        (True, ZeroDivisionError(), pytest.raises(ZeroDivisionError)),
        (True, OSError(28, "No space left on device"), pytest.raises(CannotWrite)),
        (False, None, refuses(Code.FILE_EXISTS)),
    ):
        with raised:
            write(overwrite, error)
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
    assert path.read_text() == "precious"
    new = tmp_path / "new"
    with new_file(new) as part:
        part.write_text("whole")
    assert (new.read_text(), stat.S_IMODE(new.stat().st_mode)) == ("whole", 0o600)
