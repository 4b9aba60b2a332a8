"""Messages: which are still true, which carry a code, when to send again, when to remind. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from seatctl.errors import JsonValue
from seatctl.models.call import format_time, from_epoch
from seatctl.models.message import Template

REMINDERS = (30, 7, 1)
"""Days before the end of a term."""

_LONG = timedelta(days=89)
"""Three months or more: for shorter terms that renew automatically, the receipts serve as reminders."""

MOST_ATTEMPTS = 16
"""With these delays a server that defers a message is tried for two and a half days."""

_FIRST_DELAY = timedelta(minutes=1)
_LONGEST_DELAY = timedelta(hours=6)

Facts = Mapping[str, JsonValue]

_WITH_CODE = frozenset((Template.SEAT_ASSIGNED, Template.REQUEST_APPROVED))


def why_outdated(template: str, facts: Facts, now: datetime) -> str | None:
    """Return why a message is no longer true at `now` (UTC) and should not be sent, or None."""
    recipient = _part(facts, "recipient") or {}
    if "@" not in str(recipient.get("email")):
        return "the recipient has no e-mail address"
    for templates, key, is_so, why in _OUTDATED:
        thing = _part(facts, key)
        if template in templates and thing is not None and is_so(thing):
            return why
    ids, subscription = _part(facts, "ids") or {}, _part(facts, "subscription") or {}
    if template == Template.RENEWAL_REMINDER:
        return _term_outdated(from_epoch(int(str(ids.get("term_end", 0)))), subscription, now)
    if template == Template.PAYMENT_FAILED and "unpaid_since" in ids:
        unpaid_since = format_time(from_epoch(int(str(ids["unpaid_since"]))))
        return None if unpaid_since == subscription.get("unpaid_since") else "it has been paid since"
    return None


def _term_outdated(ends: datetime, subscription: Facts, now: datetime) -> str | None:
    if format_time(ends) != subscription.get("term_end"):
        return "the term has been renewed since"
    if now >= ends:
        return "the term has ended"
    return None if subscription.get("end_is_open") else "it has been renewed or canceled since"


_OUTDATED: tuple[tuple[Collection[str], str, Callable[[Facts], bool], str], ...] = (
    (
        (*_WITH_CODE, Template.RECLAIM_WARNING),
        "seat",
        lambda seat: bool(seat.get("revoked_at")),
        "the seat has been revoked since",
    ),
    (
        (Template.SEAT_ASSIGNED,),
        "seat",
        lambda seat: bool(seat.get("claimed_at")),
        "the seat has been claimed since",
    ),
    (
        (Template.REQUEST_RECEIVED,),
        "request",
        lambda request: request.get("status") != "pending",
        "the request has been decided since",
    ),
    (
        (Template.REQUEST_WAITLISTED,),
        "request",
        lambda request: request.get("status") != "waitlisted",
        "the request is no longer on the waitlist",
    ),
    (
        (Template.PAYMENT_FAILED,),
        "subscription",
        lambda subscription: not subscription.get("unpaid_since"),
        "it has been paid since",
    ),
)
"""For these messages: the thing they describe, when that is no longer true, and the reason to give."""


def carries_code(template: str, facts: Facts) -> bool:
    """Return whether the message contains an activation code: the recipient's seat is not claimed yet."""
    seat = _part(facts, "seat")
    return template in _WITH_CODE and seat is not None and not seat.get("claimed_at")


def reminder_due(
    now: datetime, term_start: datetime, term_end: datetime, *, renews_automatically: bool = False
) -> int | None:
    """Return the reminder that is due: 30, 7 or 1 days before the end.

    None before the first and after the end. A reminder in the first half of the term, such as thirty days
    before the end of a month, is left out. A term of less than three months that renews automatically has no
    reminders.
    """
    if now >= term_end or (renews_automatically and term_end - term_start < _LONG):
        return None
    left, half = term_end - now, (term_end - term_start) / 2
    reached = [days for days in REMINDERS if left <= timedelta(days=days) <= half]
    return min(reached, default=None)


def next_attempt(now: datetime, attempts: int) -> datetime:
    """Return when to try again after `attempts` tries: a minute, doubled each time, at most six hours."""
    doubled: timedelta = _FIRST_DELAY * (1 << min(max(attempts, 1) - 1, 16))
    return now + min(doubled, _LONGEST_DELAY)


def given_up(attempts: int, *, permanent: bool) -> bool:
    """Return whether a message is left to a person: refused permanently, or deferred too often."""
    return permanent or attempts >= MOST_ATTEMPTS


def _part(facts: Facts, key: str) -> Mapping[str, JsonValue] | None:
    part = facts.get(key)
    return part if isinstance(part, dict) else None
