"""Who is entitled (docs/architecture.md). Pure; times are aware UTC."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from seatctl.models.entitlement import EntitlementAnswer, Holding, OpenRequest
from seatctl.rules.emails import check_email

if TYPE_CHECKING:  # what a plain yes does not need
    from seatctl.rules.payment_states import Payments

_BEST_FIRST = ("entitled", "in_grace", "past_due", "no_seats_paid", "unpaid", "paused", "incomplete", "ended")


def entitlement(
    email: str, status: str | None, holdings: Sequence[Holding], now: datetime, *, wanted: str = ""
) -> EntitlementAnswer:
    """Return the answer for a user with this status (None: unknown) and these seats; the best seat counts.

    `wanted` limits the seats that were considered, such as " in design"; only for the message.
    """
    if status is None or status == "removed":
        return EntitlementAnswer(False, "unknown_user", f"{email} is not a user", None, None)
    if status == "suspended":
        return EntitlementAnswer(False, "suspended", f"{email} is suspended", None, None)
    if not holdings:
        return EntitlementAnswer(False, "unseated", f"{email} has no seat{wanted}", None, None)
    answers = [_one(email, holding, now) for holding in holdings]
    return min(answers, key=lambda answer: _BEST_FIRST.index(answer.reason))


def _one(email: str, holding: Holding, now: datetime) -> EntitlementAnswer:
    place, status = holding.subscription, holding.status
    buy = (_buy(holding.plan),)  # a new purchase helps only after the end
    if holding.cancel_at is not None and holding.cancel_at <= now:
        ended = holding.cancel_at.date().isoformat()
        return EntitlementAnswer(False, "ended", f"{place} ended on {ended}", holding, holding.cancel_at, buy)
    if status in {"active", "trialing", "past_due"} and not holding.capacity:
        # With fewer seats than people all keep their seats (over-assigned); with no seats nobody is entitled.
        more = (f"seatctl subs set-seats {_quoted(place)} N",)
        why = f"the seats of {place} are no longer paid for"
        return EntitlementAnswer(False, "no_seats_paid", why, holding, None, more)
    if status == "past_due" or (status in {"active", "trialing"} and holding.unpaid_since is not None):
        return _unpaid(email, holding, now)
    if status in {"active", "trialing"}:
        return _paused(_running(email, holding, now), now)
    from seatctl.rules.payment_states import stopped_trouble

    stopped = stopped_trouble(_payments(holding))
    if stopped is not None:
        return EntitlementAnswer(False, stopped.reason, stopped.message, holding, None, stopped.ways_out)
    return EntitlementAnswer(False, "ended", f"{place} is {status.replace('_', ' ')}", holding, None, buy)


def _unpaid(email: str, holding: Holding, now: datetime) -> EntitlementAnswer:
    """An unpaid subscription entitles for the policy's grace days, counted from the oldest unpaid invoice.

    On account they count from the due date, whatever Stripe's status of the subscription.
    """
    since = holding.unpaid_since or now
    end = since + timedelta(days=holding.grace_days)
    if now < since:
        text = f"{email} has a seat in {holding.subscription}, to be paid by {since.date().isoformat()}"
        return _paused(EntitlementAnswer(True, "entitled", text, holding, _until(holding, end)), now)
    from seatctl.rules.payment_states import past_due_trouble

    trouble = past_due_trouble(_payments(holding), now)
    if now < end:
        text = f"{email} has a seat in {holding.subscription}; {trouble.message}"
        return EntitlementAnswer(True, "in_grace", text, holding, _until(holding, end), trouble.ways_out)
    return EntitlementAnswer(False, "past_due", trouble.message, holding, end, trouble.ways_out)


def _running(email: str, holding: Holding, now: datetime) -> EntitlementAnswer:
    """A trial without a payment method entitles until its end, even without a sync after it."""
    trial, text = holding.trial, f"{email} has a seat in {holding.subscription}"
    if trial is None:
        return EntitlementAnswer(True, "entitled", text, holding, _until(holding))
    from seatctl.rules import trials

    ways = trials.ways_out(holding.subscription, trial)
    if trial.stops and trial.ends <= now:
        ended = f"the trial of {holding.subscription} ended on {trial.ends.date().isoformat()}"
        why = f"{ended} without a payment method"
        reason = "paused" if trial.then == "pause" else "ended"
        return EntitlementAnswer(False, reason, why, holding, trial.ends, ("seatctl sync", *ways))
    until = _until(holding, trial.ends if trial.stops else None)
    return EntitlementAnswer(True, "entitled", f"{text}; {trials.ending(trial)}", holding, until, ways)


def _payments(holding: Holding) -> Payments:
    from seatctl.rules.payment_states import Payments

    since, days = holding.unpaid_since, holding.grace_days
    return Payments(holding.subscription, holding.status, holding.pause, holding.owed, since, days)


def _paused(answer: EntitlementAnswer, now: datetime) -> EntitlementAnswer:
    """Return a yes; if collection is paused, with the pause in its message, since nobody pays for now."""
    holding = answer.holding
    if holding is None or holding.pause is None:
        return answer
    from seatctl.rules.payment_states import pause_trouble

    trouble = pause_trouble(_payments(holding), now)
    if trouble is None:
        return answer
    return answer._replace(message=f"{answer.message}; {trouble.message}", ways_out=trouble.ways_out)


def _until(holding: Holding, grace_end: datetime | None = None) -> datetime | None:
    return min(
        (end for end in (holding.until, holding.cancel_at, grace_end) if end is not None), default=None
    )


def with_request(answer: EntitlementAnswer, open_request: OpenRequest) -> EntitlementAnswer:
    """Return the no with the state of the request that the person has already made."""
    request = f"request {open_request.number}"
    state = (
        f"{request} awaits approval"
        if open_request.place is None
        else f"number {open_request.place} on the waitlist ({request})"
    )
    return answer._replace(message=f"{answer.message}; {state}")


def ways_out(
    answer: EntitlementAnswer,
    email: str,
    *,
    subscription: str | None,
    plan: str | None,
    only_running: str | None = None,
    open_request: OpenRequest | None = None,
) -> list[str]:
    """Return the commands that would turn a no into a yes, or keep a yes from becoming a no.

    `only_running`: the name of the only subscription in which the person could request a seat.
    """
    if answer.entitled or answer.ways_out:
        return [*answer.ways_out]
    if answer.reason == "suspended":
        return [f"seatctl users reactivate {email}"]
    if answer.reason == "unknown_user" and check_email(email):
        return ["seatctl users list"]  # a text that is not an address cannot be added
    if open_request is not None and open_request.place is None:
        return [f"seatctl requests approve {open_request.number}", _buy(plan)]
    if open_request is not None:  # enough seats for the waitlist
        name = open_request.subscription
        more = [f"seatctl subs add-seats {_quoted(name)} {open_request.place}"] if name else []
        return [*more, _buy(plan)]
    add = [f"seatctl users add {email}"] if answer.reason == "unknown_user" else []
    wanted = subscription or only_running
    request = f"seatctl requests create {email}"
    return [*add, request + (f" --subscription {_quoted(wanted)}" if wanted else ""), _buy(plan)]


def _buy(plan: str | None) -> str:
    return f"seatctl subs buy --plan {plan or 'PLAN'} --seats N --name NAME"


def _quoted(name: str) -> str:
    from shlex import quote

    return quote(name)
