"""What one request works with: the store, the time, who asks, and the events it leaves.

Every change of an object goes through `save`; `emit` records the event with the old values of exactly
the fields that changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from seatctl.sandbox.errors import no_such
from seatctl.sandbox.objects import API_VERSION, Obj, new_id
from seatctl.sandbox.store import Store

# The noun of `No such …` where it is not the object's name.
_NOUNS = {
    "promotion_code": "promotion code",
    "tax_rate": "tax rate",
    "payment_method": "PaymentMethod",
    "invoiceitem": "invoiceitem",
    "checkout.session": "checkout.session",
}


def noun_for(kind: str) -> str:
    """What `No such …` calls an object of this kind."""
    return _NOUNS.get(kind, kind)


@dataclass(slots=True)
class Session:
    """One request, or one piece of the clock's own work (then without a request id)."""

    store: Store
    now: int
    version: str = API_VERSION
    request_id: str | None = None
    idempotency_key: str | None = None
    preview: bool = False

    def find(self, kind: str, identifier: str, param: str | None, *, status: int = 400) -> Obj:
        """The object, or `No such …`: 400 for an id in a parameter, 404 for one in the path."""
        found = self.store.get(kind, identifier)
        if found is None:
            raise no_such(noun_for(kind), identifier, param, status=status)
        return found

    def save(self, obj: Obj, *, parent: str | None = None, due: int | None = None) -> None:
        """Write the object; `due` is when the clock has work on it."""
        self.store.put(obj, parent=parent, due=due)

    def emit(self, kind: str, obj: Obj, before: Obj | None = None) -> None:
        """Record an event; `before` is the object as it was, for the previous attributes."""
        data: Obj = {"object": obj}
        if before is not None:
            data["previous_attributes"] = difference(before, obj)
        event = {
            "id": new_id("evt"),
            "object": "event",
            "api_version": self.version,
            "created": self.now,
            "data": data,
            "livemode": False,
            "pending_webhooks": 0,
            "request": {"id": self.request_id, "idempotency_key": self.idempotency_key},
            "type": kind,
        }
        self.store.put(event)


def difference(before: Obj, after: Obj) -> Obj:
    """The old values of the fields that changed; inside an object only of its changed fields."""
    old: Obj = {}
    for name in [*before, *(name for name in after if name not in before)]:
        was, now = before.get(name), after.get(name)
        if was == now and (name in before) == (name in after):
            continue
        nested = isinstance(was, dict) and isinstance(now, dict)
        old[name] = difference(was, now) if nested and was is not None and now is not None else was
    return old


def changed(before: Obj, after: Obj) -> bool:
    """Whether an update changed anything at all."""
    return bool(difference(before, after))


def sent(params: Obj, name: str, default: Any = None) -> Any:
    """A parameter's value, with the empty string read as null."""
    value = params.get(name, default)
    return None if value == "" else value
