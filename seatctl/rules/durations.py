"""Spans of time as typed: `14d`, or a date. Pure."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from seatctl.errors import BadInput
from seatctl.models.call import parse_time
from seatctl.rules.people import parse_moment

_SPAN = re.compile(r"([0-9]{1,5})([hdw])")
_UNITS = {"h": "hours", "d": "days", "w": "weeks"}


class BadTime(BadInput):
    """Neither a span such as 14d nor a date."""

    code = "bad_time"


def span(text: str) -> timedelta:
    """How long `7d`, `12h`, `2w` is. Raises BadTime."""
    if found := _SPAN.fullmatch(text.strip()):
        return timedelta(**{_UNITS[found[2]]: int(found[1])})
    raise BadTime(f"{text!r} is no span of time (12h, 14d, 2w)", hint="7d")


def moment_after(text: str, now: datetime) -> datetime:
    """The aware UTC time that `14d`, `12h`, `2w` from `now`, a date (its end) or an ISO time means.

    Raises BadTime.
    """
    if span := _SPAN.fullmatch(text.strip()):
        try:
            return now + timedelta(**{_UNITS[span[2]]: int(span[1])})
        except OverflowError:
            raise BadTime(f"{text!r} is too far away", hint="14d") from None
    try:
        return parse_time(parse_moment(text.strip(), end_of_day=True))
    except ValueError:
        raise BadTime(
            f"{text!r} is neither a span (12h, 14d, 2w) nor a date (2027-01-31)", hint="14d, or 2027-01-31"
        ) from None
