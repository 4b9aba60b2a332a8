"""The ledger file: created once, by the first process, and opened only if it can be trusted."""

import json
import os
import shlex
import signal
import sqlite3
import stat
import subprocess
import sys
import textwrap
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from seatctl.errors import Code
from seatctl.ledger.creation import create_ledger
from seatctl.ledger.engines.sqlite import require_sqlite
from seatctl.ledger.engines.sqlite_files import network_file_system
from seatctl.ledger.failures import LedgerCorrupt, NoLedger
from seatctl.ledger.ledger import open_ledger
from seatctl.ledger.schema.migrate import SCHEMA_VERSION
from tests.support import ledgers
from tests.support.needs import need
from tests.support.refusals import refuses
from tests.support.subscriptions import ledger_place, query
from tests.support.warm import python

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


CREATE = """
    import sys
    from datetime import UTC, datetime
    from seatctl.config.settings import ledger_place
    from seatctl.ledger.creation import create_ledger
    place, now = ledger_place(sys.argv[1]), datetime.now(UTC)
    print(create_ledger(place, mode="sandbox", stripe_account=None, now=now).id)
"""


def test_only_the_owner_can_read_the_ledger_and_the_files_beside_it(tmp_path):
    old = os.umask(0)
    try:
        ledger = create_ledger(tmp_path / "a" / "ledger.db", mode="sandbox", stripe_account=None, now=NOW)
        with ledger.money_lock():
            files = sorted((tmp_path / "a").iterdir())
            assert [file.name for file in files] == [
                "ledger.db", "ledger.db-shm", "ledger.db-wal", "ledger.db.lock",
            ]  # fmt: skip
            assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
        ledger.close()
    finally:
        os.umask(old)


def test_processes_that_create_a_ledger_at_once_get_the_same_one(tmp_path):
    path = ledgers.new_place(tmp_path, "ledger")
    makers = [python(CREATE, str(path)) for _ in range(4)]
    ids = {maker.communicate()[0].strip() for maker in makers}
    assert [maker.returncode for maker in makers] == [0, 0, 0, 0]
    ledger = open_ledger(path)
    assert ids == {ledger.id}
    ledger.close()


@pytest.mark.parametrize("statement", [1, 5, 20, 45, 60])
def test_a_migration_killed_at_any_statement_leaves_nothing_half_made(tmp_path, statement):
    path = tmp_path / "ledger.db"
    killed = python(
        """
        import os, signal, sys
        from datetime import UTC, datetime
        from pathlib import Path
        from seatctl.ledger.creation import create_ledger
        from seatctl.ledger.engines import sqlite
        begin, left = sqlite.SqliteEngine.begin_writing, [int(sys.argv[2])]
        def count_down(_statement):
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)
        def begin_and_count(engine):
            begin(engine)
            engine.connection.set_trace_callback(count_down)
        sqlite.SqliteEngine.begin_writing = begin_and_count
        create_ledger(Path(sys.argv[1]), mode="sandbox", stripe_account=None, now=datetime.now(UTC))
        """,
        str(path),
        str(statement),
    )
    killed.communicate()
    assert killed.returncode == -signal.SIGKILL
    with pytest.raises(NoLedger):
        open_ledger(path)
    assert query(path, "SELECT count(*) FROM sqlite_schema") == [(0,)]
    create_ledger(path, mode="sandbox", stripe_account=None, now=NOW).close()
    assert query(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]


def test_opening_a_ledger_loads_no_heavy_modules(tmp_path):
    path = tmp_path / "ledger.db"
    create_ledger(path, mode="sandbox", stripe_account=None, now=NOW).close()
    code = """
        import sys
        from pathlib import Path
        from seatctl.ledger.ledger import open_ledger
        with open_ledger(Path(sys.argv[1])).reading() as reader:
            reader.value("SELECT count(*) FROM seats")
        heavy = ("sqlite_utils", "stripe", "rich", "asyncio", "click", "tempfile")
        print([name for name in heavy if name in sys.modules])
    """
    started = [sys.executable, "-c", textwrap.dedent(code), path]
    opened = subprocess.run(started, capture_output=True, text=True, check=True)
    assert opened.stdout.strip() == "[]"


