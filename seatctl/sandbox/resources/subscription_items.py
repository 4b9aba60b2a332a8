"""Subscription items: create, update and delete one of a subscription that exists."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import renamed_params
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj, pick
from seatctl.sandbox.resources.subscription_updates import change
from seatctl.sandbox.session import Session, deleted

_HOW = ("payment_behavior", "proration_behavior", "proration_date")
_FIELDS = ("price", "plan", "price_data", "quantity", "metadata")


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscription_items. The item joins the current period."""
    subscription = params["subscription"]
    before = {item["id"] for item in session.items_of(subscription)}
    _change_item(session, subscription, params, pick(params, *_FIELDS))
    item = next(item for item in session.items_of(subscription) if item["id"] not in before)
    return session.view(item)


def update(session: Session, params: Obj, item: Obj) -> Obj:
    """POST /v1/subscription_items/ID."""
    _change_item(session, item["subscription"], params, {**pick(params, *_FIELDS), "id": item["id"]})
    return session.view(session.find("subscription_item", item["id"], None))


def delete(session: Session, params: Obj, item: Obj) -> Obj:
    """DELETE /v1/subscription_items/ID. The last item of a subscription cannot be deleted."""
    _change_item(session, item["subscription"], params, {"id": item["id"], "deleted": True})
    return deleted("subscription_item", item["id"])


def _change_item(session: Session, identifier: str, params: Obj, entry: Obj) -> None:
    """Change one item of a subscription; a refusal names the parameters as these endpoints have them."""
    subscription = session.find("subscription", identifier, "subscription")

    def own_name(param: str) -> str:
        head, _, rest = param.removeprefix("items[0][").partition("]")
        return head + rest if param.startswith("items[0][") else param

    with renamed_params(own_name):
        change(session, subscription, {**pick(params, *_HOW), "items": [entry]})


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/subscription_items: oldest first, unlike other lists. The `url` has the query."""
    subscription: Any = params["subscription"]
    session.find("subscription", subscription, "subscription")
    url = f"/v1/subscription_items?subscription={subscription}"
    return page_of(session, "subscription_item", params, url, oldest_first=True)
