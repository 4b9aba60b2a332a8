"""The sandbox's clock and the calendar. The clock shows real time plus an offset, or a frozen moment.

The header `Sandbox-Time` freezes the clock at a moment, until the next such header or `sandbox advance`.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from seatctl.sandbox.store import Store

HOUR = 3600
DAY = 86400
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def now(store: Store) -> int:
    """Return the sandbox's time in epoch seconds."""
    frozen = store.setting("frozen")
    if frozen is not None:
        return frozen
    return int(time.time()) + (store.setting("offset") or 0)


def freeze(store: Store, moment: int) -> None:
    """Set the clock to a moment and stop it."""
    store.set("frozen", moment)


def move(store: Store, moment: int) -> None:
    """Set the clock to a moment; a running clock runs on from there, a frozen one stays frozen."""
    if store.setting("frozen") is not None:
        store.set("frozen", moment)
    else:
        store.set("offset", moment - int(time.time()))


def http_date(moment: int) -> str:
    """Format a moment for the `Date` header of an answer, in English whatever the locale is."""
    date = datetime.fromtimestamp(moment, UTC)
    day, month = _WEEKDAYS[date.weekday()], _MONTHS[date.month - 1]
    return f"{day}, {date.day:02} {month} {date.year:04} {date:%H:%M:%S} GMT"


def day_text(moment: int) -> str:
    """Format a day as in the descriptions of lines: `21 Oct 2026`."""
    date = datetime.fromtimestamp(moment, UTC)
    return f"{date.day:02d} {_MONTHS[date.month - 1]} {date.year}"


def add_months(moment: int, months: int, *, day: int | None = None) -> int:
    """Add calendar months in UTC; the day is at most the last day of the month.

    `day` is the anchor's day of the month, so that the 31st comes back after February.
    """
    start = datetime.fromtimestamp(moment, UTC)
    count = start.year * 12 + start.month - 1 + months
    year, month = divmod(count, 12)
    last = _days_in_month(year, month + 1)
    return int(start.replace(year=year, month=month + 1, day=min(day or start.day, last)).timestamp())


def _days_in_month(year: int, month: int) -> int:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def add_interval(moment: int, interval: str, count: int, *, day: int | None = None) -> int:
    """Add `count` intervals of a `day`, `week`, `month` or `year`; `day` is the anchor's day of the month."""
    if interval in ("day", "week"):
        return moment + count * DAY * (7 if interval == "week" else 1)
    return add_months(moment, count * (12 if interval == "year" else 1), day=day)


def anchor_day(anchor: int) -> int:
    """Return the day of the month of an anchor."""
    return datetime.fromtimestamp(anchor, UTC).day
