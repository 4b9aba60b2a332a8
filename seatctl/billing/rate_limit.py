"""How fast calls may leave: spaced evenly, in all and for each endpoint, whatever thread asks."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

TEST_MODE: Final = 20.0
LIVE_MODE: Final = 60.0
AN_ENDPOINT: Final = 20.0
"""Requests a second, well below what Stripe allows, so that others on the account are not slowed down."""


class Pace:
    """Called before each request; returns when it may leave.

    Spacing rather than a bucket: a burst after a pause would be counted by Stripe as too fast. `clock`
    and `sleep` are in seconds.
    """

    def __init__(
        self,
        per_second: float,
        per_endpoint: float,
        *,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._gap = 1 / per_second
        self._endpoint_gap = 1 / per_endpoint
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._next: float = 0.0
        self._next_of: dict[str, float] = {}

    def __call__(self, path: str) -> None:
        """Wait for this request's turn. `path` such as `/v1/invoices/in_1`."""
        endpoint = "/".join(path.split("/")[:3])
        with self._lock:
            now = self._clock()
            turn = max(now, self._next, self._next_of.get(endpoint, 0.0))
            self._next = turn + self._gap
            self._next_of[endpoint] = turn + self._endpoint_gap
        if turn > now:
            self._sleep(turn - now)


def pace_of(
    mode: str, setting: float | None, *, clock: Callable[[], float], sleep: Callable[[float], None]
) -> Pace:
    """The pace of a mode, or the one that `sync.requests_per_second` sets."""
    whole = setting or (LIVE_MODE if mode == "live" else TEST_MODE)
    return Pace(whole, setting or min(whole, AN_ENDPOINT), clock=clock, sleep=sleep)
