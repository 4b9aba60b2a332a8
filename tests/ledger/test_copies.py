"""Backup, restore and export, also while others write, and what a restored ledger may do."""

import csv
import json
import os
import sqlite3
import stat
import subprocess
from contextlib import closing

import pytest

from tests.support.both_sides import fail
from tests.support.subscriptions import add_subscription, ledger_place, query
from tests.support.warm import python

ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def design(seatctl, sandbox):
    add_subscription(ledger_place(sandbox), seats=4)
    assert seatctl("users", "add", ANN, BOB).code == 0
    assert seatctl("seats", "assign", "design", ANN).code == 0
    return "design"


WRITER = """
import sys
from seatctl.__main__ import main
for n in range(400):
    code = main(["users", "add", f"w{sys.argv[1]}-{n}@example.com", "-q"])
    assert code == 0, code
    sys.stderr.write(f"{n}\\n")
    sys.stderr.flush()
"""


def test_the_restore_drill(seatctl, design, tmp_path):
    writers = [python(WRITER, str(n), env=seatctl.environment(), stdout=subprocess.DEVNULL) for n in range(2)]
    copies = []
    try:
        for writer in writers:
            assert writer.stderr.readline() == "0\n"
        for n in range(5):
            committed = query(ledger_place(seatctl), "SELECT seq, hash FROM audit ORDER BY seq")
            copy = tmp_path / f"backup-{n}.db"
            assert seatctl("ledger", "backup", copy).code == 0
            copies.append((copy, committed))
        assert all(writer.poll() is None for writer in writers), "the writers were done before the backups"
    finally:
        for writer in writers:
            writer.kill()
            writer.communicate()
    assert copies[0][1] != copies[-1][1]
    for copy, committed in copies:
        assert seatctl("ledger", "check", "--ledger", copy).code == 0
        held = query(copy, "SELECT seq, hash FROM audit ORDER BY seq")
        assert held[: len(committed)] == committed
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    copy, committed = copies[-1]
    assert seatctl("ledger", "restore", copy, "--yes").code == 0
    restored = query(ledger_place(seatctl), "SELECT seq, hash FROM audit ORDER BY seq")
    assert restored[: len(committed)] == committed
    refused = seatctl("seats", "assign", design, BOB, "-o", "json")
    assert (refused.code, refused.error["code"]) == (8, "foreign_ledger")
    assert seatctl("ledger", "check").code == 0
    assert seatctl("seats", "list", design).code == 0


def test_a_backup_opens_on_a_read_only_disk(seatctl, design, tmp_path):
    copy = tmp_path / "only" / "backup.db"
    copy.parent.mkdir()
    assert seatctl("ledger", "backup", copy).code == 0
    with closing(sqlite3.connect(f"file:{copy}?mode=ro&immutable=1", uri=True)) as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert [path.name for path in copy.parent.iterdir()] == ["backup.db"]


def test_a_backup_replaces_a_file_only_with_overwrite(seatctl, design, tmp_path):
    copy = tmp_path / "backup.db"
    copy.write_text("precious")
    refused = seatctl("ledger", "backup", copy, "-o", "json")
    assert (refused.code, refused.error["code"], copy.read_text()) == (4, "file_exists", "precious")
    assert seatctl("ledger", "backup", copy, "--overwrite").code == 0
    assert seatctl("ledger", "backup", tmp_path / "no" / "folder" / "b.db").code == 9
    assert not (tmp_path / "no").exists()


