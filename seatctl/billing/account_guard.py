"""A Stripe port that checks, before its first call, that the key belongs to the right account."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import datetime

from seatctl.billing.port import Billing, Read, StripeJson, Write


class GuardedBilling:
    """Passes calls on to `inner`. `check` runs once, before the first call, and raises to stop it."""

    def __init__(self, inner: Billing, check: Callable[[Billing], None]) -> None:
        self._inner = inner
        self._check = check
        self._checked = False
        self._lock = threading.Lock()

    def write(self, call: Write, key: str) -> StripeJson:
        """As in the port."""
        return self._safe().write(call, key)

    def read(self, call: Read) -> StripeJson:
        """As in the port."""
        return self._safe().read(call)

    def every(self, call: Read) -> Iterator[StripeJson]:
        """As in the port."""
        return self._safe().every(call)

    def clock(self) -> datetime | None:
        """As in the port."""
        return self._safe().clock()

    def _safe(self) -> Billing:
        with self._lock:
            if not self._checked:
                self._check(self._inner)
                self._checked = True
        return self._inner
