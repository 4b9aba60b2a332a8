"""Time spans, dates and periods as typed: `14d`, `2026-12-31`, two days. Pure."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from seatctl.errors import Code, refuse
from seatctl.models.call import parse_time
from seatctl.rules.people import parse_moment

_SPAN = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


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
