"""A relay between a client and a PostgreSQL server that breaks the connection at a chosen query.

It reads the messages of the protocol, so that a query is a query and an answer is a whole answer, however the
network has cut them. A query is what costs a round trip: a batch of statements, or the end of a COPY.
"""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

_STARTUP = 196608
_ENCRYPTION = {80877103, 80877104}
"""The requests for TLS and for GSSAPI; the relay answers them: no."""
_ANSWERED = {b"Z", b"G"}
"""Messages that end an answer: the server is ready for a query, or for the rows of a COPY."""


@dataclass(frozen=True)
class Fault:
    """What happens at a query."""

    arrives: bool
    """Whether the query arrives at the server."""
    answered: bool = True
    """If it arrives: whether the server has finished it when the connection breaks."""
    away: float = 0.0
    """For how many seconds the server then cannot be reached."""
    ended: bool = False
    """Whether the server says that it ends the connection: 57P01."""


FAULTS = {
    "cut before it arrives": Fault(arrives=False),
    "cut before its answer": Fault(arrives=True),
    "cut while it is executed": Fault(arrives=True, answered=False),
    "ended by the server": Fault(arrives=False, ended=True),
    "restarted before it arrives": Fault(arrives=False, away=0.3),
    "restarted before its answer": Fault(arrives=True, away=0.3),
    "stopped before it arrives": Fault(arrives=False, away=math.inf),
    "stopped before its answer": Fault(arrives=True, away=math.inf),
}
"""What a client sees of a connection that is cut, and of a server that stops or restarts."""


class FaultRelay:
    """Counts the queries of all connections, and breaks the connection once, at the query that is chosen."""

    def __init__(self, target: int) -> None:
        self.queries: list[bytes] = []
        """The text of each query that was seen, in order."""
        self.broken = threading.Event()
        """Set when the fault has happened."""
        self._target = target
        self._at = 0
        self._fault = Fault(arrives=True)
        self._act: Callable[[], object] = bool
        self._unreachable_until = 0.0
        self._lock = threading.Lock()
        self._ends: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def break_at(self, number: int, fault: Fault, act: Callable[[], object] = bool) -> None:
        """Break the connection at this query, the first being 1. `act` is called just before."""
        self.queries.clear()
        self.broken.clear()
        self._at, self._fault, self._act = number, fault, act

    def break_now(self, fault: Fault) -> None:
        """Break all connections, between two queries."""
        self._unreachable_until = time.monotonic() + fault.away
        self.cut()
        self.broken.set()

    def reach(self) -> None:
        """Let the server be reached again."""
        self._unreachable_until = 0.0

    def cut(self) -> None:
        """Cut all connections."""
        ends, self._ends = self._ends, []
        for end in ends:
            _close(end)

    def close(self) -> None:
        """Cut all connections, and accept no more."""
        _close(self._listener)
        self.cut()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if time.monotonic() < self._unreachable_until:
                    client.close()
                    continue
                try:
                    server = socket.create_connection(("127.0.0.1", self._target))
                except OSError:  # the server does not run
                    client.close()
                    continue
                for end in (client, server):
                    end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                    self._ends.append(end)
                _Pair(self, client, server).start()

    def comes(self, text: bytes) -> Fault | None:
        """Count a query; the fault if it is the chosen one."""
        with self._lock:
            self.queries.append(text)
            return self._fault if len(self.queries) == self._at else None

    def breaks(self, fault: Fault) -> None:
        """Let the fault happen, but for the connection itself."""
        self._unreachable_until = time.monotonic() + fault.away
        self._act()
        self.broken.set()


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, relay: FaultRelay, client: socket.socket, server: socket.socket) -> None:
        self.relay, self.client, self.server = relay, client, server
        self.lost: Fault | None = None
        """The fault because of which no answer is passed on any more."""

    def start(self) -> None:
        for work in (self._requests, self._answers):
            threading.Thread(target=work, daemon=True).start()

    def _requests(self) -> None:
        with suppress(OSError, EOFError):
            self._greet()
            while True:
                kind, message = _read(self.client)
                if kind in {b"Q", b"c"} and (fault := self.relay.comes(message[5:])) is not None:
                    self._break(fault, message)
                    return
                self.server.sendall(message)
        if self.lost is None:
            _close(self.server)

    def _greet(self) -> None:
        while True:
            length = _exactly(self.client, 4)
            rest = _exactly(self.client, int.from_bytes(length) - 4)
            if int.from_bytes(rest[:4]) in _ENCRYPTION:
                self.client.sendall(b"N")
                continue
            self.server.sendall(length + rest)
            if int.from_bytes(rest[:4]) == _STARTUP:
                return

    def _break(self, fault: Fault, message: bytes) -> None:
        if fault.ended:  # what the server then says is passed on
            self.relay.breaks(fault)
            return
        if fault.arrives:
            self.lost = fault
            self.server.sendall(message)
            if fault.answered:  # `_answers` does the rest
                return
        self.relay.breaks(fault)
        _close(self.client)
        with suppress(OSError):
            self.server.shutdown(socket.SHUT_WR)

    def _answers(self) -> None:
        with suppress(OSError, EOFError):
            while True:
                kind, message = _read(self.server)
                if self.lost is None:
                    self.client.sendall(message)
                elif self.lost.answered and kind in _ANSWERED:
                    self.relay.breaks(self.lost)
                    break
        _close(self.client)
        _close(self.server)


def _exactly(end: socket.socket, length: int) -> bytes:
    parts = []
    while length:
        part = end.recv(min(length, 65_536))
        if not part:
            raise EOFError
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _read(end: socket.socket) -> tuple[bytes, bytes]:
    """The kind of the next message, and all of it."""
    head = _exactly(end, 5)
    return head[:1], head + _exactly(end, int.from_bytes(head[1:]) - 4)


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def fault_relay(target: int) -> Iterator[FaultRelay]:
    """A relay that is closed in the end."""
    relay = FaultRelay(target)
    try:
        yield relay
    finally:
        relay.close()


def commits(queries: list[bytes]) -> list[int]:
    """The numbers of the queries that commit something, the first being 1."""
    return [number for number, text in enumerate(queries, 1) if b"COMMIT" in text]