def test_a_ledger_of_the_first_version_is_migrated_when_it_is_opened(seatctl, sandbox, team):
    path = ledger_place(sandbox)
    with closing(sqlite3.connect(path)) as db:
        made = db.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1").fetchall()
        db.execute("ALTER TABLE subscriptions DROP COLUMN pause_collection")
        db.execute("DELETE FROM _sqlite_migrations WHERE name = 'pause_in_collection'")
        db.execute("PRAGMA user_version = 1")
        db.commit()
    assert seatctl("subs", "list", "-q").out.split() == [team]
    assert query(path, "PRAGMA user_version") == [(SCHEMA_VERSION,)]
    assert query(path, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY 1") == made
    assert seatctl("ledger", "check").code == 0


def test_a_ledger_of_a_later_seatctl_is_not_touched(seatctl, sandbox):
    with closing(sqlite3.connect(ledger_place(sandbox))) as db:
        db.execute("PRAGMA user_version = 99")
    refused = seatctl("seats", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_newer")
    assert "upgrade" in refused.error["hint"]


def test_a_damaged_ledger_is_named_without_a_traceback(seatctl, sandbox):
    path = ledger_place(sandbox)
    path.write_bytes(b"not a database, by far" * 400)
    refused = seatctl("seats", "list", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_corrupt")
    assert str(path) in refused.error["message"]


def test_the_database_of_another_program_is_not_a_ledger(tmp_path):
    path = tmp_path / "ledger.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE cats (name TEXT)")
    for attempt in (open_ledger, lambda p: create_ledger(p, mode="sandbox", stripe_account=None, now=NOW)):
        with pytest.raises(LedgerCorrupt, match="not a ledger"):
            attempt(path)
    assert query(path, "SELECT name FROM sqlite_schema") == [("cats",)]


def test_looking_for_a_ledger_does_not_create_it(tmp_path):
    with pytest.raises(NoLedger) as missing:
        open_ledger(tmp_path / "nowhere.db")
    assert missing.value.hint == "seatctl init"
    assert not (tmp_path / "nowhere.db").exists()


def test_a_ledger_keeps_its_mode_and_account(tmp_path):
    path = ledgers.new_place(tmp_path, "ledger")
    create_ledger(path, mode="test", stripe_account="acct_1", now=NOW).close()
    with refuses(Code.LEDGER_MODE):
        create_ledger(path, mode="live", stripe_account="acct_1", now=NOW)
    with refuses(Code.LEDGER_MODE):
        create_ledger(path, mode="test", stripe_account="acct_2", now=NOW)


def test_an_old_sqlite_is_refused_before_anything_is_created():
    with refuses(Code.SQLITE_TOO_OLD, match=r"3\.38\.5.*needs 3\.39\.0"):
        require_sqlite((3, 38, 5))
    require_sqlite((3, 39, 0))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_ledger_that_cannot_be_written_is_refused(seatctl, sandbox):
    ledger_place(sandbox).chmod(0o400)
    refused = seatctl("users", "add", "a@example.com", "-o", "json")
    assert (refused.code, refused.error["code"]) == (74, "ledger_read_only")


def test_a_writer_that_waited_too_long_may_try_again(tmp_path):
    path = tmp_path / "ledger.db"
    create_ledger(path, mode="sandbox", stripe_account=None, now=NOW).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = python(
            """
            import sys
            from pathlib import Path
            from seatctl.errors import SeatctlError
            from seatctl.ledger.ledger import open_ledger
            try:
                with open_ledger(Path(sys.argv[1]), wait=0.2).journal():
                    print("written")
            except SeatctlError as error:
                print(error.code, int(error.exit_code))
            """,
            str(path),
        )
        assert waiting.communicate()[0].strip() == "ledger_busy 75"


def test_the_money_lock_is_released_when_its_process_dies(tmp_path):
    path = tmp_path / "ledger.db"
    create_ledger(path, mode="sandbox", stripe_account=None, now=NOW).close()
    hold = """
        import sys, time
        from pathlib import Path
        from seatctl.errors import SeatctlError
        from seatctl.ledger import ledger as ledgers
        ledgers.MONEY_WAIT_SECONDS = float(sys.argv[2])
        try:
            with ledgers.open_ledger(Path(sys.argv[1])).money_lock():
                print("held", flush=True)
                time.sleep(float(sys.argv[3]))
        except SeatctlError as busy:
            print(busy.code)
    """
    holder = python(hold, str(path), "5", "60")
    assert holder.stdout.readline() == "held\n"
    assert python(hold, str(path), "0.1", "0").communicate()[0] == "busy\n"
    holder.kill()
    holder.communicate()
    assert python(hold, str(path), "0.1", "0").communicate()[0] == "held\n"


def test_a_network_file_system_is_recognised(tmp_path):
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "/dev/sda1 / ext4 rw 0 0\n"
        "server:/home /home nfs4 rw 0 0\n"
        "/dev/sdb1 /home/local xfs rw 0 0\n"
        "//share /mnt/my\\040share cifs rw 0 0\n"
    )
    kinds = {
        "/var/ledger.db": None,
        "/home/ann/ledger.db": "nfs4",
        "/homely/ledger.db": None,
        "/home/local/ledger.db": None,
        "/mnt/my share/ledger.db": "cifs",
    }
    assert {path: network_file_system(Path(path), mounts) for path in kinds} == kinds
    assert network_file_system(Path("/home/ledger.db"), tmp_path / "none") is None


def test_the_path_of_the_ledger_is_shown(seatctl, sandbox):
    assert seatctl("ledger", "path").out.strip() == str(ledger_place(sandbox))
    assert json.loads(seatctl("ledger", "path", "-o", "json").out)["mode"] == "sandbox"


def test_a_ledger_on_a_read_only_file_system_can_be_read(sandbox):
    assert sandbox("users", "add", "zoe@example.com").code == 0
    need("unshare")
    home = shlex.quote(str(sandbox.home))
    command = f"{shlex.quote(sys.executable)} -m seatctl users list -o json"
    mount = f"mount --bind {home} {home} && mount -o remount,ro,bind {home} || exit 99; {command}"
    frozen = ["unshare", "-m", "sh", "-c", mount]
    done = subprocess.run(frozen, env=sandbox.environment(), capture_output=True, text=True, check=False)
    if done.returncode == 99 or done.stderr.startswith("unshare"):
        pytest.skip("nothing may be mounted here")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == sandbox.rows("users", "list")
