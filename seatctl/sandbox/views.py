"""An object as a client sees it: without the sandbox's own notes, with its embedded lists.

A key that begins with `_` is a note of the sandbox and is never sent.
"""

from __future__ import annotations

from seatctl.sandbox.money import balance_in
from seatctl.sandbox.objects import Obj, embedded_list
from seatctl.sandbox.session import Session

_EMBEDDED = 10
"""How many entries of a list come with the object that holds it; the rest is listed at its `url`."""
_SETTLED_AFTER = 2


def view(session: Session, obj: Obj) -> Obj:
    """The public form of a stored object."""
    shown = public(obj)
    if obj["object"] == "subscription":
        return _subscription(session, shown)
    if obj["object"] == "charge" and obj["paid"] and session.now >= obj["created"] + _SETTLED_AFTER:
        # A charge is captured in the background: its balance transaction comes a little later (core facts).
        shown["balance_transaction"] = f"txn_{obj['id'].removeprefix('ch_')}"
    if obj["object"] == "invoice":
        shown["lines"] = first_entries([*map(public, shown["lines"]["data"])], shown["lines"]["url"])
        if shown["status"] == "draft" and not session.preview:
            _present_balance(session, shown)
    return shown


def _present_balance(session: Session, draft: Obj) -> None:
    """A draft shows what the customer holds now; finalizing settles it."""
    customer = session.store.get("customer", draft["customer"])
    if customer is not None:
        draft["starting_balance"] = balance_in(customer, draft["currency"])
        draft["amount_due"] = max(draft["total"] + draft["starting_balance"], 0)
        draft["amount_remaining"] = draft["amount_due"]


def public(obj: Obj) -> Obj:
    """The object without the sandbox's notes."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def first_entries(entries: list[Obj], url: str) -> Obj:
    """A list inside an object: its first ten entries, and whether there are more."""
    more = len(entries) > _EMBEDDED
    return embedded_list(entries[:_EMBEDDED], url, has_more=more, total=len(entries))


def items_of(session: Session, subscription: str) -> list[Obj]:
    """A subscription's items as stored, oldest first."""
    return list(session.store.walk("subscription_item", parent=subscription, oldest_first=True))


def _subscription(session: Session, shown: Obj) -> Obj:
    items = [public(item) for item in items_of(session, shown["id"])]
    one = items[0] if len(items) == 1 else None
    return {
        **shown,
        "items": first_entries(items, f"/v1/subscription_items?subscription={shown['id']}"),
        "plan": one["plan"] if one else None,
        "quantity": one["quantity"] if one else None,
    }
