"""The list of subscriptions and its filters."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.subscription_states import ENDED, period_end, period_start
from seatctl.sandbox.lists import check_customer, listing, matches, within
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/subscriptions: canceled ones only on request."""
    check_customer(session, params)
    for name in ("price", "plan"):
        if name in params:
            session.find("price", params[name], name)
    status = params.get("status")

    def keep(subscription: Any) -> bool:
        return (
            _has_status(subscription, status)
            and matches(subscription, params, "collection_method")
            and _of_price(session, subscription, params)
            and _in_periods(session, subscription, params)
        )

    return listing(session, "subscription", params, "/v1/subscriptions", keep=keep)


def _has_status(subscription: Obj, status: str | None) -> bool:
    if status is None:
        return bool(subscription["status"] != "canceled")
    if status == "ended":
        return subscription["status"] in ENDED
    return status in ("all", subscription["status"])


def _of_price(session: Session, subscription: Obj, params: Obj) -> bool:
    wanted = params.get("price") or params.get("plan")
    items = items_of(session, subscription["id"]) if wanted else []
    return wanted is None or any(item["price"]["id"] == wanted for item in items)


def _in_periods(session: Session, subscription: Obj, params: Obj) -> bool:
    if not {"current_period_start", "current_period_end"} & set(params):
        return True
    items = items_of(session, subscription["id"])
    return within(period_start(items), params.get("current_period_start")) and within(
        period_end(items), params.get("current_period_end")
    )
