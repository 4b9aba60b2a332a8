"""Spans of time as typed: `14d`, or a date. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from seatctl.errors import Code, refuse
from seatctl.models.call import parse_time
from seatctl.rules.people import parse_moment

_SPAN = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


def span(text: str) -> timedelta:
    """How long `7d`, `12h`, `2w` is. Raises `bad_time`."""
    if found := _SPAN.fullmatch(text.strip()):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise refuse(
        Code.BAD_TIME,
        f"{text!r} is not a span of time",
        hint="write hours, days or weeks: a whole number and h, d or w",
    )


def moment_after(text: str, now: datetime) -> datetime:
    """The aware UTC time that `14d`, `12h`, `2w` from `now`, a date (its end) or an ISO time means.

    Raises `bad_time`.
    """
    if span := _SPAN.fullmatch(text.strip()):
        try:
            return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise refuse(Code.BAD_TIME, f"{text!r} is too far away", hint="give an earlier time") from None
    try:
        return parse_time(parse_moment(text.strip(), end_of_day=True))
    except ValueError:
        raise refuse(
            Code.BAD_TIME,
            f"{text!r} is neither a span of time nor a date",
            hint="write a span as a whole number and h, d or w, a date as YYYY-MM-DD",
        ) from None
