"""The boundary between the program and the server that has its ledger: every round trip passes here.

A client is killed before a batch of statements is sent, or after it was carried out and before its answer is
read; its connections are cut in the same places while the server goes on. What a server does to the session
of a client that is gone is done at once, so that the next client does not have to wait for it. A session that
ended well is used again, as behind PgBouncer.

The server's clock is the simulated one, and so is the uptime of the machine: leases expire by these.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from unittest import mock

import psycopg
from psycopg.pq import TransactionStatus

from seatctl.app.context import Context
from seatctl.ledger.engines import postgres_leases
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.engines.postgres_leases import RENEW_SECONDS, _Lease
from seatctl.ledger.engines.postgres_link import Link, Result
from tests.simulator.faults import LINE, Boundary, Fault, Process

CONNECT = psycopg.connect
"""Connects those who are not the program."""

_OPEN, _EXCHANGE, _POST, _COPY = Link.open, Link.exchange, Link.post, Link.copy
_RELEASE = _Lease.release

_RANDOM = re.compile(rb"gen_random_uuid\(\)")
_ERRORS = {"deadlock": ("40P01", "deadlock detected"), "full": ("53100", "could not extend file")}
"""Errors of the server, by the fault: it raises them itself, in the middle of the transaction."""

Connection = psycopg.Connection[Any]


class RoundTrips:
    """Lets the faults of a step happen to the connections of the processes."""

    def __init__(self, boundary: Boundary) -> None:
        self._boundary = boundary
        self.now: Callable[[], float] = lambda: 0.0
        """The time of the server."""
        self.generation = 0
        """It grows with whatever the program sends to the server."""
        self._idle: list[Connection] = []
        self._renewed: dict[_Lease, float] = {}
        self._late: list[tuple[Process, Connection, Sequence[bytes]]] = []

    # -- what the program calls ----------------------------------------------------------------

    def connect(self, **parameters: Any) -> Connection:
        """In place of `psycopg.connect`."""
        process = self._boundary.process
        if process is None or "prepare_threshold" not in parameters:
            return CONNECT(**parameters)
        self._boundary.pass_by("before connecting")
        refused = [fault for fault in process.faults if fault.kind == "refused" and process.number(fault)]
        if process.is_cut_off or (refused and not process.is_quiet):
            process.hit.append("refused: connecting")
            raise psycopg.OperationalError("connection failed: Connection refused")
        return self._idle.pop() if self._idle else CONNECT(**parameters)

    def open(self, link: Link, patience: float = 0.0) -> Connection:
        """In place of `Link.open`."""
        self._boundary.alive()
        process = self._boundary.process
        if process is not None and link not in process.links:
            process.links.append(link)
        return _OPEN(link, patience)

    def exchange(self, link: Link, texts: Sequence[bytes]) -> list[Result]:
        """In place of `Link.exchange`."""
        link.open()
        what = _named(texts)
        self._boundary.pass_by(f"before {what}")
        texts = [self._pinned(text) for text in texts]
        self.generation += 1
        try:
            fault = self._fault(texts)
            results = (
                _EXCHANGE(link, texts) if fault is None else self._disturbed(link, texts, fault.kind, what)
            )
        finally:
            if fault is None or fault.kind != "cut late":
                self._deliver_late()
        self._boundary.pass_by(f"after {what}")
        return results

    def post(self, link: Link, *texts: bytes) -> None:
        """In place of `Link.post`."""
        link.open()
        what = f"posted {_named(texts)}"
        self._boundary.pass_by(f"before {what}")
        pinned = [self._pinned(text) for text in texts]
        self.generation += 1
        fault = self._fault(pinned)
        if fault is not None and fault.kind not in _ERRORS:
            self._disturbed(link, pinned, fault.kind, what)
        _POST(link, *pinned)
        self._boundary.pass_by(f"after {what}")

    def copy(self, link: Link, statement: str, rows: Iterable[Sequence[SqlValue]]) -> int:
        """In place of `Link.copy`."""
        link.open()
        self._boundary.pass_by("before COPY")
        self.generation += 1
        count = _COPY(link, statement, rows)
        self._boundary.pass_by("after COPY")
        return count

    def drop(self, link: Link) -> None:
        """In place of `Link.drop`: the session is kept for the next process."""
        connection = _detached(link)
        if connection is not None:
            _roll_back(connection)
            self._idle.append(connection)

    def keep(self, lease: _Lease) -> None:
        """In place of `_Lease.keep`: no thread, but whoever lets time pass calls `renew`."""
        if self._boundary.process is not None:
            self._boundary.process.leases.append(lease)
        self._renewed[lease] = self._boundary.pins.uptime

    def release(self, lease: _Lease) -> None:
        """In place of `_Lease.release`."""
        for process in self._boundary.processes:
            if lease in process.leases:
                process.leases.remove(lease)
        self._renewed.pop(lease, None)
        _RELEASE(lease)

    # -- time ----------------------------------------------------------------------------------

    def renew(self) -> None:
        """What the threads do that renew leases, in all processes that run and are not suspended."""
        for number, process in enumerate(self._boundary.processes):
            if process.dead or process.suspended:
                continue
            for lease in [*process.leases]:
                if self._boundary.pins.uptime - self._renewed[lease] >= RENEW_SECONDS:
                    self._renewed[lease] = self._boundary.pins.uptime
                    self._renew(number, process, lease)

    def _renew(self, number: int, process: Process, lease: _Lease) -> None:
        others, self._boundary.processes = self._boundary.processes, self._boundary.processes[: number + 1]
        quiet, process.is_quiet = process.is_quiet, True
        released, lease._released = lease._released, _Once()
        try:
            lease._renew()
        finally:
            lease._released, process.is_quiet, self._boundary.processes = released, quiet, others

    def _pinned(self, text: bytes) -> bytes:
        """A statement with the time and the random values of the simulation."""
        if text.startswith(b"CREATE"):  # the schema
            return text
        if b"clock_timestamp()" in text:
            text = text.replace(b"clock_timestamp()", b"to_timestamp(%.3f)" % self.now())
        if b"gen_random_uuid()" in text:
            text = _RANDOM.sub(lambda _: b"'%s'::uuid" % self._boundary.pins.bytes(16).hex().encode(), text)
        return text

    # -- faults --------------------------------------------------------------------------------

    def _fault(self, texts: Sequence[bytes]) -> Fault | None:
        process, found = self._boundary.process, None
        if process is None or process.is_quiet:
            return None
        commits, writes = b"COMMIT" in texts, any(text.startswith(_WRITES) for text in texts)
        for fault in process.faults:
            if fault.kind == "refused" or fault.kind not in {*LINE, "full"}:
                continue
            is_meant = writes if fault.kind == "full" else commits or fault.only != "COMMIT"
            if is_meant and process.number(fault):
                found = found or fault
        return found

    def _disturbed(self, link: Link, texts: Sequence[bytes], kind: str, what: str) -> list[Result]:
        """Send a batch whose fate this fault decides. Raises psycopg's errors."""
        process = self._boundary.process
        assert process is not None
        process.hit.append(f"{'disk full at' if kind == 'full' else kind + ':'} {what}")
        if kind in _ERRORS:
            place = texts.index(b"COMMIT") if b"COMMIT" in texts else len(texts)
            return _EXCHANGE(link, [*texts[:place], _raised(*_ERRORS[kind])])
        if kind == "cut late" and b"COMMIT" in texts:
            connection = _detached(link)
            assert connection is not None
            self._late.append((process, connection, texts))
        if kind in {"cut after", "gone after"}:
            with suppress(psycopg.Error):
                _EXCHANGE(link, texts)
        process.is_cut_off = process.is_cut_off or kind.startswith("gone")
        self._cut(link)
        if kind == "terminated":
            raise psycopg.errors.AdminShutdown("terminating connection due to administrator command")
        raise psycopg.OperationalError("server closed the connection unexpectedly")

    @staticmethod
    def _cut(link: Link) -> None:
        if (connection := _detached(link)) is not None:
            _roll_back(connection)
            connection.close()

    def _deliver_late(self) -> None:
        """What was sent before the connection was cut reaches the server only now."""
        while self._late:
            _, connection, texts = self._late.pop()
            self.generation += 1
            with suppress(psycopg.Error):
                cursor = connection.cursor()
                cursor.execute(b";\n".join(texts))
                while cursor.nextset():
                    pass
            _roll_back(connection)
            connection.close()

    def end(self, process: Process) -> None:
        """What becomes of the connections of a process that is gone."""
        if any(one is process for one, _, _ in self._late):
            self._deliver_late()
        for link in process.links:
            self._cut(link)
        process.links.clear()
        for lease in process.leases:
            self._renewed.pop(lease, None)
        process.leases.clear()
        self.generation += 1

    def close(self) -> None:
        """Close the sessions that were kept."""
        while self._idle:
            self._idle.pop().close()


