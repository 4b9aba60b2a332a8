"""A batch that is killed and resumed ends as an undisturbed one, and what it bought is bought once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time

from tests.support import ledgers
from tests.support.killing import Killing


def users(seatctl) -> list[str]:
    return sorted(row["email"] for row in seatctl.rows("users", "list"))


def lines_of_many(count: int) -> list[str]:
    """Adding, seating, revoking, renaming: what a line does depends on those before it."""
    lines = []
    for n in range(count):
        who = f"w{n % 7}@example.com"
        lines += [
            f"users add w{n}@example.com",
            f"seats assign design {who}",
            f"users edit {who} --name 'Name {n}'",
            f"seats revoke design w{(n + 3) % 7}@example.com",
        ]
    return lines


def state(seatctl) -> tuple:
    """What there is, without what depends on when and in which run it came about."""
    people = [(row["email"], row["name"], row["status"]) for row in seatctl.rows("users", "list")]
    seats = [(row["email"], row["revoked_at"] is None) for row in seatctl.rows("seats", "list", "--all")]
    changes = [
        (row["entity"], row["subject"]) for run in seatctl.rows("runs", "list") if "batch" in run["command"]
        for row in seatctl("runs", "show", run["number"], "-o", "json").json["changes"]
    ]  # fmt: skip
    return people, seats, changes


def batch_run(seatctl) -> int | None:
    return next((run["number"] for run in seatctl.rows("runs", "list") if "batch" in run["command"]), None)


def copy_of(seatctl, target):

    ledgers.copy(seatctl.home, target)
    return type(seatctl)(target)


def test_a_batch_that_is_killed_and_resumed_ends_as_an_undisturbed_one(sandbox, team, file, tmp_path, whole):
    path = file(*lines_of_many(40))
    calm = copy_of(sandbox, tmp_path / "calm")
    began = time.monotonic()
    assert calm.run("batch", path).code in {0, 6}
    lasted = time.monotonic() - began
    wanted = state(calm)
    chance = random.Random(7)
    killed = 0
    for n in range(20 if whole else 4):
        twin = copy_of(sandbox, tmp_path / f"twin{n}")
        process = twin.process("batch", path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(lasted * chance.uniform(0.2, 0.95))
        os.kill(process.pid, signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
        ledgers.expire_leases(twin.home)
        number = batch_run(twin)
        if number is None:  # killed before it had written its lines down
            assert twin("batch", path).code in {0, 6}
        else:
            assert twin("runs", "resume", number).code in {0, 4, 6}
        assert state(twin) == wanted
        assert twin("audit", "verify").code == 0
    assert killed


def test_a_purchase_of_a_killed_batch_is_not_made_twice(sandbox, team, file):
    """The answer is lost, the process dies: the line goes on with the same purchase."""
    path = file("subs add-seats design 2 --yes", "users add zoe@example.com")
    process = sandbox.process(
        "batch", path, env={"SEATCTL_TEST": "1"}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        if any(run["command"].startswith("seatctl subs add-seats") for run in sandbox.rows("runs", "list")):
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    ledgers.expire_leases(sandbox.home)
    number = batch_run(sandbox)
    assert number is not None
    assert sandbox("runs", "resume", number).code in {0, 4}
    assert sandbox.rows("subs", "list")[0]["seats"] == 7
    assert "zoe@example.com" in users(sandbox)
    assert sandbox("sync").code == 0
    assert sandbox.rows("subs", "list")[0]["seats"] == 7


def test_wherever_a_batch_with_a_purchase_is_killed_it_is_bought_once(sandbox, team, file, tmp_path, whole):
    """Before and after every call to Stripe and every commit; by default at every sixth of them."""
    path = file("users add amy@example.com", "subs add-seats design 2 --yes", "users add zoe@example.com")
    killing, argv = Killing(tmp_path / "copies", whole), ("batch", str(path))
    _, ended = killing.undisturbed(sandbox, argv)
    for way in killing.each(sandbox, argv, ended, first=3, step=6):
        twin = way.seatctl
        number = batch_run(twin)
        resumed = twin("batch", path) if number is None else twin("runs", "resume", number)
        assert resumed.code in {0, 4}, (way.where, resumed.err)
        assert twin("sync").code == 0, way.where
        assert twin.rows("subs", "list")[0]["seats"] == 7, way.where
        assert {"amy@example.com", "zoe@example.com"} <= set(users(twin)), way.where
        assert twin.rows("runs", "list", "--state", "pending") == [], way.where
