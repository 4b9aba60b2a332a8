"""A period as typed: two days, both included, in UTC. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

from seatctl.errors import Code, refuse


def period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """Return the first moment of the period and the first moment after it. Raises `bad_date`."""
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
