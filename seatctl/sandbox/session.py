"""The session of a request: the store, the time, the request's id and key, and the events it emits.

Every change of an object goes through `save`. `emit` records an event with the old values of exactly the
fields that changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatctl.sandbox.errors import no_such
from seatctl.sandbox.objects import API_VERSION, Obj, new_id, new_object
from seatctl.sandbox.store import Store

# The noun in `No such …`, if it is not the kind of the object.
_NOUNS = {
    "promotion_code": "promotion code",
    "tax_rate": "tax rate",
    "payment_method": "PaymentMethod",
    "invoiceitem": "invoiceitem",
    "checkout.session": "checkout.session",
}


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

    def find(self, kind: str, identifier: str, param: str | None, *, status: int = 400) -> Obj:
        """Return the object. Raise `No such …` if there is none: use status 404 for an id in the path."""
        obj = self.store.get(kind, identifier)
        if obj is None:
            raise no_such(noun_for(kind), identifier, param, status=status)
        return obj

    def new(self, kind: str, identifier: str, /, **fields: Any) -> Obj:
        """Return a new object, not yet written; the fields are given as to `new_object`."""
        return new_object(kind, identifier, created=self.now, livemode=False, **fields)

    def save(self, obj: Obj, *, parent: str | None = None, due: int | None = None) -> None:
        """Write the object: lists filter by the id `parent`; `due` is when the clock has work on it."""
        self.store.put(obj, parent=parent, due=due)

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
        self.store.put(event)


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
