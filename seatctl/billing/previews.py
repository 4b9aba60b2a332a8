"""A preview without what else waits for its customer: what an invoice of ours, of one line, comes to."""

from __future__ import annotations

from seatctl.billing.objects import read_preview
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.models.stripe_objects import Preview


def read_preview_alone(invoice: StripeJson) -> Preview:
    """As `read_preview`, of a new subscription without the customer's waiting invoice items.

    An invoice of ours leaves them out (`pending_invoice_items_behavior=exclude`). An amount off that Stripe
    has spread over all lines is less here than on that invoice, which then comes to less than this.
    """
    held = invoice.get("lines")
    lines = held if isinstance(held, dict) else {}
    listed = _objects(lines.get("data"))
    alone = [line for line in listed if not _has_waited(line)]
    if not alone or (len(alone) == len(listed) and lines.get("has_more") is not True):
        return read_preview(invoice)
    total = sum(map(_net, alone))
    changed: dict[str, JsonValue] = {
        "lines": {**lines, "data": [*alone]},
        "subtotal": sum(_number(line, "amount") for line in alone),
        "total": total,
        "amount_due": max(0, total + _number(invoice, "starting_balance")),
    }
    return read_preview({**invoice, **changed})


def _has_waited(line: StripeJson) -> bool:
    parent = line.get("parent")
    about = parent if isinstance(parent, dict) else {}
    details = (about.get(f"{kind}_details") for kind in ("subscription_item", "invoice_item"))
    return any(isinstance(one, dict) and bool(one.get("invoice_item")) for one in details)


def _net(line: StripeJson) -> int:
    """What a line comes to after its discounts, with the taxes that are not in its amount; minor units."""
    off = sum(_number(one, "amount") for one in _objects(line.get("discount_amounts")))
    added = [one for one in _objects(line.get("taxes")) if one.get("tax_behavior") == "exclusive"]
    return _number(line, "amount") - off + sum(_number(one, "amount") for one in added)


def _objects(value: JsonValue | None) -> list[StripeJson]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(holder: StripeJson, name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else 0
