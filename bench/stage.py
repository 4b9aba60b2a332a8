"""Profiles to measure on: a configuration directory of its own, a sandbox, people, a subscription."""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from bench.measure import Sample, WrongResult, run
from seatctl.__main__ import main

ACTOR = "ann@example.com"
NEEDLE = "Zebediah"
"""A first name that one of 5,000 has."""
SHORT_NEEDLE = "Li"
"""A last name of two letters, as frequent."""


class Stage:
    """A profile in a directory of its own; `seatctl(…)` runs the program on it as a process."""

    def __init__(self, home: Path) -> None:
        self.home = home
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("SEATCTL_", "STRIPE_")) and name != "PYTHONDONTWRITEBYTECODE"
        }
        # An installed program finds its bytecode and asks no keyring of the desktop: neither must be
        # measured as start-up. The floor runs in the same environment.
        self.env = {
            **kept,
            "SEATCTL_CONFIG": str(home),
            "SEATCTL_ACTOR": ACTOR,
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
        }

    def seatctl(self, *arguments: str | Path, keep: bool = False, memory: bool = False) -> Sample:
        return run(["-m", "seatctl", *map(str, arguments)], self.env, keep=keep, memory=memory)

    def prepare(self, *arguments: str | Path) -> None:
        """Run a command in this process, for what is not measured. Raises WrongResult."""
        words, errors = [str(word) for word in arguments], io.StringIO()
        with redirect_stdout(io.StringIO()), redirect_stderr(errors):
            code = main(words, self.env)
        if code != 0:
            raise WrongResult(f"{' '.join(words)}: exit {code}: {errors.getvalue()}")

    @property
    def ledger(self) -> Path:
        return self.home / "default" / "ledger.db"

    def count(self, sql: str) -> int:
        """A number out of the ledger, read with sqlite3 itself."""
        connection = sqlite3.connect(self.ledger)
        try:
            return int(connection.execute(sql).fetchone()[0])
        finally:
            connection.close()

    def copy(self, home: Path) -> Stage:
        """The same profile in another directory, to be changed there."""
        if home.exists():
            shutil.rmtree(home)
        shutil.copytree(self.home, home)
        config = home / "config.toml"
        config.write_text(config.read_text().replace(str(self.home), str(home)))
        return Stage(home)


def new_stage(home: Path) -> Stage:
    """An initialised sandbox profile."""
    stage = Stage(home)
    stage.prepare("init", "--no-input", "--actor", ACTOR)
    return stage


def with_subscription(stage: Stage, seats: int, name: str = "design") -> None:
    """A subscription with so many free seats."""
    if not stage.count("SELECT count(*) FROM plans"):
        stage.prepare(
            *("plans", "add", "pro", "--price", "0.01", "--currency", "usd"),
            *("--interval", "month", "--policy", "flexible"),
        )
    stage.prepare(
        *("subs", "buy", "--plan", "pro", "--seats", str(seats), "--name", name, "--owner", ACTOR),
        *("--billing-email", "pay@example.com", "--payment-method", "pm_card_visa", "--yes"),
    )


def write_people(path: Path, count: int) -> Path:
    """A CSV of `count` people as an HR system exports it: names, groups, days, e-mails not in order."""
    with path.open("w", encoding="utf-8") as file:
        file.write("email,name,group,last_active\n")
        for n in range(count):
            first = NEEDLE if n % 5000 == 4999 else f"First{n * 7919 % 10007}"
            name = f"Wei {SHORT_NEEDLE}" if n % 5000 == 2499 else f"{first} Last{n}"
            mail = f"{first.lower()}.{n * 7919 % 999983}.{n}@example{n % 50}.com"
            file.write(f"{mail},{name},group{n % 20},2026-01-{n % 28 + 1:02d}\n")
    return path
