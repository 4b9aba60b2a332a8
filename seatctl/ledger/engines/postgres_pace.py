"""The pace of requests to Stripe that all clients of a ledger share, kept by its server.

Stripe limits the requests of an account, whoever sends them. Threads of a sync ask at the same time, so this
has a connection of its own.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol, Self

from seatctl.errors import SeatctlError
from seatctl.ledger.engines.port import Params, Row


class PaceEngine(Protocol):
    """What the pace needs of an engine."""

    def rows(self, sql: str, params: Params = ()) -> Iterator[Row]:
        """Yield the result rows."""
        ...

    def another(self) -> Self:
        """Return a second connection."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class SharedPace:
    """Reserves turns with the server."""

    def __init__(self, engine: PaceEngine) -> None:
        self._engine = engine
        self._own: PaceEngine | None = None
        self._lock = threading.Lock()
        self._is_known = True

    def take(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        """Reserve this many seconds and return in how many they begin; None if the server cannot tell.

        Then this client's own pace is enough: a purchase must not fail because nobody counts its requests.
        """
        with self._lock:
            if not self._is_known:
                return None
            try:
                self._own = self._own or self._engine.another()
                row = next(
                    self._own.rows(
                        "SELECT take_turns(:endpoint, :gap, :endpoint_gap)",
                        {"endpoint": endpoint, "gap": gap, "endpoint_gap": endpoint_gap},
                    )
                )
            except SeatctlError:
                self._is_known = False
                return None
            return float(row[0])

    def close(self) -> None:
        """Close the connection, if there is one."""
        with self._lock:
            self._is_known = False
            if self._own is not None:
                self._own.close()
