"""A relay between a client and a PostgreSQL server: it delays answers, loses them, and cuts connections."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

_BYTES = 65_536


class _Pair:
    """A client's connection and the one to the server that belongs to it."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.loses_answers = False
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Relay:
    """Listens on a port of its own, and passes on what arrives to the server's port."""

    def __init__(self, target: int, *, delay: float = 0.0) -> None:
        self.delay = delay
        """How long an answer takes on its way: the time of a round trip."""
        self.answers = 0
        """The parts of answers that were passed on; a short answer is one part."""
        self.lose_answer_to: bytes | None = None
        """A part of a message: once it is passed on, its answer is lost, and the connection with it."""
        self.hold_back: bytes | None = None
        """A part of a message: it is kept for `release`, and the client's connection is cut."""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._pairs: list[_Pair] = []
        self._held: list[tuple[_Pair, bytes]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    pair = _Pair(client, socket.create_connection(("127.0.0.1", self._target)))
                except OSError:  # the server does not run, or one end is closed already
                    client.close()
                    continue
                self._pairs.append(pair)
                threading.Thread(target=self._requests, args=(pair,), daemon=True).start()
                threading.Thread(target=self._answers, args=(pair,), daemon=True).start()

    def _requests(self, pair: _Pair) -> None:
        with suppress(OSError):
            while message := pair.client.recv(_BYTES):
                if self.hold_back is not None and self.hold_back in message:
                    self.hold_back = None
                    self._held.append((pair, message))
                    pair.loses_answers = True
                    _close(pair.client)
                    return
                if self.lose_answer_to is not None and self.lose_answer_to in message:
                    self.lose_answer_to = None
                    pair.loses_answers = True
                pair.server.sendall(message)
        if not pair.loses_answers:
            _close(pair.server)

    def _answers(self, pair: _Pair) -> None:
        with suppress(OSError):
            while answer := pair.server.recv(_BYTES):
                if pair.loses_answers:
                    _close(pair.client)
                    continue
                self.answers += 1
                if self.delay:
                    time.sleep(self.delay)
                pair.client.sendall(answer)
        _close(pair.client)

    def release(self) -> None:
        """Pass on what was held back."""
        for pair, message in self._held:
            with suppress(OSError):
                pair.server.sendall(message)
        self._held.clear()

    def cut(self) -> None:
        """Cut all connections."""
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            _close(pair.client)
            _close(pair.server)

    def close(self) -> None:
        """Cut all connections, and accept no more."""
        _close(self._listener)
        self.cut()


def _close(end: socket.socket) -> None:
    with suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)
    end.close()


@contextmanager
def relayed(target: int, *, delay: float = 0.0) -> Iterator[Relay]:
    """A relay that is closed in the end."""
    relay = Relay(target, delay=delay)
    try:
        yield relay
    finally:
        relay.close()