_WRITES = (b"INSERT", b"UPDATE", b"DELETE")


class _Once(threading.Event):
    """Not set when it is asked first, but afterwards."""

    def wait(self, timeout: float | None = None) -> bool:
        """Return at once."""
        was_set = self.is_set()
        self.set()
        return was_set


def _named(texts: Sequence[bytes]) -> str:
    """A batch by its last statement that says something, for the trace."""
    if b"COMMIT" in texts:
        return "COMMIT"
    return " ".join(texts[-1].decode(errors="replace").split()[:3])


def _raised(state: str, message: str) -> bytes:
    return f"DO $$ BEGIN RAISE EXCEPTION '{message}' USING ERRCODE = '{state}'; END $$".encode()


def _detached(link: Link) -> Connection | None:
    """Take the connection away from a link, after the answer to what was posted."""
    connection = link._connection
    if connection is not None and not connection.closed:
        with suppress(psycopg.Error):
            link._read_awaited(connection)
    link._connection = link._transformer = None
    return None if connection is None or connection.closed else connection


def _roll_back(connection: Connection) -> None:
    if connection.info.transaction_status != TransactionStatus.IDLE:
        connection.pgconn.exec_(b"ROLLBACK")


def _method(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function that passes on the object whose method it becomes."""

    def method(self: object, *arguments: object, **options: object) -> Any:
        return function(self, *arguments, **options)

    return method


@contextmanager
def on_the_line(boundary: Boundary) -> Iterator[RoundTrips]:
    """The program reaches servers by way of this boundary."""
    trips = RoundTrips(boundary)
    boundary.on_end = trips.end
    boundary.pins.after_sleep = trips.renew
    with ExitStack() as stack:
        for owner, name, value in (
            (psycopg, "connect", trips.connect),
            (Link, "open", _method(trips.open)),
            (Link, "exchange", _method(trips.exchange)),
            (Link, "post", _method(trips.post)),
            (Link, "copy", _method(trips.copy)),
            (Link, "drop", _method(trips.drop)),
            (_Lease, "keep", _method(trips.keep)),
            (_Lease, "release", _method(trips.release)),
            (postgres_leases, "_uptime", lambda: boundary.pins.uptime),
            (Context, "_machine_now", lambda _: datetime.fromtimestamp(trips.now(), UTC)),
        ):
            stack.enter_context(mock.patch.object(owner, name, value))
        stack.callback(trips.close)
        yield trips
