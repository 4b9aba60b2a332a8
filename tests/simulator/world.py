"""The world of a history: a profile on a memory disk, the sandbox behind it, and who acts on both."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

from seatctl.__main__ import main
from seatctl.output.emit import Output
from seatctl.sandbox import clock
from seatctl.sandbox.api import control
from seatctl.sandbox.api.twin import Twin
from tests.simulator.books import Books, LedgerFile, Sandbox
from tests.simulator.faults import CONNECT, HANDLE, Boundary, Fault, Killed, Meeting, Process, installed
from tests.simulator.pinned import EPOCH, Pins, pinned
from tests.support.in_process import commands_built_once

if TYPE_CHECKING:
    from tests.simulator.round_trips import RoundTrips
    from tests.simulator.server import Databases, ServerLedger

MEMORY = Path("/dev/shm")
LEDGERS = ("file", "postgres")
LOCK_SECONDS = 0.05
"""How long a command waits for a lock of one in the middle of which it runs: that one waits for it."""
START = EPOCH - 86400

SETUP = (
    "init --no-input --actor ann@example.com",
    "plans add pro --price 12.00 --currency usd --policy flexible",
    "plans add team --price 20.00 --currency usd --policy flexible --set payment_methods=card",
    "plans add later --price 9.00 --currency usd --policy flexible --set increase=prorate_next_invoice",
    (
        "plans add loose --price 7.00 --currency usd --policy flexible --set decrease=now"
        " --set seats_while_processing=yes"
    ),
    "plans add year --price 5.00 --currency usd --interval year --policy term",
    (
        "plans add contract --price 11.00 --currency usd --policy term --set pack_size=1 --set min_seats=1"
        " --set addon_cutoff_days=5 --set renewal_window_days=12"
    ),
    "plans add dime --price 0.60 --currency usd --policy flexible",
    "plans add try --price 12.00 --currency usd --trial-days 12 --trial-without-card pause",
    "plans add taste --price 8.00 --currency usd --trial-days 5 --trial-without-card cancel",
    "users add bob@example.com u0@example.org u1@example.org u2@example.org u3@example.org u4@example.org",
    "users add u5@example.org --group lab",
    "users add u6@example.org --group lab",
    "roles grant bob@example.com assignor",
)


@dataclass(frozen=True)
class Result:
    """How a command ended; `code` is None if it was killed."""

    code: int | None
    out: str
    err: str
    hit: tuple[str, ...] = ()
    calls: tuple[tuple[str, str, str], ...] = field(default=(), repr=False)
    met: Result | None = None
    """How the command ended that another process ran in the middle of this one."""
    wrong: tuple[str, ...] = ()
    """What the program must not have done, seen while it ran."""

    @property
    def row(self) -> dict[str, Any]:
        """The first row of a report."""
        try:
            found = json.loads(self.out)
        except ValueError:
            return {}
        rows = found.get("rows") if isinstance(found, dict) else found
        return rows[0] if rows else {}

    @property
    def error(self) -> dict[str, Any]:
        """What went wrong, as a program reads it; notes may stand before it."""
        place = self.err.find('{"error"')
        if place < 0:
            return {}
        try:
            return json.loads(self.err[place:])["error"]
        except ValueError:
            return {}


class _Stream(io.TextIOWrapper):
    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), encoding="utf-8", newline="", write_through=True)

    def isatty(self) -> bool:
        return False

    def text(self) -> str:
        return self.buffer.getvalue().decode()  # type: ignore[attr-defined]


@dataclass(frozen=True)
class OnServer:
    """Where the ledger of a world is, if it is on a server."""

    databases: Databases
    trips: RoundTrips
    name: str


class World:
    """One history's profile. `directory` holds it; everything in it is the history's own."""

    def __init__(
        self, directory: Path, pins: Pins, boundary: Boundary, server: OnServer | None = None
    ) -> None:
        self.home = directory
        self.pins = pins
        self.boundary = boundary
        self.server = server
        self.skew = 0
        """Seconds by which the machine's clock is ahead of Stripe's; with a server, that of the server."""
        self._environment = {
            "SEATCTL_CONFIG": str(directory),
            "PYTHON_KEYRING_BACKEND": "keyring.backends.null.Keyring",
            "TERM": "dumb",
            "HOME": str(directory),
            "PATH": "/usr/bin:/bin",
        }
        if server is not None:
            self._environment["SEATCTL_LEDGER"] = server.databases.url(server.name)
            self._environment["SEATCTL_SANDBOX"] = str(directory / "default" / "sandbox.db")

    def open(self) -> None:
        """Look at both files from outside, with connections of our own."""
        self.twin = _twin(self.home / "default" / "sandbox.db")
        self._sandbox_file = CONNECT(self.home / "default" / "sandbox.db", isolation_level=None)
        self.sandbox = Sandbox(self._sandbox_file)
        self.ledger: LedgerFile | ServerLedger
        if self.server is None:
            ledger = CONNECT(f"file:{self.home / 'default' / 'ledger.db'}?mode=ro", uri=True)
            ledger.row_factory = sqlite3.Row
            self.ledger = LedgerFile(ledger)
        else:
            self._open_on_server(self.server)
        self.ledger_id = self.ledger.rows("SELECT value FROM meta WHERE key = 'ledger_id'")[0][0]

    def _open_on_server(self, server: OnServer) -> None:
        trips, began = server.trips, self.pins.uptime
        self.ledger = ledger = server.databases.ledger(server.name, lambda: trips.generation)
        trips.now = lambda: self.now + self.skew + self.pins.uptime - began

        def look(process: Process, write: str) -> None:
            own = [lease for lease in process.leases if lease._name == "money"]
            if not own or write.endswith("/create_preview"):
                return
            held = ledger.lease("money")
            if held is None or held[0] != own[0]._params["holder"] or held[1] < trips.now():  # type: ignore[call-overload]
                process.wrong.append(f"{write} without the lease: {held and held[1] - trips.now()}")

        self.boundary.before_write = look

    def close(self) -> None:
        self.twin.close()
        self._sandbox_file.close()
        self.ledger.close()
        if self.server is not None:
            self.server.trips.close()

    def anonymous(self, text: str) -> str:
        """A text without the places of this world."""
        if self.server is not None:
            text = text.replace(self.server.databases.url(self.server.name), "LEDGER")
        return text.replace(str(self.home), "HOME")

    @property
    def leases(self) -> frozenset[str]:
        """The names of the leases that somebody has, or had when it was killed."""
        return frozenset() if self.server is None else frozenset(self.ledger.leases())  # type: ignore[union-attr]

    def leases_last(self) -> float:
        """For how many seconds somebody still holds a lease, be it a process that was killed."""
        if self.server is None:
            return 0.0
        ends = self.ledger.leases().values()  # type: ignore[union-attr]
        return max([0.0, *(end - self.server.trips.now() for end in ends)])

    def books(self) -> Books:
        return Books(self.sandbox.objects(), self.ledger, self.ledger_id, self.now)

    @property
    def now(self) -> int:
        return self.twin.now()

    # who acts ------------------------------------------------------------------------------------------

    def seatctl(
        self,
        *argv: str,
        actor: str = "",
        stdin: str = "",
        faults: tuple[Fault, ...] = (),
        meeting: Meeting | None = None,
    ) -> Result:
        """Run a command as a process of its own would."""
        process = Process(faults, meeting, self._meet)
        self.boundary.skew = self.skew
        out, err = _Stream(), _Stream()
        kept = sys.stdin, sys.stdout, sys.stderr
        environment = {**self._environment, **({"SEATCTL_ACTOR": actor} if actor else {})}
        code: int | None = None
        with self.boundary.running(process):
            sys.stdin, sys.stdout, sys.stderr = _Stream(stdin.encode()), out, err
            try:
                code = int(main(list(argv), environment))
            except Killed:
                code = None
            finally:
                sys.stdin, sys.stdout, sys.stderr = kept
        if process.dead:
            code = None  # what dies while it cleans up has died all the same
        return Result(
            *(code, out.text(), err.text(), tuple(process.hit), tuple(process.calls)),
            met=process.met,
            wrong=tuple(process.wrong),
        )

    def _meet(self, meeting: Meeting, where: str) -> Result:
        """Another process runs a whole command, while the one that runs stands still."""
        from seatctl.ledger.engines import postgres_session

        process, begun = self.boundary.process, Output.begun
        assert process is not None
        # Between its last look at the lease and a call, no process can know that it is suspended.
        process.suspended = bool(meeting.suspended) and not where.startswith(("before POST", "before DELETE"))
        if process.suspended:
            self.pins.suspend(meeting.suspended)
        try:
            with mock.patch.object(postgres_session, "WAIT_SECONDS", LOCK_SECONDS):
                return self.seatctl(*meeting.words, actor=meeting.actor, stdin=meeting.stdin)
        finally:
            Output.begun, process.suspended = begun, False

    def log(self) -> str:
        """The end of the program's log, which has the traceback of a bug."""
        path = self.home / "log" / "seatctl.log"
        return path.read_text()[-2000:] if path.exists() else ""

    def stripe(self, method: str, path: str, form: str = "") -> tuple[int, dict[str, Any]]:
        """A call by somebody else than the program: the dashboard, another program, an invariant."""
        headers = {
            "Authorization": "Bearer sk_test_dashboard",
            "Content-Type": "application/x-www-form-urlencoded",
            "Stripe-Version": "2026-10-28.endive",
        }
        url = f"{path}?{form}" if method == "GET" and form else path
        answer = HANDLE(self.twin, method, url, headers, None if method == "GET" else form)
        return answer.status, json.loads(answer.body)

    def tamper(self, kind: str, identifier: str, **fields: object) -> bool:
        """Set fields of an object in Stripe that no endpoint of the sandbox sets; False if it is gone."""
        store = self.twin.store
        with store.transaction():
            found = store.get(kind, identifier)
            if found is not None:
                due = self._sandbox_file.execute("SELECT due FROM objects WHERE id = ?", (identifier,))
                store.put({**found, **fields}, due=due.fetchone()[0])
        return found is not None

    def retries(self, outcome: str) -> None:
        """What becomes of a subscription whose renewal no retry could collect."""
        control.after_retries(self.twin, outcome)

    def advance(self, seconds: int) -> None:
        """Time passes; what falls due on the way happens."""
        control.advance(self.twin, seconds=seconds)

    def authenticate(self, invoice: str, *, succeeds: bool) -> str:
        """The cardholder answers the bank."""
        return control.authenticate(self.twin, invoice, succeeds=succeeds)


