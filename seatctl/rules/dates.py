"""Dates: as typed (`14d`, `2026-12-31`, two days), and the ends of terms, computed as Stripe does. Pure."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import UTC, date, datetime, time, timedelta

from seatctl.errors import Code, refuse
from seatctl.models.call import parse_time
from seatctl.models.plan import Interval
from seatctl.rules.people import parse_moment

_SPAN = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}
_MONTHS = {Interval.MONTH: 1, Interval.YEAR: 12}


def span(text: str) -> timedelta:
    """Return the length of `7d`, `12h` or `2w`. Raises `bad_time`."""
    if found := _SPAN.fullmatch(text.strip()):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise refuse(
        Code.BAD_TIME,
        f"{text!r} is not a time span",
        hint="write a whole number and h, d or w, such as 14d",
    )


def moment_after(text: str, now: datetime) -> datetime:
    """Return the UTC time that a time span from `now`, a date (its end) or an ISO time stands for.

    Raises `bad_time`.
    """
    if span := _SPAN.fullmatch(text.strip()):
        try:
            return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise refuse(
                Code.BAD_TIME, f"{text!r} is too far in the future", hint="give an earlier time"
            ) from None
    try:
        return parse_time(parse_moment(text.strip(), end_of_day=True))
    except ValueError:
        raise refuse(
            Code.BAD_TIME,
            f"{text!r} is neither a time span nor a date",
            hint="write a time span as a whole number and h, d or w, or a date as YYYY-MM-DD",
        ) from None


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of a period and the first moment after it; both days are included, in UTC.

    Raises `bad_date`.
    """
    first = None if since is None else _day(since)
    last = None if until is None else _day(until) + timedelta(days=1)
    if first is not None and last is not None and last <= first:
        raise refuse(Code.BAD_DATE, f"{until} is before {since}", hint="--since names the earlier day")
    return first, last


def _day(text: str) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text.strip()), time(), UTC)
    except ValueError:
        raise refuse(
            Code.BAD_DATE, f"{text!r} is not a day", hint="write a day as YYYY-MM-DD", data={"date": text}
        ) from None


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
