"""A limit on the rate of calls: spaced evenly, in all and per endpoint, across threads."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

TEST_MODE: Final = 20.0
LIVE_MODE: Final = 60.0
AN_ENDPOINT: Final = 20.0
"""Requests per second, well below Stripe's limits, so that others on the account are not slowed down."""


class Pace:
    """Call it before each request; it returns when the request may be sent.

    Spacing rather than a bucket: Stripe would count a burst after a pause as too fast. `clock` and `sleep`
    are in seconds.
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
    """Return the pace of a mode, or the one set by `sync.requests_per_second`."""
    whole = setting or (LIVE_MODE if mode == "live" else TEST_MODE)
    return Pace(whole, setting or min(whole, AN_ENDPOINT), clock=clock, sleep=sleep)
