"""Many clients that change one ledger at the same time, and what is watched from outside meanwhile.

Each client is a process that was forked from this one, with a connection that it keeps. It calls the services
as the commands do, and repeats what met another client as the program does. A whole process for each command
would cost more processor time than the ledger, and hide what the locks cost.
"""

from __future__ import annotations

import multiprocessing
import random
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from multiprocessing.synchronize import Barrier
from threading import BrokenBarrierError
from typing import NamedTuple

from bench.measure import WrongResult, expect
from seatctl.cli.repetition import may_repeat
from seatctl.errors import ExitCode, SeatctlError, TryAgain
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Report

KINDS = ("assign", "revoke", "request", "approve", "deny", "import")
ALLOWED = frozenset((ExitCode.DONE, ExitCode.REFUSED, ExitCode.WAITING))
"""What a command of a client may exit with: done, no seat is left, on the waitlist."""

_FORK = multiprocessing.get_context("fork")
_PAIRS = 10
"""People and subscriptions for each client: each pair is its own, so that it knows who has a seat."""
_IMPORTED = 20
_AT_MOST_SECONDS = 600
_CONNECTED_WITHIN = 120


class Work(NamedTuple):
    """What the clients do."""

    clients: int
    seconds: float
    subscriptions: tuple[str, ...]
    actor: str
    least: int = 1
    """Each client goes on until it has done so many commands, also after the time."""


@dataclass(slots=True)
class Done:
    """What one client, or all of them, did."""

    seconds: list[float] = field(default_factory=list)
    """How long each command took."""
    changes: int = 0
    """Committed audit entries."""
    kinds: Counter[str] = field(default_factory=Counter)
    codes: Counter[int] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """Refusals that no user may see."""
    repeated: int = 0
    """Commands that met another client and were repeated."""
    processor: float = 0.0
    """Seconds of processor time, without the server's."""


class Load(NamedTuple):
    """What all clients did, and for how long."""

    each: list[Done]
    elapsed: float
    samples: int
    """How often it was looked at from outside."""

    @property
    def changes(self) -> int:
        return sum(done.changes for done in self.each)

    @property
    def per_change(self) -> float:
        """Seconds."""
        return self.elapsed / self.changes

    @property
    def repeated(self) -> int:
        return sum(done.repeated for done in self.each)

    @property
    def least(self) -> int:
        """Commands of the client that did the fewest."""
        return min(len(done.seconds) for done in self.each)

    def quantile(self, percent: int) -> float:
        """Return the seconds within which so many of the commands ended."""
        return statistics.quantiles(self._seconds(), n=100)[percent - 1]

    @property
    def processor(self) -> float:
        """Seconds of a client's processor time for each command."""
        return sum(done.processor for done in self.each) / len(self._seconds())

    @property
    def longest(self) -> float:
        """Seconds of the slowest command."""
        return max(self._seconds())

    def _seconds(self) -> list[float]:
        return [seconds for done in self.each for seconds in done.seconds]

    def line(self) -> str:
        """Return what is printed of it."""
        p50, p99, longest = (
            seconds * 1000 for seconds in (self.quantile(50), self.quantile(99), self.longest)
        )
        return (
            f"{self.changes / self.elapsed:,.0f} changes/s,"
            f" p50 {p50:,.0f}, p99 {p99:,.0f}, max {longest:,.0f} ms,"
            f" {len(self._seconds())} commands, at least {self.least} of each client,"
            f" {self.processor * 1000:,.1f} ms of a client's processor for each,"
            f" {self.repeated} repeated, looked at {self.samples} times"
        )


class _Client:
    """One client: its people, and what it believes about them."""

    def __init__(self, number: int, ledger: Ledger, work: Work) -> None:
        self.number, self.ledger, self.work = number, ledger, work
        self.chance = random.Random(number)
        self.pairs: dict[tuple[str, str], str | int | None] = {
            (self.chance.choice(work.subscriptions), person(number, n)): None for n in range(_PAIRS)
        }
        """By subscription and e-mail: `seated`, the number of an open request, or None."""
        self.imports = 0
        self.done = Done()

    def step(self) -> None:
        """Run one command, and note how it ended."""
        kind, run = self._chosen()
        repetitions: list[TryAgain] = []
        started = time.perf_counter()
        while True:
            self.ledger.engine.committed = False  # each command of a user has a connection of its own
            try:
                report = run()
                rows = [*report.rows]
                code = report.exit_code
                self.done.changes += report.run is not None
            except TryAgain as error:
                if may_repeat(self.ledger, error, repetitions):
                    continue
                rows, code = [], error.exit_code
                self._wrong(kind, error)
            except SeatctlError as error:
                rows, code = [], error.exit_code
                if code not in ALLOWED:
                    self._wrong(kind, error)
            break
        self.done.seconds.append(time.perf_counter() - started)
        self.done.kinds[kind] += 1
        self.done.codes[int(code)] += 1
        self.done.repeated += len(repetitions)
        if code in ALLOWED:
            self._learn(kind, int(code), rows)

    def _wrong(self, kind: str, error: SeatctlError) -> None:
        self.done.wrong.append(f"{kind}: exit {int(error.exit_code)}: {error.message}")

    def _chosen(self) -> tuple[str, Callable[[], Report]]:
        from seatctl.models.request import SeatRequestOptions
        from seatctl.services.requests.decide import approve_requests, create_request, deny_requests
        from seatctl.services.seats.assign import assign_seats, revoke_seats
        from seatctl.services.users.people import People

        if self.chance.random() < 0.05:
            return "import", self._import
        self.pair = handle, email = self.chance.choice([*self.pairs])
        state, ledger = self.pairs[self.pair], self.ledger
        if state == "seated":
            return "revoke", lambda: revoke_seats(ledger, self._call("revoke"), handle, People((email,)))
        if isinstance(state, int):
            if self.chance.random() < 0.1:
                return "deny", lambda: deny_requests(ledger, self._call("deny"), [state], None)
            return "approve", lambda: approve_requests(ledger, self._call("approve"), [state])
        if self.chance.random() < 0.35:
            options = SeatRequestOptions(email, handle)
            return "request", lambda: create_request(ledger, self._call("request"), options)
        return "assign", lambda: assign_seats(ledger, self._call("assign"), handle, People((email,)))

    def _import(self) -> Report:
        """Half of the people are known already, and get another group."""
        from seatctl.rules.people import checked_row
        from seatctl.services.users.edit import import_users

        self.imports += 1
        known = [person(self.number, n) for n in range(_PAIRS)]
        new = [f"new{self.imports}-{n}-of{self.number}@example.com" for n in range(_IMPORTED - _PAIRS)]
        group = f"group{self.imports}"
        rows = [checked_row(line, (email, "", group, "")) for line, email in enumerate(known + new, start=1)]
        return import_users(self.ledger, self._call("import"), rows)

    def _learn(self, kind: str, code: int, rows: list) -> None:
        if kind == "import" or code == ExitCode.REFUSED:
            if kind in {"approve", "deny"}:  # it was decided already: the seat was free for the waitlist
                self.pairs[self.pair] = "seated"
            return
        if kind == "request":
            number = rows[0].get("number")
            self.pairs[self.pair] = number if isinstance(number, int) else "seated"
        elif kind == "approve":
            # On the waitlist it gets a seat later; until then there is nothing to revoke: that is no error.
            self.pairs[self.pair] = "seated"
        else:
            self.pairs[self.pair] = "seated" if kind == "assign" else None

    def _call(self, command: str) -> Call:
        now = datetime.now(UTC).replace(microsecond=0)
        return Call(self.work.actor, "bench", f"seatctl {command}", now, undo_window=10)


