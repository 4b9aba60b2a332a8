"""Faults: what a step may suffer at the boundaries of the program, which are its calls to Stripe and its SQL.

A killed process runs nothing any more: after `Killed` every call to Stripe, every statement and every opened
file raises it again, until `Boundary.revive` begins the next process.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from unittest import mock
from urllib.parse import unquote_plus

from seatctl.app import connections
from seatctl.sandbox.api.twin import Answer, TimedOut, Twin
from tests.simulator.pinned import Pins
from tests.support.damage import KINDS, STILL_VALID, damaged

HANDLE = Twin.handle
"""The sandbox itself, for those who are not the program: the dashboard, the cardholder, the invariants."""

CONNECT = sqlite3.connect

WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "REPLACE")

DAMAGES = tuple(f"damaged: {kind}" for kind in KINDS)
DISTURBANCES = ("kill", "full", "lost", "429", "500", "503", "damaged")
"""The beginnings of the names of all faults."""

WIRE = ("lost before", "lost after", "429", "500", "500 worked", "503 page", *DAMAGES)


class Killed(BaseException):
    """SIGKILL, as far as one process can play it."""


@dataclass(frozen=True)
class Fault:
    """`kind` hits `times` boundaries from number `at` on (the first is 0) among those that match `only`."""

    kind: str
    at: int
    times: int = 1
    only: str = ""
    """A method, or nothing for every call to Stripe."""

    def __str__(self) -> str:
        only = f" {self.only}" if self.only else ""
        return f"{self.kind} at{only} {self.at}{'' if self.times == 1 else f' × {self.times}'}"


def random_fault(chance: Random, kinds: Sequence[str] = ()) -> Fault:
    """Most often something on the wire, at a write or at any call, once or until the program gives up.

    `kinds` are what a history about one fault has of them.
    """
    if kinds and (kind := chance.choice(kinds)) != "kill":
        only = chance.choice(["POST", "POST", ""])
        return Fault(kind, int(chance.expovariate(1 / 2)), chance.choice([1, 1000, 1000]), only)
    what = chance.random() if not kinds else 0
    if what < 0.25:
        return Fault("kill", int(chance.expovariate(1 / 25)))
    if what < 0.32:
        return Fault("full", int(chance.expovariate(1 / 8)), chance.choice([1, 1000]))
    kind = chance.choice(WIRE) if chance.random() < 0.5 else chance.choice(WIRE[:6])
    only = chance.choice(["POST", "POST", "DELETE", ""]) if chance.random() < 0.7 else ""
    return Fault(kind, int(chance.expovariate(1 / 3)), chance.choice([1, 2, 4, 1000]), only)


class Boundary:
    """Counts what passes, and lets the faults of the step happen."""

    def __init__(self, pins: Pins) -> None:
        self.pins = pins
        self.skew = 0
        """Seconds by which the program's clock is ahead of Stripe's."""
        self.dead = False
        self.faults: tuple[Fault, ...] = ()
        self.hit: list[str] = []
        """What really happened in this step."""
        self.calls: list[tuple[str, str, str]] = []
        """The calls to Stripe of this step: method, path, form."""
        self.opened: list[Connection] = []
        self._passed = self._written = 0
        self._called: dict[Fault, int] = {}

    def revive(self, faults: tuple[Fault, ...] = ()) -> None:
        """The next process: what the last one had opened is gone."""
        self.dead = False
        for connection in self.opened:
            connection.close()
        self.opened.clear()
        self.faults = faults
        self.hit, self.calls = [], []
        self._passed = self._written = 0
        self._called = dict.fromkeys(faults, 0)

    def alive(self) -> None:
        if self.dead:
            raise Killed

    def pass_by(self, where: str) -> None:
        """A point at which a kill may come."""
        self.alive()
        for fault in self.faults:
            if fault.kind == "kill" and fault.at == self._passed:
                self.dead = True
                self.hit.append(f"killed {where}")
                raise Killed
        self._passed += 1

    def writes(self, connection: Connection, sql: str) -> None:
        """A statement that writes: the disk may be full."""
        for fault in self.faults:
            if fault.kind == "full" and fault.at <= self._written < fault.at + fault.times:
                self.hit.append(f"disk full at {sql.split(maxsplit=1)[0]}")
                self._written += 1
                if connection.in_transaction:
                    sqlite3.Connection.execute(connection, "ROLLBACK")
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                raise full
        self._written += 1

    def on_the_wire(self, method: str, url: str) -> Fault | None:
        """The fault that this call suffers."""
        found = None
        for fault in self.faults:
            if fault.kind in WIRE and fault.only in {"", method}:
                number = self._called[fault]
                self._called[fault] += 1
                if fault.at <= number < fault.at + fault.times:
                    found = found or fault
        return found


class Connection(sqlite3.Connection):
    """A connection of the program."""

    boundary: Boundary
    is_ledger = False

    def _pass(self, sql: str) -> None:
        self.boundary.alive()
        word = sql.lstrip()[:6].upper()
        if word.startswith(WRITES) and not (word == "DELETE" and "temp." in sql):
            if self.is_ledger:
                self.boundary.pass_by(f"before {' '.join(sql.split()[:3])}")
            self.boundary.writes(self, sql)

    def execute(self, sql: str, *parameters: object) -> sqlite3.Cursor:  # type: ignore[override]
        self._pass(sql)
        done = super().execute(sql, *parameters)  # type: ignore[arg-type]
        if sql == "COMMIT" and self.is_ledger:
            self.boundary.pass_by("after COMMIT")
        return done

    def executemany(self, sql: str, rows: object) -> sqlite3.Cursor:  # type: ignore[override]
        self._pass(sql)
        return super().executemany(sql, rows)  # type: ignore[arg-type]


@contextmanager
def installed(boundary: Boundary) -> Iterator[None]:
    """The program works behind this boundary."""

    def connect(database: object, *arguments: object, **options: object) -> sqlite3.Connection:
        boundary.alive()
        made = CONNECT(database, *arguments, **{**options, "factory": Connection})
        made.boundary = boundary
        made.is_ledger = "sandbox" not in str(database)
        boundary.opened.append(made)
        boundary.pins.function_for(made)
        return made

    def handle(twin: Twin, method: str, url: str, headers: dict[str, str], form: str | None) -> Answer:
        boundary.pass_by(f"before {method} {url.partition('?')[0]}")
        boundary.calls.append((method, url.partition("?")[0], unquote_plus(form or "")))
        fault = boundary.on_the_wire(method, url)
        if fault is None:
            answer = HANDLE(twin, method, url, headers, form)
        elif fault.kind in DAMAGES:
            true = HANDLE(twin, method, url, headers, form)
            kind = fault.kind.removeprefix("damaged: ")
            status, body = damaged(kind, method, url, true.status, true.body)
            answer = Answer(status, true.headers, body)
            if answer != true and kind not in STILL_VALID:
                boundary.hit.append(f"{fault.kind}: {method} {url.partition('?')[0]}")
        else:
            boundary.hit.append(f"{fault.kind}: {method} {url.partition('?')[0]}")
            answer = _disturbed(twin, method, url, headers, form, fault.kind)
        boundary.pass_by(f"after {method} {url.partition('?')[0]}")
        return answer

    opening, reading_the_clock = os.open, connections.sandbox_now

    def sandbox_now(path: Path) -> datetime:
        return reading_the_clock(path) + timedelta(seconds=boundary.skew)

    def opened(*arguments: object, **options: object) -> int:
        boundary.alive()
        return opening(*arguments, **options)  # type: ignore[arg-type]

    with ExitStack() as stack:
        stack.enter_context(mock.patch.object(sqlite3, "connect", connect))
        stack.enter_context(mock.patch.object(Twin, "handle", handle))
        stack.enter_context(mock.patch.object(os, "open", opened))
        stack.enter_context(mock.patch.object(connections, "sandbox_now", sandbox_now))
        yield


def _disturbed(
    twin: Twin, method: str, url: str, headers: dict[str, str], form: str | None, kind: str
) -> Answer:
    json = {"Content-Type": "application/json", "Request-Id": "req_fault"}
    if kind == "lost before":
        raise TimedOut(worked=False)
    if kind == "429":
        error = '{"error":{"type":"invalid_request_error","code":"rate_limit","message":"Too many requests"}}'
        return Answer(429, json, error)
    if kind == "503 page":
        return Answer(503, {"Content-Type": "text/html"}, "<html>Service Unavailable</html>")
    if kind == "500":
        return Answer(500, json, '{"error":{"type":"api_error","message":"An unknown error occurred"}}')
    HANDLE(twin, method, url, headers, form)
    if kind == "lost after":
        raise TimedOut(worked=True)
    if kind == "500 worked":
        body = '{"error":{"type":"api_error","message":"An unknown error occurred"}}'
        key = {name.lower(): value for name, value in headers.items()}.get("idempotency-key")
        if key and method == "POST":  # Stripe replays what it answered, a 500 too
            with twin.store.transaction():
                saved = twin.store.answer(key, 0)
                if saved is not None:
                    twin.store.save_answer(key, saved[0], saved[1], twin.now(), 500, body)
        return Answer(500, json, body)
    raise AssertionError(f"no such fault: {kind}")
