"""`check`: is this person entitled, why, until when, and what would change it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.ledger.entitlements import status_and_holdings
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time
from seatctl.rules.entitlement import entitlement, ways_out, with_request

if TYPE_CHECKING:
    from seatctl.models.entitlement import EntitlementAnswer, OpenRequest
    from seatctl.models.report import Record


def check(
    reader: Reader,
    email: str,
    now: datetime,
    *,
    subscription: str | None = None,
    plan: str | None = None,
    feature: str | None = None,
) -> Record:
    """The answer as one record. Raises UnknownSubscription and UnknownPlan for names that are not there."""
    pool, name = _subscription(reader, subscription) if subscription else (None, None)
    catalogue = _plan_id(reader, plan) if plan else None
    status, held = status_and_holdings(
        reader, email, now, subscription_id=pool, plan_id=catalogue, feature=feature
    )
    answer = entitlement(email, status, held, now, wanted=_wanted(name, plan, feature))
    asked = None
    if answer.reason == "unseated" and pool is not None:
        answer = _of_one_that_does_not_run(reader, answer, pool, now)
    if answer.reason == "unseated" and plan is None and feature is None and not answer.ways_out:
        asked = _asked(reader, email, now, pool)
        answer = answer if asked is None else with_request(answer, asked)
    holding = answer.holding
    usable = holding if answer.entitled else None
    return {
        "email": email,
        "entitled": answer.entitled,
        "reason": answer.reason,
        "message": answer.message,
        "subscription": name if holding is None else holding.subscription,
        "plan": plan if holding is None else holding.plan,
        "features": [] if usable is None else [*usable.features],
        "sign_in_url": None if usable is None else usable.sign_in_url,
        "until": None if answer.until is None else format_time(answer.until),
        "as_of": sync_state.last_success(reader),
        "ways_out": [
            *ways_out(
                answer,
                email,
                subscription=name,
                plan=plan,
                known=_names(reader, answer.entitled),
                asked=asked,
            )
        ],
    }


def _of_one_that_does_not_run(
    reader: Reader, answer: EntitlementAnswer, subscription: int, now: datetime
) -> EntitlementAnswer:
    """The no of a person without a seat, with what keeps anybody from getting one there."""
    from seatctl.ledger import subscriptions
    from seatctl.rules.payment_states import payments_of, stopped_trouble

    trouble = stopped_trouble(payments_of(subscriptions.by_id(reader, subscription, now)))
    if trouble is None:
        return answer
    return answer._replace(message=f"{answer.message}; {trouble.message}", ways_out=trouble.ways_out)


def _wanted(subscription: str | None, plan: str | None, feature: str | None) -> str:
    """Which seats the question was about."""
    parts = (
        f" in {subscription}" if subscription else "",
        f" of plan {plan}" if plan else "",
        f" with the feature {feature}" if feature else "",
    )
    return "".join(parts)


def _subscription(reader: Reader, handle: str) -> tuple[int, str]:
    from seatctl.ledger import subscription_handles

    return subscription_handles.find(reader, handle)


def _plan_id(reader: Reader, slug: str) -> int:
    from seatctl.ledger import plans

    return plans.find(reader, slug).id


def _asked(reader: Reader, email: str, now: datetime, subscription: int | None) -> OpenRequest | None:
    """The first open request for a seat there, or for one anywhere; imports what a yes does not need."""
    from seatctl.ledger import requests, users
    from seatctl.models.entitlement import OpenRequest
    from seatctl.models.request import RequestStatus

    wanted = requests.RequestFilter(format_time(now), user_id=users.require(reader, email).id)
    for one in requests.listing(reader, wanted):
        if subscription is not None and one.subscription_id not in {subscription, None}:
            continue
        if one.status is RequestStatus.PENDING:
            return OpenRequest(one.number, None, one.subscription)
        if one.status is RequestStatus.WAITLISTED:
            return OpenRequest(one.number, requests.place(reader, one, now), one.subscription)
    return None


def _names(reader: Reader, entitled: bool) -> list[str]:
    """Names of subscriptions to ask for; not looked up where the answer is yes."""
    if entitled:
        return []
    from seatctl.ledger import subscription_handles

    return subscription_handles.running_names(reader)