def person(client: int, n: int) -> str:
    """The e-mail of one of a client's people."""
    return f"p{n}-of{client}@example.com"


def everybody(clients: int) -> Iterator[str]:
    """All people that must be users."""
    return (person(client, n) for client in range(clients) for n in range(_PAIRS))


def load(work: Work, opened: Callable[[], Ledger], watch: Callable[[], None]) -> Load:
    """Let clients work on a ledger, each with one of its own, and watch it meanwhile from this process.

    Raises WrongResult if any of them saw what no user may see, or did nothing of one kind.
    """
    barrier = _FORK.Barrier(work.clients + 1)
    pipes, processes = [], []
    for number in range(work.clients):
        ours, theirs = _FORK.Pipe(duplex=False)
        process = _FORK.Process(target=_run, args=(number, work, opened, barrier, theirs), daemon=True)
        process.start()
        theirs.close()
        pipes.append(ours)
        processes.append(process)
    try:
        with suppress(BrokenBarrierError):  # then a client says why
            barrier.wait(_AT_MOST_SECONDS)
        started, samples = time.monotonic(), 0
        while any(process.is_alive() for process in processes) and not all(pipe.poll() for pipe in pipes):
            watch()
            samples += 1
            time.sleep(0.2)
        elapsed = time.monotonic() - started
        watch()
        each = [_received(pipe) for pipe in pipes]
    finally:
        for process in processes:
            process.terminate()
            process.join()
    found = Load(each, elapsed, samples + 1)
    for done in each:
        if done.wrong:
            raise WrongResult(f"{len(done.wrong)} refusals that no user may see, such as {done.wrong[0]}")
        expect({code for code in done.codes if code not in ALLOWED}, set(), "exit codes")
    if found.least < work.least:
        raise WrongResult(f"a client did {found.least} commands only")
    return found


def _received(pipe: Connection) -> Done:
    try:
        done = pipe.recv()
    except EOFError:
        raise WrongResult("a client ended with an error") from None
    if not isinstance(done, Done):
        raise WrongResult(str(done))
    return done


def _connected(opened: Callable[[], Ledger]) -> Ledger:
    """Return a ledger whose connection is open: a server that gets a hundred at once may take a while."""
    deadline = time.monotonic() + _CONNECTED_WITHIN
    while True:
        ledger = opened()
        try:
            ledger.engine.meta()
        except TryAgain:
            ledger.close()
            if time.monotonic() > deadline:
                raise
        else:
            return ledger


def _run(number: int, work: Work, opened: Callable[[], Ledger], barrier: Barrier, pipe: Connection) -> None:
    try:
        ledger = _connected(opened)
    except SeatctlError as error:
        pipe.send(f"client {number}: {error.message}")
        barrier.abort()
        return
    client = _Client(number, ledger, work)
    try:
        barrier.wait(_AT_MOST_SECONDS)
    except BrokenBarrierError:
        pipe.send("a client could not connect")
        return
    end, used = time.monotonic() + work.seconds, time.process_time()
    try:
        while time.monotonic() < end or len(client.done.seconds) < work.least:
            client.step()
        client.done.processor = time.process_time() - used
        ledger.close()
    except Exception as error:  # noqa: BLE001 - a bug, which must be seen
        pipe.send(f"client {number}: {error!r}")
    else:
        pipe.send(client.done)


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """A port at which the server answers later by some time, in a process of its own."""
    if not seconds:
        yield port
        return
    ours, theirs = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_relay, args=(port, seconds, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        yield ours.recv()
    finally:
        process.terminate()
        process.join()


def _relay(port: int, seconds: float, pipe: Connection) -> None:
    from tests.support.relay import Relay

    pipe.send(Relay(port, delay=seconds).port)
    while True:
        time.sleep(60)
