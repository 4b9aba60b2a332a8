"""`check`: whether a person is entitled, why, until when, and what would change that."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.ledger.entitlements import facts, payments
from seatctl.ledger.transaction import Reader
from seatctl.models.call import optional_text
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
    """Return the answer as one record. Raises UnknownSubscription and UnknownPlan for unknown names."""
    # Imported where they are needed: `check` must start fast, and a yes needs none of it.
    user_id, status, held, subscription_id, name, last_sync = facts(
        reader, email, now, subscription=subscription or None, plan=plan or None, feature=feature
    )
    answer = entitlement(email, status, held, now, wanted=_scope(name, plan, feature))
    request = None
    if answer.reason == "unseated" and subscription_id is not None:
        answer = _with_stopped_subscription(reader, answer, subscription_id)
    is_specific = plan is not None or feature is not None
    if answer.reason == "unseated" and user_id is not None and not (is_specific or answer.ways_out):
        request = _open_request(reader, user_id, now, subscription_id)
        answer = answer if request is None else with_request(answer, request)
    holding = answer.holding
    usable = holding if answer.entitled else None
    running: list[str] = []
    if not answer.entitled:
        from seatctl.ledger import subscription_handles

        running = subscription_handles.running_names(reader)
    return {
        "email": email,
        "entitled": answer.entitled,
        "reason": answer.reason,
        "message": answer.message,
        "subscription": name if holding is None else holding.subscription,
        "plan": plan if holding is None else holding.plan,
        "features": [] if usable is None else [*usable.features],
        "sign_in_url": None if usable is None else usable.sign_in_url,
        "until": optional_text(answer.until),
        "as_of": last_sync,
        "ways_out": [
            *ways_out(
                answer,
                email,
                subscription=name,
                plan=plan,
                known=running,
                open_request=request,
            )
        ],
    }


def _with_stopped_subscription(
    reader: Reader, answer: EntitlementAnswer, subscription_id: int
) -> EntitlementAnswer:
    """Return the answer for a person without a seat; if the subscription has stopped, it says so too."""
    from seatctl.rules.payment_states import stopped_trouble

    trouble = stopped_trouble(payments(reader, subscription_id))
    if trouble is None:
        return answer
    return answer._replace(message=f"{answer.message}; {trouble.message}", ways_out=trouble.ways_out)


def _scope(subscription: str | None, plan: str | None, feature: str | None) -> str:
    """Return the seats that the question is about, in words: ` in design`, ` of plan pro`."""
    parts = (
        f" in {subscription}" if subscription else "",
        f" of plan {plan}" if plan else "",
        f" with the feature {feature}" if feature else "",
    )
    return "".join(parts)


def _open_request(
    reader: Reader, user_id: int, now: datetime, subscription_id: int | None
) -> OpenRequest | None:
    """Return the person's first open request for this subscription or for any."""
    from seatctl.ledger import requests
    from seatctl.models.entitlement import OpenRequest

    for request in requests.undecided_of_user(reader, user_id, now):
        if subscription_id is None or request.subscription_id in {subscription_id, None}:
            place = requests.place(reader, request.number, now) if request.is_waiting else None
            return OpenRequest(request.number, place, request.subscription)
    return None
