"""`check`: is this person entitled, why, until when, and what would change it."""

from __future__ import annotations

from datetime import datetime

from seatctl.ledger import sync_state
from seatctl.ledger.entitlements import status_and_holdings
from seatctl.ledger.transaction import Reader
from seatctl.models.call import format_time
from seatctl.models.report import Record
from seatctl.rules.entitlement import entitlement, ways_out


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
    pool = _subscription_id(reader, subscription) if subscription else None
    catalogue = _plan_id(reader, plan) if plan else None
    status, held = status_and_holdings(
        reader, email, now, subscription_id=pool, plan_id=catalogue, feature=feature
    )
    answer = entitlement(email, status, held, now)
    holding = answer.holding
    return {
        "email": email,
        "entitled": answer.entitled,
        "reason": answer.reason,
        "message": answer.message,
        "subscription": subscription if holding is None else holding.subscription,
        "plan": plan if holding is None else holding.plan,
        "features": [] if holding is None or not answer.entitled else [*holding.features],
        "until": None if answer.until is None else format_time(answer.until),
        "as_of": sync_state.last_success(reader),
        "ways_out": [
            *ways_out(
                answer, email, subscription=subscription, plan=plan, known=_names(reader, answer.entitled)
            )
        ],
    }


def _subscription_id(reader: Reader, name: str) -> int:
    from seatctl.ledger import subscriptions

    return subscriptions.find(reader, name).id


def _plan_id(reader: Reader, slug: str) -> int:
    from seatctl.ledger import plans

    return plans.find(reader, slug).id


def _names(reader: Reader, entitled: bool) -> list[str]:
    """Names of subscriptions to ask for; not looked up where the answer is yes."""
    if entitled:
        return []
    from seatctl.ledger import subscriptions

    return subscriptions.names(reader)
