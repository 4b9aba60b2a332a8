"""A large ledger is copied to a server and back: the same, in memory that does not grow with it.

Two thousand users by default, a hundred thousand with --whole-proofs.
"""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from tests.support.places import At, database
from tests.support.subscriptions import add_subscription, ledger_place
from tests.support.warm import python

MEASURED = """
import resource, sys
from seatctl.__main__ import main
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
code = main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
sys.exit(code)
"""
MOST_MEMORY = 60 << 10
"""KiB. A hundred thousand users with their seats and their audit are 250 MB of rows in Python."""

pytestmark = pytest.mark.slow


def move(at: At, place: str) -> tuple[At, int, float]:
    """Move the ledger in a process of its own: the other place, how far its memory grew, and the seconds."""
    words = ("ledger", "copy", at.place, place, "--yes", "-q")
    started = time.monotonic()
    process = python(MEASURED, *words, env=at.seatctl.environment(at.variables), stdout=subprocess.PIPE)
    out, err = process.finish(timeout=600)
    assert process.returncode == 0, err
    return At(at.seatctl, place), int(out.split()[-1]), time.monotonic() - started


def test_a_large_ledger(sandbox, tmp_path, whole):
    users = 100_000 if whole else 2_000
    people = tmp_path / "people.csv"
    with people.open("w", encoding="utf-8") as file:
        file.write("email,name,group\n")
        for n in range(users):
            file.write(f"p{n}@example.com,Zoë {n} Ångström-李明,{'Sales' if n % 2 else 'Öst'}\n")
    home = At(sandbox, ledger_place(sandbox))
    name = add_subscription(Path(home.place), seats=users)
    home.done(f"users import {people}")
    home.done(f"seats assign {name} --from {people}")
    gone = tmp_path / "gone.csv"
    gone.write_text("email\n" + "".join(f"p{n}@example.com\n" for n in range(0, users, 3)))
    home.done(f"seats revoke {name} --from {gone}")
    home.done(f"runs undo {home.rows('runs', 'list')[0]['number']}")
    head, before = home.head(), home.contents(tmp_path / "before")
    grown = []
    with database() as url:
        server, memory, seconds = move(home, url)
        grown.append((memory, seconds))
        server.assert_sound(head)
        assert server.contents(tmp_path / "there") == before
        assert server.rows("users", "list", "p17@")[0]["email"] == "p17@example.com"
        back, memory, seconds = move(server, str(tmp_path / "back.db"))
        grown.append((memory, seconds))
    print(f"{users} users: {grown} (KiB, s)")
    assert back.contents(tmp_path / "back") == before
    back.assert_sound(head)
    assert all(memory < MOST_MEMORY for memory, _ in grown), grown
