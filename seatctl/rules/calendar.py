"""Terms on the calendar: when a period ends, computed as Stripe does. Pure; times are UTC."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, datetime, timedelta

from seatctl.models.plan import Interval

_MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


def next_end(end: datetime, begun: datetime, interval: Interval, count: int) -> datetime:
    """Return the end of the term after the one that ends at `end`, of a contract that began at `begun`.

    A contract that began on the 31st ends on the last day of each month: after a February it does not stay on
    the 28th.
    """
    following = add_interval(end, interval, count)
    last = monthrange(end.year, end.month)[1]
    if interval not in _MONTHS or end.day != last or begun.day <= end.day:
        return following
    return following.replace(day=min(begun.day, monthrange(following.year, following.month)[1]))


def shortest_days(interval: Interval, count: int) -> int:
    """Return the days of the shortest period of `count` intervals: 28 for one month, 59 for two."""
    starts = (datetime(2001, month, 1, tzinfo=UTC) for month in range(1, 13))
    return min((add_interval(start, interval, count) - start).days for start in starts)


def add_interval(start: datetime, interval: Interval, count: int) -> datetime:
    """Return `start` plus `count` intervals.

    Months are calendar months: the 31st becomes the last day of a shorter month.
    """
    if interval is Interval.DAY:
        return start + timedelta(days=count)
    if interval is Interval.WEEK:
        return start + timedelta(weeks=count)
    month = start.month - 1 + _MONTHS[interval] * count
    year, month = start.year + month // 12, month % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
