"""A small profile to fuzz: made once, and copied again when it has been written to often enough."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import Result, Seatctl

_PAID = "--billing-email pay@example.com --payment-method pm_card_visa"
_PREPARE = (
    "init --no-input --actor ann@example.com",
    "plans add pro --price 12.00 --currency usd",
    f"subs buy --plan pro --seats 6 --name design --owner ann@example.com {_PAID} --yes",
    "users add zoe@example.com bob@example.com",
    "seats assign design zoe@example.com",
    "requests create bob@example.com -s design",
)

_STATE = {
    "ledger.db": "PRAGMA data_version",
    "sandbox.db": "SELECT max(seq) FROM objects",  # a preview writes its answer, which changes nothing
}


class World:
    """A folder with a profile and the files that inputs are written to."""

    def __init__(self, folder: Path) -> None:
        self._made, self.folder = folder / "made", folder / "work"
        program = Seatctl(self._made)
        for words in _PREPARE:
            done = program(*words.split())
            assert done.code in {0, 10}, done.err
        self._watched: dict[str, sqlite3.Connection] = {}
        self.begin()

    def begin(self) -> None:
        """The profile as it was made."""
        for connection in self._watched.values():
            connection.close()
        # The folder itself stays: the process works inside it.
        self.folder.mkdir(exist_ok=True)
        shutil.rmtree(self.folder / "seatctl", ignore_errors=True)
        shutil.copytree(self._made, self.folder / "seatctl")
        self.program = Seatctl(self.folder / "seatctl")
        self._watched = {path.name: sqlite3.connect(path) for path in self.folder.rglob("*.db")}
        assert self._watched

    def state(self) -> dict[str, object]:
        """What changes as soon as a ledger, the sandbox or the configuration is written to, by its name."""
        versions = {name: one.execute(_STATE[name]).fetchone() for name, one in self._watched.items()}
        return {**versions, "config.toml": (self.folder / "seatctl" / "config.toml").read_bytes()}

    def run(self, argv: tuple[str, ...], stdin: bytes) -> Result:
        """One command line in this process."""
        return self.program(*argv, stdin=stdin)

    def log(self) -> str:
        """The end of the log, in which the traceback of a bug stands."""
        logs = sorted(self.folder.rglob("*.log"), key=lambda path: path.stat().st_mtime)
        return logs[-1].read_text(errors="replace")[-1500:] if logs else ""


@contextmanager
def world() -> Iterator[World]:
    """A world in memory, where there is a file system of it; the process works inside it meanwhile."""
    memory = Path("/dev/shm")
    before = Path.cwd()
    with tempfile.TemporaryDirectory(
        dir=memory if memory.is_dir() else None, prefix="seatctl-fuzz-"
    ) as folder:
        made = World(Path(folder))
        os.chdir(made.folder)
        try:
            yield made
        finally:
            os.chdir(before)
