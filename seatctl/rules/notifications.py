"""Which message is still true when it is sent, which carries a code, and when a reminder is due. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta

from seatctl.errors import JsonValue
from seatctl.models.call import format_time, from_epoch
from seatctl.models.message import Template

REMINDERS = (30, 7, 1)
"""Days before the end of a term."""

_LONG = timedelta(days=89)
"""Three months or more: what renews by itself sooner is reminded by its receipts."""

Facts = Mapping[str, JsonValue]

_WITH_CODE = frozenset((Template.SEAT_ASSIGNED, Template.REQUEST_APPROVED))


def overtaken(template: str, facts: Facts, now: datetime) -> str | None:
    """Why a message is not true any more at `now` (UTC) and is better not sent, or None."""
    recipient = _part(facts, "recipient") or {}
    if "@" not in str(recipient.get("email")):
        return "there is nobody to send it to"
    for templates, key, is_so, why in _OVERTAKEN:
        thing = _part(facts, key)
        if template in templates and thing is not None and is_so(thing):
            return why
    ids, subscription = _part(facts, "ids") or {}, _part(facts, "subscription") or {}
    if template == Template.RENEWAL_REMINDER:
        return _term_overtaken(from_epoch(int(str(ids.get("term_end", 0)))), subscription, now)
    if template == Template.PAYMENT_FAILED and "unpaid_since" in ids:
        told = format_time(from_epoch(int(str(ids["unpaid_since"]))))
        return None if told == subscription.get("unpaid_since") else "it was paid meanwhile"
    return None


def _term_overtaken(ends: datetime, subscription: Facts, now: datetime) -> str | None:
    if format_time(ends) != subscription.get("term_end"):
        return "the term was renewed meanwhile"
    if now >= ends:
        return "the term is over"
    return None if subscription.get("end_is_open") else "it was renewed or canceled meanwhile"


_OVERTAKEN: tuple[tuple[Collection[str], str, Callable[[Facts], bool], str], ...] = (
    (
        (*_WITH_CODE, Template.RECLAIM_WARNING),
        "seat",
        lambda seat: bool(seat.get("revoked_at")),
        "the seat was given back meanwhile",
    ),
    (
        (Template.SEAT_ASSIGNED,),
        "seat",
        lambda seat: bool(seat.get("claimed_at")),
        "the seat was claimed meanwhile",
    ),
    (
        (Template.REQUEST_RECEIVED,),
        "request",
        lambda request: request.get("status") != "pending",
        "the request was decided meanwhile",
    ),
    (
        (Template.REQUEST_WAITLISTED,),
        "request",
        lambda request: request.get("status") != "waitlisted",
        "the request waits no more",
    ),
    (
        (Template.PAYMENT_FAILED,),
        "subscription",
        lambda pool: not pool.get("unpaid_since"),
        "it was paid meanwhile",
    ),
)
"""For these messages: what they tell of, when it is not true any more, and what to say then."""


def carries_code(template: str, facts: Facts) -> bool:
    """Whether the message brings an activation code: the recipient's seat waits to be claimed."""
    seat = _part(facts, "seat")
    return template in _WITH_CODE and seat is not None and not seat.get("claimed_at")


def reminder_due(
    now: datetime, term_start: datetime, term_end: datetime, *, renews_automatically: bool = False
) -> int | None:
    """Which reminder is due: 30, 7 or 1 days before the end; the last one that has been reached.

    None before the first and after the end. A reminder that would come in the first half of the term,
    such as thirty days before the end of a month, tells nobody anything and is left out; so is every one
    of a term under three months that renews `renews_automatically`.
    """
    if now >= term_end or (renews_automatically and term_end - term_start < _LONG):
        return None
    left, half = term_end - now, (term_end - term_start) / 2
    reached = [days for days in REMINDERS if left <= timedelta(days=days) <= half]
    return min(reached, default=None)


def _part(facts: Facts, key: str) -> Mapping[str, JsonValue] | None:
    found = facts.get(key)
    return found if isinstance(found, dict) else None
