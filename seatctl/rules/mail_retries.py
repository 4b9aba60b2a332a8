"""When a message is tried again, and when it is given up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

MOST_ATTEMPTS = 16
"""With these delays a server that keeps putting a message off is asked for two days and a half."""

_FIRST = timedelta(minutes=1)
_LONGEST = timedelta(hours=6)


def next_attempt(now: datetime, attempts: int) -> datetime:
    """When to try again after `attempts` tries: a minute, doubled each time, at most six hours."""
    doubled: timedelta = _FIRST * (1 << min(max(attempts, 1) - 1, 16))
    return now + min(doubled, _LONGEST)


def given_up(attempts: int, *, permanent: bool) -> bool:
    """Whether a refused message is left to a person: refused for good, or put off too often."""
    return permanent or attempts >= MOST_ATTEMPTS
