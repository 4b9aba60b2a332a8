"""Faults: what a step may suffer at the boundaries of the program, which are its calls to Stripe and its SQL.

A killed process runs nothing any more: after `Killed` every call to Stripe, every statement and every opened
file raises it again, until the next process begins. What happens between the program and a server that has
the ledger is in `round_trips.py`.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from unittest import mock
from urllib.parse import unquote_plus

from seatctl.app import connections
from seatctl.sandbox.api.twin import Answer, TimedOut, Twin
from tests.simulator.pinned import Pins
from tests.support.damage import KINDS, STILL_VALID, damaged

if TYPE_CHECKING:
    from seatctl.ledger.engines.postgres_leases import _Lease
    from seatctl.ledger.engines.postgres_link import Link
    from tests.simulator.world import Result

HANDLE = Twin.handle
"""The sandbox itself, for those who are not the program: the dashboard, the cardholder, the invariants."""

CONNECT = sqlite3.connect

WRITES = ("INSERT", "UPDATE", "DELETE", "COMMIT", "REPLACE")

DAMAGES = tuple(f"damaged: {kind}" for kind in KINDS)
LINE = (
    *("cut before", "cut after", "cut after", "cut late", "gone before", "gone after"),
    *("terminated", "deadlock", "refused"),
)
"""What happens to a connection to a server, which itself stays alive: the connection is cut before the server
hears of a statement, or after it has carried it out; or what was sent arrives after the client has connected
again. `gone`: no new connection can be made either. `terminated`: the server ends it and says so."""

DISTURBANCES = ("kill", "full", "lost", "429", "500", "503", "damaged", *{*LINE})
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


@dataclass(frozen=True)
class Meeting:
    """Another process runs a whole command while the first one is at its boundary number `at`.

    `suspended`: the first one is suspended for so many seconds, and does not know it.
    """

    at: int
    words: tuple[str, ...]
    actor: str = ""
    stdin: str = ""
    suspended: int = 0

    def __str__(self) -> str:
        given = f" <<< {self.stdin!r}" if self.stdin else ""
        after = f" after {self.suspended} s" if self.suspended else ""
        return f"at {self.at}{after}, {self.actor or 'ann'}: seatctl {' '.join(self.words)}{given}"


def fault_on_the_line(chance: Random) -> Fault:
    """What happens to the connection to a server, at a COMMIT or anywhere, once or again and again."""
    kind = chance.choice(LINE)
    if kind == "refused":
        return Fault(kind, chance.choice([0, 0, 1]), chance.choice([1, 1, 1000]))
    if chance.random() < 0.5:
        return Fault(kind, int(chance.expovariate(1 / 2)), chance.choice([1, 1, 2, 1000]), "COMMIT")
    return Fault(kind, int(chance.expovariate(1 / 6)), chance.choice([1, 1, 1, 2, 20, 1000]))


def random_fault(chance: Random, kinds: Sequence[str] = (), *, server: bool = False) -> Fault:
    """Most often something on the wire, at a write or at any call, once or until the program gives up.

    `kinds` are what a history about one fault has of them. `server`: the ledger is on a server.
    """
    if server and (kinds == LINE or chance.random() < 0.35):
        return fault_on_the_line(chance)
    if server and chance.random() < 0.1:
        return Fault("kill", int(chance.expovariate(1 / 10)))
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


@dataclass
class Process:
    """One process of the program: what may happen to it, what it has opened, and whether it lives."""

    faults: tuple[Fault, ...] = ()
    meeting: Meeting | None = None
    meet: Callable[[Meeting, str], Result] | None = None
    dead: bool = False
    suspended: bool = False
    is_quiet: bool = False
    """Whether nothing happens to it just now."""
    is_cut_off: bool = False
    """Whether it can make no connection to a server any more."""
    hit: list[str] = field(default_factory=list)
    """What really happened in this step."""
    calls: list[tuple[str, str, str]] = field(default_factory=list)
    """The calls to Stripe of this step: method, path, form."""
    met: Result | None = None
    """How the command ended that ran in the middle of this one."""
    wrong: list[str] = field(default_factory=list)
    """What it must not have done, seen in the middle of it."""
    opened: list[Connection] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    leases: list[_Lease] = field(default_factory=list)
    """Those that it holds."""
    passed: int = 0
    written: int = 0
    numbers: dict[Fault, int] = field(default_factory=dict)

    def number(self, fault: Fault) -> bool:
        """Count what a fault could hit; return whether it hits it."""
        number = self.numbers.get(fault, 0)
        self.numbers[fault] = number + 1
        return fault.at <= number < fault.at + fault.times


class Boundary:
    """Counts what passes, and lets the faults of the step happen."""

    def __init__(self, pins: Pins) -> None:
        self.pins = pins
        self.skew = 0
        """Seconds by which the program's clock is ahead of Stripe's."""
        self.processes: list[Process] = []
        """Those that run, the last one in the middle of the others."""
        self.on_end: Callable[[Process], None] = lambda _: None
        """What the system does to the connections of a process that has ended, or was killed."""
        self.before_write: Callable[[Process, str], None] = lambda *_: None
        """Looks at a write to Stripe before it is sent."""

    @property
    def process(self) -> Process | None:
        """The process that runs just now, if any does."""
        return self.processes[-1] if self.processes else None

    @contextmanager
    def running(self, process: Process) -> Iterator[None]:
        """A process runs; what it has opened is closed at its end."""
        self.processes.append(process)
        try:
            yield
        finally:
            for connection in process.opened:
                connection.close()
            self.on_end(process)
            self.processes.pop()

    def alive(self) -> None:
        if self.process is not None and self.process.dead:
            raise Killed

    def pass_by(self, where: str) -> None:
        """A point at which a kill may come, or another process have its turn."""
        self.alive()
        process = self.process
        if process is None or process.is_quiet:
            return
        for fault in process.faults:
            if fault.kind == "kill" and fault.at == process.passed:
                process.dead = True
                process.hit.append(f"killed {where}")
                self.on_end(process)
                raise Killed
        meeting = process.meeting
        if meeting is not None and process.meet is not None and meeting.at == process.passed:
            process.meeting = None
            process.hit.append(f"met {where}")
            process.met = process.meet(meeting, where)
        process.passed += 1

    def writes(self, connection: Connection, sql: str) -> None:
        """A statement that writes: the disk may be full."""
        process = self.process
        if process is None:
            return
        for fault in process.faults:
            if fault.kind == "full" and fault.at <= process.written < fault.at + fault.times:
                process.hit.append(f"disk full at {sql.split(maxsplit=1)[0]}")
                process.written += 1
                if connection.in_transaction:
                    sqlite3.Connection.execute(connection, "ROLLBACK")
                full = sqlite3.OperationalError("database or disk is full")
                full.sqlite_errorcode, full.sqlite_errorname = sqlite3.SQLITE_FULL, "SQLITE_FULL"
                raise full
        process.written += 1

    def on_the_wire(self, method: str, url: str) -> Fault | None:
        """The fault that this call suffers."""
        found = None
        process = self.process
        for fault in process.faults if process else ():
            if fault.kind in WIRE and fault.only in {"", method} and process and process.number(fault):
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
        if boundary.process is not None:
            boundary.process.opened.append(made)
        boundary.pins.function_for(made)
        return made

    def handle(twin: Twin, method: str, url: str, headers: dict[str, str], form: str | None) -> Answer:
        process = boundary.process
        assert process is not None, "only a process calls Stripe this way"
        boundary.pass_by(f"before {method} {url.partition('?')[0]}")
        call = (method, url.partition("?")[0], unquote_plus(form or ""))
        if method != "GET" and call not in process.calls[-1:]:  # a repetition has the same key
            boundary.before_write(process, f"{method} {call[1]}")
        process.calls.append(call)
        fault = boundary.on_the_wire(method, url)
        if fault is None:
            answer = HANDLE(twin, method, url, headers, form)
        elif fault.kind in DAMAGES:
            true = HANDLE(twin, method, url, headers, form)
            kind = fault.kind.removeprefix("damaged: ")
            status, body = damaged(kind, method, url, true.status, true.body)
            answer = Answer(status, true.headers, body)
            if answer != true and kind not in STILL_VALID:
                process.hit.append(f"{fault.kind}: {method} {url.partition('?')[0]}")
        else:
            process.hit.append(f"{fault.kind}: {method} {url.partition('?')[0]}")
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
    if kind == "429":  # in one of its two forms, always the same for the same call
        code, after = ("lock_timeout", {"Retry-After": "1"}) if len(url) % 2 else ("rate_limit", {})
        error = (
            f'{{"error":{{"type":"invalid_request_error","code":"{code}","message":"Too many requests"}}}}'
        )
        return Answer(429, {**json, **after}, error)
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