def _twin(path: Path) -> Twin:
    """A twin that the boundary does not see."""
    kept, sqlite3.connect = sqlite3.connect, CONNECT
    try:
        return Twin(path)
    finally:
        sqlite3.connect = kept


class Worlds:
    """Makes worlds, each a copy of one that was set up once."""

    def __init__(
        self,
        directory: Path,
        pins: Pins,
        boundary: Boundary,
        databases: Databases | None,
        trips: RoundTrips | None,
    ) -> None:
        self._directory, self._pins, self._boundary = directory, pins, boundary
        self._databases, self._trips = databases, trips
        self._template = directory / "template"
        self._made = 0
        self._database = "" if databases is None else databases.create()
        first = self._world(self._template, self._database)
        pins.reseed("setup")
        for number, command in enumerate(SETUP):
            done = first.seatctl(*command.split())
            assert done.code == 0, (command, done)
            if number == 0:
                first.open()
                with first.twin.store.transaction():
                    clock.freeze(first.twin.store, START)
        for path, form in (
            ("/v1/coupons", "id=TENTH&percent_off=10&duration=forever"),
            ("/v1/coupons", "id=FREE&percent_off=100&duration=once"),
            ("/v1/coupons", "id=EURO&amount_off=500&currency=eur&duration=once"),
        ):
            status, body = first.stripe("POST", path, form)
            assert status == 200, body
        first.close()
        for log in self._template.rglob("*.log"):
            log.unlink()

    @property
    def are_on_server(self) -> bool:
        """Whether the ledgers are on a server."""
        return self._databases is not None

    def _world(self, home: Path, database: str) -> World:
        server = None
        if self._databases is not None and self._trips is not None:
            server = OnServer(self._databases, self._trips, database)
        return World(home, self._pins, self._boundary, server)

    @contextmanager
    def world(self) -> Iterator[World]:
        """A fresh world, thrown away afterwards."""
        self._made += 1
        home = self._directory / f"w{self._made}"
        shutil.copytree(self._template, home)
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, home)
            name = ""
            if self._databases is not None:
                name = stack.enter_context(self._databases.database(self._database))
            made = self._world(home, name)
            made.open()
            stack.callback(made.close)
            yield made


@contextmanager
def worlds(ledger: str = "file") -> Iterator[Worlds]:
    """Worlds on a memory disk, in a process in which everything is pinned. `ledger`: see LEDGERS."""
    base = MEMORY if os.access(MEMORY, os.W_OK) else None
    databases = None
    if ledger == "postgres":
        from tests.simulator.server import Databases

        databases = Databases()  # before the time stands still
    with ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix="seatctl-simulator-", dir=base))
        pins = stack.enter_context(pinned())
        boundary, trips = Boundary(pins), None
        if databases is not None:
            from tests.simulator.round_trips import on_the_line

            trips = stack.enter_context(on_the_line(boundary))
        stack.enter_context(installed(boundary))
        stack.enter_context(commands_built_once())
        yield Worlds(Path(name), pins, boundary, databases, trips)
