"""A Stripe port that logs every call: method, path, duration, result. No forms, no keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime

from seatctl.billing.port import Billing, Read, StripeJson, Write
from seatctl.errors import SeatctlError


class TracedBilling:
    """Passes calls on to `inner` and calls `tell` with one line about each; for a list, at its end."""

    def __init__(self, inner: Billing, tell: Callable[[str], None]) -> None:
        self._inner = inner
        self._tell = tell

    def write(self, call: Write, key: str) -> StripeJson:
        """As in the port."""
        return self._timed(f"{call.method.upper()} {call.path} ({key})", lambda: self._inner.write(call, key))

    def read(self, call: Read) -> StripeJson:
        """As in the port."""
        return self._timed(f"{call.method.upper()} {call.path}", lambda: self._inner.read(call))

    def every(self, call: Read) -> Iterator[StripeJson]:
        """As in the port."""
        count = 0
        for entry in self._inner.every(call):
            count += 1
            yield entry
        self._tell(f"stripe: GET {call.path}: {count} in all")

    def clock(self) -> datetime | None:
        """As in the port."""
        return self._inner.clock()

    def _timed(self, what: str, send: Callable[[], StripeJson]) -> StripeJson:
        started = time.monotonic()
        try:
            answer = send()
        except SeatctlError as error:
            self._tell(f"stripe: {what}: {error.code} after {_since(started)}")
            raise
        self._tell(f"stripe: {what}: {answer.get('id') or 'done'} in {_since(started)}")
        return answer


def _since(started: float) -> str:
    return f"{(time.monotonic() - started) * 1000:.0f} ms"
