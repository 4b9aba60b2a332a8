"""Billing periods and the lines they bring: pure dates, and what was billed for each item."""

from __future__ import annotations

from fractions import Fraction

from seatctl.sandbox.clock import add_interval, anchor_day
from seatctl.sandbox.lines import invoice_item, period_line, pricing
from seatctl.sandbox.money import price_exact
from seatctl.sandbox.proration import prorated, remaining, unused
from seatctl.sandbox.session import Session
from seatctl.sandbox.wire import Obj


def next_end(start: int, price: Obj, anchor: int) -> int:
    """The end of the period that begins at `start`; the anchor's day comes back after a short month."""
    recurring = price["recurring"]
    return add_interval(start, recurring["interval"], recurring["interval_count"], day=anchor_day(anchor))


def name_of(session: Session, price: Obj) -> str:
    """The product's name, as lines show it."""
    product = session.store.get("product", price["product"])
    return str(product["name"]) if product else str(price["product"])


def stored_price(session: Session, item: Obj) -> Obj:
    """An item's price with the sandbox's notes (tiers)."""
    return session.store.get("price", item["price"]["id"]) or item["price"]


def bill_period(session: Session, invoice: Obj, item: Obj, *, trial: bool = False) -> None:
    """Put a whole period of an item on an invoice and note what was billed."""
    price = stored_price(session, item)
    period = (item["current_period_start"], item["current_period_end"])
    made = period_line(invoice["id"], item, price, name_of(session, price), period, trial=trial)
    invoice["lines"]["data"].append(made)
    item["_billed"] = [] if trial else [_billed(item, price, {"invoice": invoice["id"], "line": made["id"]})]
    session.save(item)


def _billed(item: Obj, price: Obj, where: Obj) -> Obj:
    return {
        "price": price,
        "quantity": item["quantity"],
        "full": str(price_exact(price, item["quantity"])),
        "start": item["current_period_start"],
        "end": item["current_period_end"],
        **where,
    }


def credits(session: Session, item: Obj, customer: str, at: int) -> list[Obj]:
    """Invoice items that give back what was billed for an item from `at` on."""
    made: list[Obj] = []
    for billed in item.get("_billed", []):
        if at >= billed["end"]:
            continue
        price, quantity = billed["price"], billed["quantity"]
        amount = prorated(Fraction(billed["full"]), -1, at, billed["start"], billed["end"])
        made.append(
            _proration(
                session,
                item,
                customer,
                price,
                quantity,
                amount,
                (at, billed["end"]),
                unused(quantity, name_of(session, price), at),
                _credited(session, billed),
            )
        )
    return made


def _credited(session: Session, billed: Obj) -> Obj:
    if "item" in billed:
        source = session.store.get("invoiceitem", billed["item"])
        if source is None or source["invoice"] is None:
            return {"invoice_item": billed["item"]}
        return {"invoice": source["invoice"], "invoice_line_items": [source["_line"]]}
    return {"invoice": billed["invoice"], "invoice_line_items": [billed["line"]]}


def charge(session: Session, item: Obj, customer: str, at: int) -> Obj:
    """The invoice item that charges an item's present price and quantity from `at` on."""
    price, quantity = stored_price(session, item), item["quantity"]
    start, end = item["current_period_start"], item["current_period_end"]
    amount = prorated(price_exact(price, quantity), 1, at, start, end)
    return _proration(session, item, customer, price, quantity, amount, (at, end),
                      remaining(quantity, name_of(session, price), at), None)  # fmt: skip


def _proration(
    session: Session,
    item: Obj,
    customer: str,
    price: Obj,
    quantity: int,
    amount: int,
    period: tuple[int, int],
    description: str,
    credited: Obj | None,
) -> Obj:
    return invoice_item(
        customer,
        amount=amount,
        currency=price["currency"],
        now=session.now,
        description=description,
        period=period,
        quantity=quantity,
        priced=pricing(price, unit=None),
        subscription=item["subscription"],
        subscription_item=item["id"],
        proration=True,
        credited=credited,
        discountable=False,
    )


def note_charged(item: Obj, price: Obj, charged: Obj | None) -> None:
    """From here on the item's billed time is what the proration charged, or nothing."""
    item["_billed"] = [] if charged is None else [_billed(item, price, {"item": charged["id"]})]
