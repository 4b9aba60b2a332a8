"""Subscription items: built with a subscription, and the endpoints that change one of them."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.resources.subscription_updates import change
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view


def _find(session: Session, identifier: str) -> Obj:
    found = session.store.get("subscription_item", identifier)
    if found is None:
        raise invalid(f"Invalid subscription_item id: {identifier}", status=404)
    return found


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/subscription_items: the item takes the running period."""
    subscription = session.find("subscription", params["subscription"], "subscription")
    known = {item["id"] for item in items_of(session, subscription["id"])}
    _changed(session, subscription, {**_change(params), "items": [_item(params)]})
    made = next(item for item in items_of(session, subscription["id"]) if item["id"] not in known)
    return view(session, made)


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/subscription_items/ID."""
    item = _find(session, identifier)
    subscription = session.find("subscription", item["subscription"], "subscription")
    _changed(session, subscription, {**_change(params), "items": [{**_item(params), "id": identifier}]})
    return view(session, _find(session, identifier))


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/subscription_items/ID; the last one stays."""
    item = _find(session, identifier)
    subscription = session.find("subscription", item["subscription"], "subscription")
    _changed(session, subscription, {**_change(params), "items": [{"id": identifier, "deleted": True}]})
    return {"id": identifier, "object": "subscription_item", "deleted": True}


def _changed(session: Session, subscription: Obj, params: Obj) -> None:
    """Change one item; a refusal names its parameters as this endpoint has them."""
    try:
        change(session, subscription, params)
    except ApiError as error:
        head, _, rest = (error.param or "").removeprefix("items[0][").partition("]")
        if error.param and error.param.startswith("items[0]["):
            error.message = error.message.replace(f"param: {error.param}.", f"param: {head}{rest}.")
            error.param = head + rest
        raise


def _change(params: Obj) -> Obj:
    names = ("payment_behavior", "proration_behavior", "proration_date")
    return {name: params[name] for name in names if name in params}


def _item(params: Obj) -> Obj:
    names = ("price", "plan", "price_data", "quantity", "metadata")
    return {name: params[name] for name in names if name in params}


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/subscription_items/ID."""
    return view(session, _find(session, identifier))


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/subscription_items: oldest first, unlike other lists; the url keeps the query."""
    subscription: Any = params["subscription"]
    session.find("subscription", subscription, "subscription")
    url = f"/v1/subscription_items?subscription={subscription}"
    return page_of(session, "subscription_item", params, url, parent=subscription, oldest_first=True)
