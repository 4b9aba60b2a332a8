"""When a message is sent again, and when sending is given up. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

MOST_ATTEMPTS = 16
"""With these delays a server that defers a message is tried for two and a half days."""

_FIRST = timedelta(minutes=1)
_LONGEST = timedelta(hours=6)


def next_attempt(now: datetime, attempts: int) -> datetime:
    """Return when to try again after `attempts` tries: a minute, doubled each time, at most six hours."""
    doubled: timedelta = _FIRST * (1 << min(max(attempts, 1) - 1, 16))
    return now + min(doubled, _LONGEST)


def given_up(attempts: int, *, permanent: bool) -> bool:
    """Return whether a message is left to a person: refused permanently, or deferred too often."""
    return permanent or attempts >= MOST_ATTEMPTS
