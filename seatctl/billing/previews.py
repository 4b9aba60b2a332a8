"""Reads previews: pending invoice items, what an invoice of our own would cost, and when it is due.

Only the first ten lines of a preview can be read, and pending items come first. The rest is read from another
preview (`recurring`) or computed from the sums, which cover all lines.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from seatctl.billing.objects import object_of, objects_in, read_preview
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.models.call import from_epoch
from seatctl.models.invoice import InvoiceLine
from seatctl.models.stripe_objects import Preview, StripeItem

RECURRING: dict[str, JsonValue] = {"preview_mode": "recurring"}
"""Asks for a preview of the items' periods alone."""

_A_WHILE = timedelta(hours=1)


def read_preview_without_pending(
    invoice: StripeJson, recurring: Callable[[], StripeJson] | None = None
) -> Preview:
    """Like `read_preview`, for a new subscription, without the customer's pending invoice items.

    Our own invoices leave them out (`pending_invoice_items_behavior=exclude`). If Stripe has spread an amount
    off over all lines, the discount here is smaller than on our invoice, which then costs less. `recurring`
    reads a preview without the pending items, in case they fill the whole first page.
    """
    alone, whole = _alone(invoice)
    if not alone and not whole and recurring is not None:
        return read_preview_without_pending(recurring())
    if not alone or whole:
        return read_preview(invoice)
    total = sum(map(_net, alone))
    changed: dict[str, JsonValue] = {
        "lines": {"data": [*alone]},
        "subtotal": sum(_number(line, "amount") for line in alone),
        "total": total,
        "total_discount_amounts": [*_off(alone)],
        "total_taxes": [tax for line in alone for tax in objects_in(line.get("taxes"))],
        "amount_due": max(0, total + _number(invoice, "starting_balance")),
    }
    return read_preview({**invoice, **changed})


def read_terms(invoice: StripeJson) -> tuple[InvoiceLine, ...]:
    """Return the lines of whole periods, of the items themselves, as far as they are on the first page."""
    terms = [line for line in _alone(invoice)[0] if not _prorates(line)]
    return read_preview({**invoice, "lines": {"data": [*terms]}}).lines


def read_pending_amount(invoice: StripeJson, recurring: Callable[[], StripeJson]) -> int:
    """Return the amount of pending items in a preview, in minor units: all but the items' periods.

    `recurring` reads a preview of those periods alone.
    """
    alone, whole = _alone(invoice)
    if whole:
        return 0
    periods = sum(map(_net, alone)) if alone else read_preview(recurring()).total
    return read_preview(invoice).total - periods


def has_pending_items(invoice: StripeJson) -> bool:
    """Return whether a preview has pending items; they come first."""
    return not _alone(invoice)[1]


def previews_next_term(invoice: StripeJson, item: StripeItem, at: int) -> bool:
    """Return whether the preview of a change at `at` (epoch seconds) is the invoice of `item`'s next term.

    Stripe previews that invoice if the change itself makes none, as in a trial.
    """
    terms = read_terms(invoice)
    if terms or not _is_cut(invoice):
        return any(line.period_start >= item.period_end for line in terms)
    return from_epoch(_number(invoice, "created")) > from_epoch(at) + _A_WHILE


def end_of_term(invoice: StripeJson, price: str) -> datetime | None:
    """Return until when a preview bills a price (UTC); None if none of the lines that can be read does."""
    ends = [
        _number(object_of(line.get("period")), "end")
        for line in objects_in(_lines(invoice).get("data"))
        if object_of(object_of(line.get("pricing")).get("price_details")).get("price") == price
    ]
    return from_epoch(max(ends)) if ends else None


def _alone(invoice: StripeJson) -> tuple[list[StripeJson], bool]:
    """Return the lines that are not pending items, and whether the whole invoice has no others."""
    listed = objects_in(_lines(invoice).get("data"))
    alone = [line for line in listed if not _has_waited(line)]
    return alone, len(alone) == len(listed) and not _is_cut(invoice)


def _is_cut(invoice: StripeJson) -> bool:
    return _lines(invoice).get("has_more") is True


def _lines(invoice: StripeJson) -> StripeJson:
    return object_of(invoice.get("lines"))


def _about(line: StripeJson) -> list[StripeJson]:
    about = object_of(line.get("parent"))
    details = (about.get(f"{kind}_details") for kind in ("subscription_item", "invoice_item"))
    return [part for part in details if isinstance(part, dict)]


def _has_waited(line: StripeJson) -> bool:
    return any(details.get("invoice_item") for details in _about(line))


def _prorates(line: StripeJson) -> bool:
    return any(details.get("proration") is True for details in _about(line))


def _net(line: StripeJson) -> int:
    """Return a line's amount after discounts, with the taxes that are not included; minor units."""
    off = sum(_number(discount, "amount") for discount in objects_in(line.get("discount_amounts")))
    added = [tax for tax in objects_in(line.get("taxes")) if tax.get("tax_behavior") == "exclusive"]
    return _number(line, "amount") - off + sum(_number(tax, "amount") for tax in added)


def _off(lines: list[StripeJson]) -> list[StripeJson]:
    """Return what each discount takes off these lines."""
    sums: dict[str, int] = {}
    for line in lines:
        for discount in objects_in(line.get("discount_amounts")):
            name = str(discount.get("discount"))
            sums[name] = sums.get(name, 0) + _number(discount, "amount")
    return [{"discount": name, "amount": amount} for name, amount in sums.items()]


def _number(holder: StripeJson, name: str) -> int:
    value = holder.get(name)
    return value if isinstance(value, int) else 0