def test_a_damaged_ledger_is_not_backed_up(seatctl, design, tmp_path):
    with closing(sqlite3.connect(ledger_place(seatctl))) as db, db:
        db.execute("DROP TRIGGER audit_is_append_only_update")
        db.execute("UPDATE audit SET actor = 'eve@example.com' WHERE seq = 2")
    refused = seatctl("ledger", "backup", tmp_path / "b.db", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_corrupt")
    assert [path.name for path in tmp_path.iterdir()] == ["seatctl"]


def test_a_restore_keeps_the_replaced_ledger_and_sends_nothing_twice(seatctl, design, tmp_path):
    copy, ledger = tmp_path / "backup.db", ledger_place(seatctl)
    seatctl("ledger", "backup", copy)
    assert seatctl("seats", "assign", design, BOB).code == 0
    before = query(ledger, "SELECT value FROM meta WHERE key = 'ledger_id'")
    asked = seatctl("ledger", "restore", copy)
    assert (asked.code, "--yes" in asked.err) == (2, True)
    assert query(ledger, "SELECT count(*) FROM seats") == [(2,)]
    done = seatctl("ledger", "restore", copy, "--yes", "-o", "json")
    row = done.rows[0]
    assert query(ledger, "SELECT count(*) FROM seats") == [(1,)]
    assert query(row["replaced"], "SELECT count(*) FROM seats") == [(2,)]
    assert query(ledger, "SELECT value FROM meta WHERE key = 'ledger_id'") == [(row["ledger_id"],)] != before
    assert query(ledger, "SELECT count(*) FROM outbox WHERE state = 'waiting'") == [(0,)]
    assert query(ledger, "PRAGMA journal_mode") == [("wal",)]
    assert seatctl("audit", "verify").code == 0


FAST_WRITER = """
import itertools, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute("PRAGMA synchronous = OFF")
for n in itertools.count():
    db.execute("INSERT INTO meta (key, value) VALUES (?, '')", (f"written {n}",))
    print(f"written {n}", flush=True)
"""


def written(ledger) -> set[str]:
    return {key for (key,) in query(ledger, "SELECT key FROM meta WHERE key LIKE 'written %'")}


def test_changes_during_a_restore_are_in_one_of_the_two_files(seatctl, design, tmp_path):
    """They are in the old ledger that was set aside, or in the new one: nothing is lost between them."""
    backup, place, log = tmp_path / "backup.db", ledger_place(seatctl), tmp_path / "log"
    assert seatctl("ledger", "backup", backup).code == 0
    for _ in range(8):
        assert seatctl("ledger", "restore", backup, "--yes").code == 0
        with log.open("w") as told:
            writer = python(FAST_WRITER, str(place), stdout=told, stderr=None)
            try:
                while not log.stat().st_size:
                    assert writer.poll() is None
                done = seatctl("ledger", "restore", backup, "--yes", "-o", "json")
                assert done.code == 0, done.err
            finally:
                writer.kill()
                writer.wait()
        complete = log.read_text().splitlines()[:-1]
        assert set(complete) <= written(done.rows[0]["replaced"]) | written(place)
        assert seatctl("ledger", "check").code == 0


def test_a_batch_does_not_continue_in_a_restored_ledger(seatctl, design, tmp_path):
    backup, lines, place = tmp_path / "backup.db", tmp_path / "lines", ledger_place(seatctl)
    assert seatctl("ledger", "backup", backup).code == 0
    lines.write_text("".join(f"users edit {ANN} --name A{n}\n" for n in range(3000)))
    batch = seatctl.process("batch", lines, "-o", "json")
    try:
        while not query(place, "SELECT 1 FROM batch_rows WHERE n = 20 AND state = 'done'"):
            assert batch.poll() is None
        restored = seatctl("ledger", "restore", backup, "--yes")
        assert restored.code == 0
        _, err = batch.communicate(timeout=30)
    finally:
        batch.kill()
    assert (batch.returncode, json.loads(err)["error"]["code"]) == (75, "ledger_replaced")
    assert not any(run["command"].startswith("seatctl batch") for run in seatctl.rows("runs", "list"))
    assert seatctl.rows("runs", "list")[0]["summary"].startswith("restored from a backup")
    assert seatctl("audit", "verify").code == 0


def test_a_damaged_ledger_is_replaced_and_kept(seatctl, design, tmp_path):
    copy, ledger = tmp_path / "backup.db", ledger_place(seatctl)
    seatctl("ledger", "backup", copy)
    ledger.write_bytes(b"not a database" * 1000)
    assert seatctl("seats", "list").code == 74
    done = seatctl("ledger", "restore", copy, "--yes", "-o", "json")
    assert done.code == 0, done.err
    assert seatctl("seats", "list", design, "-q").out == f"{ANN}\n"
    assert b"not a database" in (ledger.parent / done.rows[0]["replaced"]).read_bytes()


@pytest.mark.parametrize("content", [b"", b"no ledger", None])
def test_only_a_backup_can_be_restored(seatctl, design, tmp_path, content):
    file = tmp_path / "backup.db"
    if content is not None:
        file.write_bytes(content)
    before = query(ledger_place(seatctl), "SELECT * FROM meta")
    refused = seatctl("ledger", "restore", file, "--yes")
    assert refused.code in (9, 74)
    assert "hint: name a file that ledger backup has written" in refused.err
    assert query(ledger_place(seatctl), "SELECT * FROM meta") == before
    assert [path for path in ledger_place(seatctl).parent.iterdir() if ".part" in path.name] == []


def test_leftovers_of_a_killed_restore_are_deleted(seatctl, design, tmp_path):
    gone = python("", stdout=None, stderr=None)
    gone.wait()
    beside, backup = ledger_place(seatctl).parent, tmp_path / "backup.db"
    dead = [f".ledger.db.{gone.pid}.part", f"..ledger.db.{gone.pid}.part.{gone.pid}.part-journal"]
    kept = [f".ledger.db.{os.getppid()}.part", "notes.part"]
    for name in (*dead, *kept):
        (beside / name).write_text("a copy")
    assert seatctl("ledger", "backup", backup).code == 0
    assert seatctl("ledger", "restore", backup, "--yes").code == 0
    names = {path.name for path in beside.iterdir()}
    assert (names & {*dead}, names & {*kept}) == (set(), {*kept})


def test_a_restore_needs_the_right_to_manage_the_ledger(seatctl, design, tmp_path):
    copy = tmp_path / "backup.db"
    seatctl("ledger", "backup", copy)
    assert seatctl("ledger", "restore", copy, "--yes", "--as", BOB).code == 8


def test_an_export_is_one_snapshot_and_escapes_formulas(seatctl, design, tmp_path):
    assert seatctl("users", "add", "eve@example.com", "--name", "=cmd()").code == 0
    folder = tmp_path / "out"
    assert seatctl("ledger", "export", folder).code == 0
    with (folder / "users.csv").open(newline="") as file:
        users = {row["email"]: row["name"] for row in csv.DictReader(file)}
    assert users == {ANN: "", BOB: "", "eve@example.com": "'=cmd()"}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()} == {0o600}
    assert (folder / "requests.csv").read_text().startswith("number,email,subscription,")
    assert seatctl("ledger", "export", folder).code == 4
    again = seatctl("seats", "apply", folder / "seats.csv", "--check")
    assert again.code == 0, again.err


