"""What a subscription's item holds, in a payload and in an update of Stripe's. Pure."""

from __future__ import annotations

from seatctl.errors import JsonValue
from seatctl.models.subscription_state import TermContent


def side_fields(side: TermContent) -> dict[str, JsonValue]:
    """A side as the payload of an operation keeps it."""
    return {"price_id": side.price_id, "plan": side.plan, "seats": side.seats}


def read_side(value: JsonValue) -> TermContent:
    """The inverse of `side_fields`."""
    fields = value if isinstance(value, dict) else {}
    return TermContent(str(fields["price_id"]), str(fields["plan"]), int(str(fields["seats"])))


def item_update(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """The item of an update that turns what it holds into what is wanted: its id, and what differs.

    Stripe refuses an update that names an archived price, also where the item has it already and only the
    quantity is to change. `held` None, which a payload of an earlier version has, sends both.
    """
    form: dict[str, JsonValue] = {"id": item}
    if held is None or wanted.price_id != held.price_id:
        form["price"] = wanted.price_id
    if held is None or wanted.seats != held.seats:
        form["quantity"] = wanted.seats
    return form


def items_changed(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """`items` of an update, or nothing where the item holds already what is wanted."""
    form = item_update(item, held, wanted)
    return {"items": [form]} if len(form) > 1 else {}
