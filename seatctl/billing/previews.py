"""What of a preview waits for its customer, what an invoice of ours, without that, comes to, when it is due.

Of the lines of a preview only the first ten can be read, those that have waited first: what they do not tell
is asked in another way (`recurring`), or told by the sums, which are of the whole.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from seatctl.billing.objects import read_preview
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.models.call import from_epoch
from seatctl.models.invoice import InvoiceLine
from seatctl.models.stripe_objects import Preview, StripeItem

RECURRING: dict[str, JsonValue] = {"preview_mode": "recurring"}
"""Asks for a preview of the periods of the items alone."""

_A_WHILE = timedelta(hours=1)


def read_preview_alone(invoice: StripeJson, recurring: Callable[[], StripeJson] | None = None) -> Preview:
    """As `read_preview`, of a new subscription without the customer's waiting invoice items.

    An invoice of ours leaves them out (`pending_invoice_items_behavior=exclude`). An amount off that Stripe
    has spread over all lines is less here than on that invoice, which then comes to less than this.
    `recurring` previews the same without them, where they have pushed everything else off the first page.
    """
    alone, whole = _alone(invoice)
    if not alone and not whole and recurring is not None:
        return read_preview_alone(recurring())
    if not alone or whole:
        return read_preview(invoice)
    total = sum(map(_net, alone))
    changed: dict[str, JsonValue] = {
        "lines": {"data": [*alone]},
        "subtotal": sum(_number(line, "amount") for line in alone),
        "total": total,
        "total_discount_amounts": [*_off(alone)],
        "amount_due": max(0, total + _number(invoice, "starting_balance")),
    }
    return read_preview({**invoice, **changed})


def read_terms(invoice: StripeJson) -> tuple[InvoiceLine, ...]:
    """The lines of whole periods, as far as they are among the first: those of the items themselves."""
    terms = [line for line in _alone(invoice)[0] if not _prorates(line)]
    return read_preview({**invoice, "lines": {"data": [*terms]}}).lines


def read_waiting(invoice: StripeJson, recurring: Callable[[], StripeJson]) -> int:
    """What a preview bills besides the periods of its items, in minor units: what has waited for it.

    `recurring` previews those periods alone.
    """
    alone, whole = _alone(invoice)
    if whole:
        return 0
    periods = sum(map(_net, alone)) if alone else read_preview(recurring()).total
    return read_preview(invoice).total - periods


def bills_what_has_waited(invoice: StripeJson) -> bool:
    """Whether a preview has lines that have waited for it; they come first."""
    return not _alone(invoice)[1]


def is_of_next_term(invoice: StripeJson, item: StripeItem, at: int) -> bool:
    """Whether the preview of a change made at `at` (epoch seconds) is the invoice of the term after `item`'s.

    That is what Stripe previews where the change itself makes no invoice, as in a trial.
    """
    terms = read_terms(invoice)
    if terms or not _is_cut(invoice):
        return any(line.period_start >= item.period_end for line in terms)
    return from_epoch(_number(invoice, "created")) > from_epoch(at) + _A_WHILE


def _alone(invoice: StripeJson) -> tuple[list[StripeJson], bool]:
    """The lines that have not waited, and whether the invoice has no others, on this page or the next."""
    listed = _objects(_lines(invoice).get("data"))
    alone = [line for line in listed if not _has_waited(line)]
    return alone, len(alone) == len(listed) and not _is_cut(invoice)


def _is_cut(invoice: StripeJson) -> bool:
    return _lines(invoice).get("has_more") is True


def _lines(invoice: StripeJson) -> StripeJson:
    held = invoice.get("lines")
    return held if isinstance(held, dict) else {}


def _about(line: StripeJson) -> list[StripeJson]:
    parent = line.get("parent")
    about = parent if isinstance(parent, dict) else {}
    details = (about.get(f"{kind}_details") for kind in ("subscription_item", "invoice_item"))
    return [one for one in details if isinstance(one, dict)]


def _has_waited(line: StripeJson) -> bool:
    return any(one.get("invoice_item") for one in _about(line))


def _prorates(line: StripeJson) -> bool:
    return any(one.get("proration") is True for one in _about(line))


def _net(line: StripeJson) -> int:
    """What a line comes to after its discounts, with the taxes that are not in its amount; minor units."""
    off = sum(_number(one, "amount") for one in _objects(line.get("discount_amounts")))
    added = [one for one in _objects(line.get("taxes")) if one.get("tax_behavior") == "exclusive"]
    return _number(line, "amount") - off + sum(_number(one, "amount") for one in added)


def _off(lines: list[StripeJson]) -> list[StripeJson]:
    """What each discount takes off these lines together."""
    sums: dict[str, int] = {}
    for line in lines:
        for one in _objects(line.get("discount_amounts")):
            name = str(one.get("discount"))
            sums[name] = sums.get(name, 0) + _number(one, "amount")
    return [{"discount": name, "amount": amount} for name, amount in sums.items()]


def _objects(value: JsonValue | None) -> list[StripeJson]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _number(holder: StripeJson, name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else 0
