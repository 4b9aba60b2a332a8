"""An object as a client sees it: without the sandbox's internal fields, with its embedded lists.

A field that begins with `_` is internal to the sandbox and is never sent.
"""

from __future__ import annotations

from seatctl.sandbox.money import balance_in
from seatctl.sandbox.objects import Obj, embedded_list
from seatctl.sandbox.session import Session

_EMBEDDED = 10
"""How many entries of a list an object shows; all of them are listed at the list's `url`."""
_SETTLED_AFTER = 2
"""Seconds after which a charge has its balance transaction: Stripe captures in the background."""


def view(session: Session, obj: Obj) -> Obj:
    """Return a stored object as a client sees it."""
    shown = public(obj)
    if obj["object"] == "subscription":
        return _subscription(session, shown)
    if obj["object"] == "charge" and obj["paid"] and session.now >= obj["created"] + _SETTLED_AFTER:
        shown["balance_transaction"] = f"txn_{obj['id'].removeprefix('ch_')}"
    if obj["object"] == "invoice":
        shown["lines"] = first_entries([*map(public, shown["lines"]["data"])], shown["lines"]["url"])
        if shown["status"] == "draft" and not session.preview:
            _show_balance(session, shown)
    return shown


def _show_balance(session: Session, draft: Obj) -> None:
    """Show the customer's present balance on a draft; finalizing applies it."""
    customer = session.store.get("customer", draft["customer"])
    if customer is not None:
        draft["starting_balance"] = balance_in(customer, draft["currency"])
        draft["amount_due"] = max(draft["total"] + draft["starting_balance"], 0)
        draft["amount_remaining"] = draft["amount_due"]


def public(obj: Obj) -> Obj:
    """Return the object without the sandbox's internal fields."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def first_entries(entries: list[Obj], url: str) -> Obj:
    """Return the first ten entries of a list inside an object."""
    has_more = len(entries) > _EMBEDDED
    return embedded_list(entries[:_EMBEDDED], url, has_more=has_more, total=len(entries))


def items_of(session: Session, subscription: str) -> list[Obj]:
    """Return a subscription's items as stored, oldest first."""
    return list(session.store.walk("subscription_item", parent=subscription, oldest_first=True))


def _subscription(session: Session, shown: Obj) -> Obj:
    items = [public(item) for item in items_of(session, shown["id"])]
    only = items[0] if len(items) == 1 else None
    return {
        **shown,
        "items": first_entries(items, f"/v1/subscription_items?subscription={shown['id']}"),
        "plan": only["plan"] if only else None,
        "quantity": only["quantity"] if only else None,
    }
