"""A server that is away, asleep or elsewhere: exit 75, never a wrong answer; and several hosts in one URL."""

from __future__ import annotations

import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.app.test_server_ledger import PASSWORD, database, runner, shared, url, with_subscription
from tests.support.postgres import server

__all__ = ["database", "runner", "shared", "url"]

EVERYTHING = (
    ("check", "zoe@example.com"),
    ("check", "zoe@example.com", "-s", "design", "-q"),
    ("seats", "list"),
    ("status",),
    ("seats", "assign", "design", "zoe@example.com"),
    ("audit", "verify"),
    ("config", "get", "undo_window"),
    ("config", "unset", "undo_window"),
)


@contextmanager
def asleep() -> Iterator[int]:
    """A port that takes connections, and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


def unreachable(machine, *argv: str, place: str) -> None:
    done = machine(*argv, "-o", "json", env={"SEATCTL_LEDGER": place})
    assert (done.code, done.error["code"], done.out) == (75, "ledger_unreachable", ""), done
    assert done.error["hint"] == "run the same command again"
    assert PASSWORD not in done.err


@pytest.mark.parametrize("argv", EVERYTHING)
def test_a_server_that_is_away_is_no_answer(runner, url, argv):
    unreachable(runner, *argv, place=url.replace(str(server().port), "1"))


@pytest.mark.parametrize("shape", ["-o tsv", "-o csv", "-o markdown", "-q"])
def test_a_list_prints_nothing_before_the_server_has_answered(runner, url, shape):
    """Also no header, which a script would take for an empty list."""
    away = {"SEATCTL_LEDGER": url.replace(str(server().port), "1")}
    done = runner("seats", "list", *shape.split(), env=away)
    assert (done.code, done.out) == (75, ""), done


@pytest.mark.parametrize("argv", [*EVERYTHING, ("init",), ("ledger", "migrate")])
def test_without_the_driver_every_command_says_how_to_install_it(runner, url, argv, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    done = runner(*argv, "-o", "json", env={"SEATCTL_LEDGER": url})
    assert (done.code, done.error["code"], done.out) == (74, "postgres_missing", ""), done
    assert done.error["hint"] == "pip install 'seatctl[postgres]'"


def test_without_the_driver_doctor_names_it(shared, monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    found = {row["check"]: row for row in shared("doctor", "-o", "json").json}
    assert found["ledger"]["repair"] == "pip install 'seatctl[postgres]'"


def test_a_server_that_does_not_wake_up_in_time_is_no_answer(runner, url):
    with asleep() as port:
        started = time.monotonic()
        place = f"{url.replace(str(server().port), str(port))}?connect_timeout=2"
        unreachable(runner, "check", "zoe@example.com", place=place)
        assert time.monotonic() - started < 12


def test_an_unknown_host_is_no_answer(runner):
    place = f"postgresql://ann:{PASSWORD}@nowhere.invalid/seats"
    unreachable(runner, "check", "zoe@example.com", place=place)


def test_the_first_host_of_several_that_can_be_written_is_used(runner, database):
    hosts = f"127.0.0.1:1,127.0.0.1:{server().port}"
    place = {"SEATCTL_LEDGER": f"postgresql://postgres@{hosts}/{database}?target_session_attrs=read-write"}
    added = runner("users", "add", "zoe@example.com", env=place)
    assert added.code == 0, added.err
    assert runner("check", "zoe@example.com", env=place).code == 7


def test_an_erasure_says_what_it_cannot_reach(runner):
    with_subscription(runner)
    assert runner("seats", "assign", "design", "zoe@example.com", "--create-users").code == 0
    erased = runner("users", "remove", "zoe@example.com", "--erase", "--yes")
    assert erased.code == 0, erased.err
    for kept in ("write-ahead log", "replicas", "backups"):
        assert kept in erased.err
