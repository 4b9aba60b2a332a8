"""A PostgreSQL server for benches: profiles with a ledger on it, and the processor time of its processes."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg

from bench.measure import Sample, run
from bench.stage import ACTOR, Stage
from tests.support import postgres

_SETTINGS = (
    # Nothing but the command is measured: a checkpoint or a vacuum would come at one run and not at another.
    "autovacuum=off",
    "max_wal_size=4GB",
    "shared_buffers=256MB",
)
_TICKS = os.sysconf("SC_CLK_TCK")


class Server:
    """A running server."""

    def __init__(self) -> None:
        self._server = postgres.Server()
        self._server.stop()
        self._server.start(*_SETTINGS)
        self._resting = len(self._children())

    def close(self) -> None:
        self._server.close()

    def database(self, template: str | None = None) -> str:
        """Create a database, empty or a copy; its name."""
        return self._server.create(template)

    def drop(self, database: str) -> None:
        self._server.drop(database)

    def url(self, database: str) -> str:
        return self._server.url(database)

    def execute(self, database: str, *statements: str) -> Any:
        """Run statements in the ledger's schema; the first value of the last one, if it has one."""
        with self._server.connect(database) as connection:
            connection.execute("SET search_path TO seatctl, public")
            for statement in statements:
                cursor = connection.execute(statement)
            row = cursor.fetchone() if cursor.description else None
            return None if row is None else row[0]

    def connect(self, database: str) -> psycopg.Connection:
        return self._server.connect(database)

    def cpu(self) -> float:
        """Seconds of processor time that all processes of the server have used so far.

        A process that serves a client ends after its client: it is waited for.
        """
        pid = self._server.process.pid
        while True:
            while len(children := self._children()) > self._resting:
                time.sleep(0.005)
            # One that vacuums may end meanwhile; its time is then that of the process that began it.
            with suppress(FileNotFoundError, ProcessLookupError):
                return sum(_used(child) for child in children) + _used(pid, and_children=True)

    def _children(self) -> list[int]:
        pid = self._server.process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _used(pid: int, *, and_children: bool = False) -> float:
    """Seconds of processor time of a process; `and_children`: and of its children that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return sum(map(int, fields[11 : 15 if and_children else 13])) / _TICKS


def processor_time(pid: int) -> float:
    """Seconds of processor time of a process so far, to the microsecond."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9


@contextmanager
def started() -> Iterator[Server]:
    """A server that runs as long as the bench."""
    if sys.platform != "linux":
        sys.exit("this bench reads the processor time of a server from /proc")
    server = Server()
    try:
        yield server
    finally:
        server.close()


class ServerStage(Stage):
    """A profile whose ledger is on a server."""

    def __init__(self, home: Path, server: Server, database: str) -> None:
        super().__init__(home)
        self.server, self.database = server, database
        self.env |= {"SEATCTL_LEDGER": server.url(database), "SEATCTL_SANDBOX": str(home / "sandbox.db")}

    def seatctl(self, *arguments: str | Path, keep: bool = False, memory: bool = False) -> Sample:
        """Run the program; the processor time is that of the client and of the server together."""
        return self._with_server(
            lambda: super(ServerStage, self).seatctl(*arguments, keep=keep, memory=memory)
        )

    def run(self, *arguments: str) -> Sample:
        """Run a Python with these arguments, with the processor time as in `seatctl`."""
        return self._with_server(lambda: run(arguments, self.env, keep=True))

    def _with_server(self, once: Callable[[], Sample]) -> Sample:
        before = self.server.cpu()
        sample = once()
        return replace(sample, cpu=sample.cpu + self.server.cpu() - before)

    def count(self, sql: str) -> int:
        return int(self.server.execute(self.database, sql))

    def copy(self, home: Path) -> ServerStage:
        """The same profile in another directory, with a copy of its ledger in place of the one there."""
        old = home / "database"
        if old.exists():
            self.server.drop(old.read_text())
            shutil.rmtree(home)
        shutil.copytree(self.home, home)
        copied = ServerStage(home, self.server, self.server.database(self.database))
        old.write_text(copied.database)
        return copied


def new_server_stage(home: Path, server: Server) -> ServerStage:
    """An initialised sandbox profile with an empty ledger on the server."""
    home.mkdir(parents=True)
    stage = ServerStage(home, server, server.database())
    stage.prepare("init", "--no-input", "--actor", ACTOR)
    return stage
