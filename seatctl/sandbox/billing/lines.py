"""Invoice lines and invoice items as values, without I/O."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.money import amount_text, exact_price, round_half_up
from seatctl.sandbox.objects import Obj, new_id, new_object, pick


def pricing_of(price: Obj | None, *, unit: str | None) -> Obj | None:
    """Return the `pricing` of a line; that of a proration has no unit amount."""
    if price is None:
        return None
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": unit}


def interval_text(price: Obj) -> str:
    """Return `/ month` or `/ every 3 months`."""
    interval, count = price["recurring"]["interval"], price["recurring"]["interval_count"]
    return f"/ {interval}" if count == 1 else f"/ every {count} {interval}s"


def new_line(invoice: str, *, amount: int, period: tuple[int, int], quantity: int, **fields: Any) -> Obj:
    """Return a line of an invoice; `amount` in minor units, `period` in epoch seconds."""
    return new_object(
        "line_item",
        new_id("il"),
        empty="discount_amounts discounts pretax_credit_amounts taxes",
        amount=amount,
        invoice=invoice,
        livemode=False,
        period={"end": period[1], "start": period[0]},
        quantity=quantity,
        quantity_decimal=str(quantity),
        subtotal=amount,
        **{"discountable": True, **fields},
    )


def period_line(
    invoice: str, item: Obj, price: Obj, units: str, period: tuple[int, int], *, trial: bool
) -> Obj:
    """Return the line for a whole period of a subscription item, or for its free trial."""
    quantity = item["quantity"]
    unit_price = amount_text(price["unit_amount_decimal"], price["currency"])
    description = f"{units} (at {unit_price} {interval_text(price)})"
    details = {
        "invoice_item": None,
        "proration": False,
        "proration_details": {"credited_items": None},
        "subscription": item["subscription"],
        "subscription_item": item["id"],
    }
    return new_line(
        invoice,
        amount=0 if trial else round_half_up(exact_price(price, quantity)),
        currency=price["currency"],
        description=f"Free trial for {units}" if trial else description,
        period=period,
        quantity=quantity,
        parent=_parent(subscription=details),
        pricing=pricing_of(price, unit="0" if trial else price["unit_amount_decimal"]),
        metadata=dict(item["metadata"]),
    )


def item_line(invoice: str, item: Obj, credited: Obj | None = None) -> Obj:
    """Return the line of an invoice item on its invoice; `credited` is the source of a credit."""
    details = {
        "invoice_item": item["id"],
        "proration": item["proration"],
        "proration_details": {"credited_items": credited},
        "subscription": item["_subscription"],
    }
    if item["_subscription_item"]:
        parent = _parent(subscription={**details, "subscription_item": item["_subscription_item"]})
    else:
        parent = _parent(item=details)
    return new_line(
        invoice,
        **pick(item, "amount", "currency", "description", "quantity", "pricing", "discountable"),
        period=(item["period"]["start"], item["period"]["end"]),
        parent=parent,
        discounts=list(item["discounts"]),
        metadata=dict(item["metadata"]),
    )


def _parent(*, subscription: Obj | None = None, item: Obj | None = None) -> Obj:
    kind = "subscription_item_details" if subscription else "invoice_item_details"
    return {"invoice_item_details": item, "subscription_item_details": subscription, "type": kind}


def new_invoice_item(
    customer: str,
    *,
    amount: int,
    now: int,
    period: tuple[int, int],
    quantity: int,
    subscription: str | None = None,
    subscription_item: str | None = None,
    proration: bool = False,
    credited: Obj | None = None,
    discountable: bool = True,
    **fields: Any,
) -> Obj:
    """Return an invoice item; a proration is dated at its period's start and has frozen fields."""
    item: Obj = new_object(
        "invoiceitem",
        new_id("ii"),
        null="customer_account invoice parent test_clock",
        empty="discounts tax_rates",
        amount=amount,
        customer=customer,
        date=period[0] if proration else now,
        discountable=discountable,
        frozen_fields=["pricing", "quantity", "discounts"] if proration else [],
        livemode=False,
        net_amount=net_amount(amount, discountable=discountable),
        period={"end": period[1], "start": period[0]},
        proration=proration,
        quantity=quantity,
        quantity_decimal=str(quantity),
        _created=now,
        _subscription=subscription,
        _subscription_item=subscription_item,
        _credited=credited,
        **{"metadata": {}, **fields},
    )
    if subscription:
        details = {"subscription": subscription}
        if subscription_item:
            details["subscription_item"] = subscription_item
        item["parent"] = {"subscription_details": details, "type": "subscription_details"}
    if proration:
        item["proration_details"] = _proration_details(credited)
    return item


def net_amount(amount: int, *, discountable: bool) -> int | None:
    """Return the `net_amount` of an invoice item: null as long as a discount may lower it."""
    return None if discountable else amount


def _proration_details(credited: Obj | None) -> Obj:
    source: Any = None
    if credited and credited.get("invoice"):
        source = {"invoice_line_item_details": credited, "type": "invoice_line_items"}
    elif credited and credited.get("invoice_item"):
        source = {"invoice_item": credited["invoice_item"], "type": "invoice_item"}
    return {"credited_items": source, "discount_amounts": []}
