"""The session of a request: the store, the time, the request's id and key, and the events it emits.

Every change of an object goes through `save`. `emit` records an event with the old values of exactly the
fields that changed. `view` returns an object as a client sees it. The functions that write an object with its
event return what the client gets as the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatctl.sandbox.due import next_due
from seatctl.sandbox.errors import invalid, no_such
from seatctl.sandbox.objects import API_VERSION, Obj, balance_in, first_entries, new_id, new_object, public
from seatctl.sandbox.store import Store

# The noun in `No such …`, if it is not the kind of the object.
_NOUNS = {
    "promotion_code": "promotion code",
    "tax_rate": "tax rate",
    "payment_method": "PaymentMethod",
    "invoiceitem": "Invoice Item",
    "test_helpers.test_clock": "test clock",
    "subscription_schedule": "subscription schedule",
}
_LONGEST_ID = {"checkout.session": 66}
_SETTLED_AFTER = 2
"""Seconds after which a charge has its balance transaction: Stripe captures in the background."""


def noun_for(kind: str) -> str:
    """Return the noun in `No such …` for an object of this kind."""
    return _NOUNS.get(kind, kind)


@dataclass(slots=True)
class Session:
    """One request, or one piece of work of the clock, which has no request id."""

    store: Store
    now: int
    version: str = API_VERSION
    request_id: str | None = None
    idempotency_key: str | None = None
    preview: bool = False
    clock: str | None = None
    """The test clock of the customer that the request is about, of which `now` is the time."""
    real_now: int | None = None
    """The account's time, if `now` is that of a test clock."""

    def find(self, kind: str, identifier: str, param: str | None, *, status: int = 400) -> Obj:
        """Return the object. Raise `No such …` if there is none: use status 404 for an id in the path."""
        obj = self.store.get(kind, identifier)
        if obj is None and kind == "subscription_item":
            raise invalid(f"Invalid subscription_item id: {identifier}", status=status)
        if obj is None and len(identifier) > _LONGEST_ID.get(kind, len(identifier)):
            text = f"{identifier[:4]}...{identifier[-4:]}; must be at most {_LONGEST_ID[kind]} characters"
            raise invalid(f"Invalid string: {text}", param, status=status)
        if obj is None:
            refusal = no_such(noun_for(kind), identifier, param, status=status)
            refusal.message += "(livemode=false)" if kind == "invoiceitem" else ""
            raise refusal
        return obj

    def items_of(self, subscription: str) -> list[Obj]:
        """Return a subscription's items as stored, oldest first."""
        return list(self.store.walk("subscription_item", parent=subscription, oldest_first=True))

    def view(self, obj: Obj) -> Obj:
        """Return a stored object as a client sees it: without internal fields, with its embedded lists."""
        shown = public(obj)
        if obj.get("_shown_price"):
            shown["price"] = obj["_shown_price"]
        if obj["object"] == "subscription":
            return self._with_items(shown)
        if obj["object"] == "charge" and obj["paid"] and obj["captured"] and self._is_settled(obj):
            shown["balance_transaction"] = f"txn_{obj['id'].removeprefix('ch_')}"
        if obj["object"] == "invoice":
            shown["lines"] = first_entries([*map(public, shown["lines"]["data"])], shown["lines"]["url"])
            if shown["status"] == "draft" and not self.preview:
                self._show_balance(shown)
        return shown

    def _is_settled(self, charge: Obj) -> bool:
        return self.clock is not None or self.now >= charge["created"] + _SETTLED_AFTER

    def _with_items(self, subscription: Obj) -> Obj:
        items = [self.view(item) for item in self.items_of(subscription["id"])]
        only = items[0] if len(items) == 1 else None
        return {
            **subscription,
            "items": first_entries(items, f"/v1/subscription_items?subscription={subscription['id']}"),
            "plan": only["plan"] if only else None,
            "quantity": only["quantity"] if only else None,
        }

    def _show_balance(self, draft: Obj) -> None:
        """Show the customer's present balance on a draft; finalizing applies it."""
        customer = self.store.get("customer", draft["customer"])
        if customer is not None:
            draft["starting_balance"] = balance_in(customer, draft["currency"])
            draft["amount_due"] = max(draft["total"] + draft["starting_balance"], 0)
            draft["amount_remaining"] = draft["amount_due"]

    def new(self, kind: str, identifier: str, /, **fields: Any) -> Obj:
        """Return a new object, not yet written; the fields are given as to `new_object`."""
        return new_object(kind, identifier, created=self.now, livemode=False, **fields)

    def save(self, obj: Obj) -> None:
        """Write the object, with the time at which the account's clock has work on it."""
        if self.clock is not None:
            if "test_clock" in obj:
                obj["test_clock"] = self.clock
            self.store.put(obj)
            return
        items = self.items_of(obj["id"]) if obj["object"] == "subscription" else []
        self.store.put(obj, due=next_due(obj, items))

    def emit(self, kind: str, obj: Obj, before: Obj | None = None) -> None:
        """Record an event about an object; `before` is the object as a client saw it until now."""
        data: Obj = {"object": obj}
        if before is not None:
            data["previous_attributes"] = difference(before, obj)
        event = self.new(
            "event",
            new_id("evt"),
            api_version=self.version,
            data=data,
            pending_webhooks=0,
            request={"id": self.request_id, "idempotency_key": self.idempotency_key},
            type=kind,
        )
        event["created"] = self.now if self.real_now is None else self.real_now
        self.store.put(event)

    def emit_change(self, obj: Obj, event: str, before: Obj) -> Obj:
        """Emit `event` if a client can see the change; `before` is what a client saw until now."""
        shown = self.view(obj)
        if changed(before, shown):
            self.emit(event, shown, before)
        return shown

    def save_and_emit(self, obj: Obj, event: str) -> Obj:
        """Write an object and emit `event`."""
        self.save(obj)
        shown = self.view(obj)
        self.emit(event, shown)
        return shown

    def save_changed(self, obj: Obj, event: str) -> Obj:
        """Write a changed object; emit `event` if a client can see the change."""
        before = self.view(self.find(obj["object"], obj["id"], None))
        self.save(obj)
        return self.emit_change(obj, event, before)

    def delete_and_emit(self, obj: Obj, event: str) -> Obj:
        """Mark an object as deleted and emit `event`."""
        self.store.delete(obj["id"])
        self.emit(event, self.view(obj))
        return deleted(obj["object"], obj["id"])


def deleted(kind: str, identifier: str) -> Obj:
    """A deleted object as a client sees it."""
    return {"id": identifier, "object": kind, "deleted": True}


def difference(before: Obj, after: Obj) -> Obj:
    """Return the old values of the fields that changed; of a nested object, of its changed fields only."""
    old: Obj = {}
    for name in [*before, *(name for name in after if name not in before)]:
        was, now = before.get(name), after.get(name)
        if was == now and (name in before) == (name in after):
            continue
        nested = isinstance(was, dict) and isinstance(now, dict)
        old[name] = difference(was, now) if nested and was is not None and now is not None else was
    return old


def changed(before: Obj, after: Obj) -> bool:
    """Whether the two differ in any field."""
    return bool(difference(before, after))
