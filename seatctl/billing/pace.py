"""The pace of requests to Stripe: of this process, and of all that share a ledger on a server."""

from __future__ import annotations

import threading
import time
from typing import Protocol

_TEST_MODE = 20.0
_LIVE_MODE = 60.0
_AN_ENDPOINT = 20.0
"""Requests per second, well below Stripe's limits, so that others on the account are not slowed down."""

_AT_ONCE = 8
"""How many turns a process reserves that has just used up its turns."""
_STALE_SECONDS = 1.0
"""A turn that was not used for so long is given up: requests behind it may have been sent by others."""


class Turns(Protocol):
    """Reserves the next requests among all who share an account: see `take_turns` of the ledger."""

    def __call__(self, endpoint: str, gap: float, endpoint_gap: float) -> float | None:
        """Return in how many seconds they begin; None if nobody else is known."""
        ...


class Pace:
    """Call it before each request; it returns when the request may be sent.

    Calls are spaced evenly, in all and per endpoint, across threads. Spacing rather than a bucket: Stripe
    would count a burst after a pause as too fast. `turns` spaces them among all processes, too.
    """

    def __init__(self, per_second: float, per_endpoint: float, turns: Turns | None = None) -> None:
        self._gap = 1 / per_second
        self._endpoint_gap = 1 / per_endpoint
        self._turns = turns
        self._reserved: dict[str, list[float]] = {}
        """The moments that were reserved for requests to each endpoint, the latest one first."""
        self._reserved_at: dict[str, float] = {}
        self._lock = threading.Lock()
        self._next: float = 0.0
        self._next_of: dict[str, float] = {}

    def __call__(self, path: str) -> None:
        """Wait for this request's turn. `path` such as `/v1/invoices/in_1`."""
        endpoint = "/".join(path.split("/")[:3])
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next, self._next_of.get(endpoint, 0.0), self._shared_turn(endpoint, now))
            self._next = turn + self._gap
            self._next_of[endpoint] = turn + self._endpoint_gap
        # By the time of now: the question to the ledger's server has taken some.
        if (wait := turn - time.monotonic()) > 0:
            time.sleep(wait)

    def _shared_turn(self, endpoint: str, now: float) -> float:
        """Return the moment of this request's turn among all processes.

        A process that sends many requests reserves several turns at once. Otherwise each of its requests
        would wait for the ledger's server.
        """
        if self._turns is None:
            return now
        reserved = [moment for moment in self._reserved.get(endpoint, []) if moment > now - _STALE_SECONDS]
        if not reserved:
            is_busy = now - self._reserved_at.get(endpoint, -_STALE_SECONDS) < _STALE_SECONDS
            count = _AT_ONCE if is_busy else 1
            wait = self._turns(endpoint, count * self._gap, count * self._endpoint_gap)
            if wait is None:
                self._turns = None
                return now
            first = time.monotonic() + wait
            reserved = [first + number * self._endpoint_gap for number in reversed(range(count))]
            self._reserved_at[endpoint] = first
        self._reserved[endpoint] = reserved
        return reserved.pop()


def pace_of(mode: str, setting: float | None, turns: Turns | None = None) -> Pace:
    """Return the pace of a mode, or the one set by `sync.requests_per_second`."""
    whole = setting or (_LIVE_MODE if mode == "live" else _TEST_MODE)
    return Pace(whole, setting or min(whole, _AN_ENDPOINT), turns)
