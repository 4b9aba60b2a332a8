"""Terms on the calendar: the end of a period that begins at a moment, as Stripe counts it. Pure, UTC."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

from seatctl.models.plan import Interval

_MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


def add_interval(start: datetime, interval: Interval, count: int) -> datetime:
    """`count` intervals on. Months are calendar months: the 31st becomes the last day of a shorter one."""
    if interval is Interval.DAY:
        return start + timedelta(days=count)
    if interval is Interval.WEEK:
        return start + timedelta(weeks=count)
    month = start.month - 1 + _MONTHS[interval] * count
    year, month = start.year + month // 12, month % 12 + 1
    return start.replace(year=year, month=month, day=min(start.day, monthrange(year, month)[1]))
