"""`check`: whether a person is entitled, why, until when, and what would change that."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.ledger.entitlements import EntitlementFacts, facts
from seatctl.ledger.transaction import Reader
from seatctl.models.call import optional_text
from seatctl.rules.entitlement import entitlement, ways_out, with_request

if TYPE_CHECKING:
    from seatctl.models.entitlement import EntitlementAnswer, OpenRequest
    from seatctl.models.report import Record
    from seatctl.rules.payment_states import Payments


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
    found = facts(reader, email, now, subscription=subscription or None, plan=plan or None, feature=feature)
    name = found.subscription
    answer = entitlement(email, found.status, found.holdings, now, wanted=_scope(name, plan, feature))
    if answer.reason == "unseated" and found.payments is not None:
        answer = _with_stopped_subscription(answer, found.payments)
    request = None
    is_specific = plan is not None or feature is not None
    if answer.reason == "unseated" and not (is_specific or answer.ways_out):
        request = _open_request(reader, found, now)
        answer = answer if request is None else with_request(answer, request)
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
        "until": optional_text(answer.until),
        "as_of": found.last_sync,
        "ways_out": [
            *ways_out(
                answer,
                email,
                subscription=name,
                plan=plan,
                only_running=found.only_running,
                open_request=request,
            )
        ],
    }


def _with_stopped_subscription(answer: EntitlementAnswer, payments: Payments) -> EntitlementAnswer:
    """Return the answer for a person without a seat; if the subscription has stopped, it says so too."""
    # Imported where it is needed: `check` must start fast.
    from seatctl.rules.payment_states import stopped_trouble

    trouble = stopped_trouble(payments)
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


def _open_request(reader: Reader, found: EntitlementFacts, now: datetime) -> OpenRequest | None:
    """Return the person's open request, with its place on the waitlist; only the place is read here."""
    if found.request is None or not found.request_waits:
        return found.request
    from seatctl.ledger import requests

    return found.request._replace(place=requests.place(reader, found.request.number, now))
