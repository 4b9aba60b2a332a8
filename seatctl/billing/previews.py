"""What of a preview waits for its customer, and what an invoice of ours, without that, comes to."""

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
    alone, whole = _alone(invoice)
    if not alone or whole:
        return read_preview(invoice)
    total = sum(map(_net, alone))
    changed: dict[str, JsonValue] = {
        "lines": {"data": [*alone]},
        "subtotal": sum(_number(line, "amount") for line in alone),
        "total": total,
        "amount_due": max(0, total + _number(invoice, "starting_balance")),
    }
    return read_preview({**invoice, **changed})


def read_waiting(invoice: StripeJson) -> int:
    """What a preview bills besides the periods of its items, in minor units: what has waited for it."""
    alone, whole = _alone(invoice)
    return 0 if whole else read_preview(invoice).total - sum(map(_net, alone))


def _alone(invoice: StripeJson) -> tuple[list[StripeJson], bool]:
    """The lines that have not waited, and whether the invoice has no others, on this page or the next."""
    held = invoice.get("lines")
    lines = held if isinstance(held, dict) else {}
    listed = _objects(lines.get("data"))
    alone = [line for line in listed if not _has_waited(line)]
    return alone, len(alone) == len(listed) and lines.get("has_more") is not True


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