def test_an_export_in_json_is_lossless(seatctl, design, tmp_path):
    assert seatctl("users", "edit", ANN, "--name", "=cmd()").code == 0
    folder = tmp_path / "out"
    assert seatctl("ledger", "export", folder, "-o", "json").code == 0
    users = json.loads((folder / "users.json").read_text())
    assert [(row["email"], row["name"]) for row in users] == [(ANN, "=cmd()"), (BOB, None)]
    assert json.loads((folder / "requests.json").read_text()) == []
    count = query(ledger_place(seatctl), "SELECT count(*) FROM changes")[0][0]
    assert len(json.loads((folder / "changes.json").read_text())) == count


def test_a_restored_ledger_can_change_seats_after_adopting_them(sandbox, team, tmp_path):
    assert sandbox("users", "add", BOB).code == 0
    sandbox("ledger", "backup", tmp_path / "b.db")
    assert sandbox("ledger", "restore", tmp_path / "b.db", "--yes").code == 0
    assert sandbox("seats", "assign", team, BOB).code == 8
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 8
    assert sandbox("ledger", "adopt", team, "--yes").code == 0
    assert sandbox("seats", "assign", team, BOB).code == 0
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 0
    assert sandbox("ledger", "check").code == 0


def test_unfinished_operations_in_a_backup_are_shown_as_failed(sandbox, team, tmp_path):
    fail(sandbox, "timeout", times=4, method="POST", path="/v1/subscriptions/")
    assert sandbox("subs", "add-seats", team, "1", "--yes").code == 75
    assert sandbox("ledger", "backup", tmp_path / "b.db").code == 0
    assert sandbox("ledger", "restore", tmp_path / "b.db", "--yes").code == 0
    ((run,),) = query(ledger_place(sandbox), "SELECT run FROM operations WHERE state = 'failed'")
    shown = sandbox("runs", "show", str(run), "-o", "json")
    assert shown.code == 0, shown.err
    assert "unfinished when this ledger's backup was made" in shown.out
    assert sandbox("runs", "list").code == sandbox("ledger", "check").code == 0
