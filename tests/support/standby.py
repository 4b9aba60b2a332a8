"""A server with a standby, which follows by streaming replication and answers questions only."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg

from tests.support.postgres import Server

_FOLLOWS_WITHIN = 30.0


class Standby:
    """A running standby."""

    def __init__(self, primary: Server, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.primary, self.folder, self.process = primary, folder, process

    def url(self, database: str) -> str:
        """The URL of a database of the primary, here."""
        return f"postgresql://postgres@/{database}?host={self.folder}&port={self.primary.port}"

    def connect(self) -> psycopg.Connection:
        """Connect as the superuser."""
        return psycopg.connect(
            host=str(self.folder), port=self.primary.port, user="postgres", dbname="postgres", autocommit=True
        )

    def promote(self) -> None:
        """Make it the primary, and wait until it takes writes."""
        with self.connect() as connection:
            assert connection.execute("SELECT pg_promote(true, 30)").fetchone() == (True,)

    def follow(self) -> None:
        """Wait until everything that the primary has written has arrived."""
        with self.primary.connect() as primary:
            (written,) = primary.execute("SELECT pg_current_wal_lsn()").fetchone()
        deadline = time.monotonic() + _FOLLOWS_WITHIN
        while True:
            try:
                with self.connect() as standby:
                    arrived = "SELECT coalesce(pg_last_wal_replay_lsn() >= %s, false)"
                    if standby.execute(arrived, (written,)).fetchone()[0]:
                        return
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
            assert time.monotonic() < deadline, "the standby does not follow"
            time.sleep(0.05)


@contextmanager
def servers(*, synchronous: bool = False) -> Iterator[tuple[Server, Standby]]:
    """A primary and its standby; both stop at the end.

    `synchronous`: the primary acknowledges a commit once the standby has it.
    """
    with closing(Server()) as primary:
        primary.stop()
        primary.start("wal_level=replica", "max_wal_senders=4")
        with _standby(primary) as standby:
            if synchronous:
                standby.follow()
                with primary.connect() as connection:
                    connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
                    connection.execute("SELECT pg_reload_conf()")
            yield primary, standby


@contextmanager
def _standby(primary: Server) -> Iterator[Standby]:
    folder = Path(tempfile.mkdtemp(prefix="ps", dir=primary.folder.parent))
    _own(folder, primary)
    source = ("-h", str(primary.folder), "-p", str(primary.port), "-U", "postgres")
    primary._run("pg_basebackup", "-D", folder / "data", *source, "-R", "-X", "stream", "--checkpoint=fast")
    settings = ["-h", "", "-p", str(primary.port), "-k", str(folder), "-c", "max_connections=200"]
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [primary._programs / "postgres", "-D", folder / "data", *settings],
            user=primary._user,
            cwd=folder,
            env=primary._environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield Standby(primary, folder, process)
    finally:
        process.send_signal(signal.SIGQUIT)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def _own(folder: Path, primary: Server) -> None:
    if primary._user:
        account = pwd.getpwnam(primary._user)
        os.chown(folder, account.pw_uid, account.pw_gid)
