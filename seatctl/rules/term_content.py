"""The content of a subscription's item, in an update of a Stripe subscription. Pure."""

from __future__ import annotations

from seatctl.errors import JsonValue
from seatctl.models.subscription_state import TermContent


def item_update(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """Return the item of an update: its id, and what differs between `held` and `wanted`.

    Stripe refuses an update that names an archived price, even if the item already has it and only the
    quantity changes. `held` is None in payloads of earlier versions; then both are sent.
    """
    form: dict[str, JsonValue] = {"id": item}
    if held is None or wanted.price_id != held.price_id:
        form["price"] = wanted.price_id
    if held is None or wanted.seats != held.seats:
        form["quantity"] = wanted.seats
    return form


def items_changed(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """Return the `items` of an update, or nothing if the item already holds what is wanted."""
    form = item_update(item, held, wanted)
    return {"items": [form]} if len(form) > 1 else {}
