"""The sandbox's clock and the calendar: real time plus a kept offset, or a frozen moment.

A frozen moment is what the `Sandbox-Time` header sets: it stays until the next such header or advance.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from seatctl.sandbox.store import Store

_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def now(store: Store) -> int:
    """The sandbox's time in epoch seconds."""
    frozen = store.setting("frozen")
    if frozen is not None:
        return frozen
    return int(time.time()) + (store.setting("offset") or 0)


def freeze(store: Store, moment: int) -> None:
    """Set the clock and stop it there."""
    store.set("frozen", moment)


def move(store: Store, moment: int) -> None:
    """Set the clock; a running one runs on, a frozen one stays frozen there."""
    if store.setting("frozen") is not None:
        store.set("frozen", moment)
    else:
        store.set("offset", moment - int(time.time()))


def http_date(moment: int) -> str:
    """A moment as the `Date` header of an answer has it, whatever the locale."""
    at = datetime.fromtimestamp(moment, UTC)
    day, month = _WEEKDAYS[at.weekday()], _MONTHS[at.month - 1]
    return f"{day}, {at.day:02} {month} {at.year:04} {at:%H:%M:%S} GMT"


def add_months(moment: int, months: int, *, day: int | None = None) -> int:
    """`months` calendar months on, in UTC; the day is cut to the month's last one.

    `day` is the day wanted (the anchor's), so that the 31st comes back after a February.
    """
    start = datetime.fromtimestamp(moment, UTC)
    count = start.year * 12 + start.month - 1 + months
    year, month = divmod(count, 12)
    last = _days(year, month + 1)
    return int(start.replace(year=year, month=month + 1, day=min(day or start.day, last)).timestamp())


def _days(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def add_interval(moment: int, interval: str, count: int, *, day: int | None = None) -> int:
    """One billing interval on: `day`, `week`, `month` or `year`, `count` of them."""
    if interval in ("day", "week"):
        return moment + count * DAY * (7 if interval == "week" else 1)
    return add_months(moment, count * (12 if interval == "year" else 1), day=day)


def anchor_day(anchor: int) -> int:
    """The day of the month that an anchor asks for."""
    return datetime.fromtimestamp(anchor, UTC).day


HOUR = 3600


DAY = 86400
