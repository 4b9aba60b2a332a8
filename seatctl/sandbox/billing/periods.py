"""Billing periods and the lines they bring: pure dates, and what was billed for each item."""

from __future__ import annotations

from fractions import Fraction

from seatctl.sandbox.billing.discounts import applies_to, running_terms
from seatctl.sandbox.billing.lines import new_invoice_item, period_line, pricing_of
from seatctl.sandbox.billing.proration import prorated_amount, remaining_text, unused_text
from seatctl.sandbox.clock import add_interval, anchor_day
from seatctl.sandbox.money import exact_price
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, public


def next_end(start: int, price: Obj, anchor: int) -> int:
    """The end of the period that begins at `start`; the anchor's day comes back after a short month."""
    recurring = price["recurring"]
    return add_interval(start, recurring["interval"], recurring["interval_count"], day=anchor_day(anchor))


def product_name(session: Session, price: Obj) -> str:
    """The product's name, as lines show it."""
    product = session.store.get("product", price["product"])
    return str(product["name"]) if product else str(price["product"])


def bill_period(session: Session, invoice: Obj, item: Obj, *, trial: bool = False) -> None:
    """Put a whole period of an item on an invoice and note what was billed.

    A first period that an anchor cuts short costs its share of a whole one.
    """
    price = item["price"]
    period = (item["current_period_start"], item["current_period_end"])
    made = period_line(invoice["id"], item, price, product_name(session, price), period, trial=trial)
    invoice["lines"]["data"].append(made)
    item["_billed"] = [] if trial else [_billed(item, price, {"invoice": invoice["id"], "line": made["id"]})]
    whole = _back(period[1], price)
    if not trial and item.pop("_cut_short", False) and whole < period[0]:
        made["amount"] = made["subtotal"] = prorated_amount(
            exact_price(price, item["quantity"]), 1, period[0], whole, period[1]
        )
        item["_billed"][0]["start"] = whole
    session.save(item)


def _back(end: int, price: Obj) -> int:
    recurring = price["recurring"]
    return add_interval(end, recurring["interval"], -recurring["interval_count"])


def _billed(item: Obj, price: Obj, where: Obj) -> Obj:
    return {
        "price": price,
        "quantity": item["quantity"],
        "full": str(exact_price(price, item["quantity"])),
        "start": item["current_period_start"],
        "end": item["current_period_end"],
        "from": item["current_period_start"],
        "until": item["current_period_end"],
        **where,
    }


def credit_items(session: Session, item: Obj, customer: str, at: int) -> list[Obj]:
    """Invoice items that give back what was billed for an item from `at` on, and no more."""
    made: list[Obj] = []
    for billed in item.get("_billed", []):
        start, until = max(at, billed["from"]), billed["until"]
        if start >= until:
            continue
        price, quantity = billed["price"], billed["quantity"]
        amount = prorated_amount(
            _net(session, billed), -1, start, billed["start"], billed["end"], until=until
        )
        made.append(
            _proration(
                session,
                item,
                customer,
                price,
                quantity,
                amount,
                (start, until),
                unused_text(quantity, product_name(session, price), start),
                _credited(session, billed),
            )
        )
    return made


def _discounted(session: Session, item: Obj, exact: Fraction) -> Fraction:
    """What a whole period of an item costs after the subscription's running discounts.

    Under flexible billing a proration has them in its amount; a fixed amount is shared by the items.
    """
    subscription = session.find("subscription", item["subscription"], None)
    running = running_terms(session, subscription["discounts"], subscription["currency"])
    if not running:
        return exact
    items = {each["id"]: each for each in [*items_of(session, subscription["id"]), item]}
    costs = {name: _cost(each) for name, each in items.items()}
    costs[item["id"]] = exact
    for _, coupon in running:
        lowered = {name for name, each in items.items() if applies_to(coupon, each["price"]["product"])}
        whole = sum(cost for name, cost in costs.items() if name in lowered)
        percent, amount = coupon["percent_off"], coupon["amount_off"]
        share = Fraction(str(percent)) / 100 if amount is None else Fraction(amount) / (whole or 1)
        off = 1 - min(share, Fraction(1))
        costs = {name: cost * off if name in lowered else cost for name, cost in costs.items()}
    return costs[item["id"]]


def _cost(item: Obj) -> Fraction:
    return exact_price(item["price"], item["quantity"])


def _net(session: Session, billed: Obj) -> Fraction:
    """What a whole period cost after the discounts of the invoice that billed it."""
    full = Fraction(billed["full"])
    if "net" in billed:
        return Fraction(billed["net"])
    invoice = session.store.get("invoice", billed["invoice"])
    for line in invoice["lines"]["data"] if invoice else []:
        if line["id"] == billed["line"] and line["amount"]:
            off = sum(part["amount"] for part in line["discount_amounts"])
            return full * Fraction(line["amount"] - off, line["amount"])
    return full


def _credited(session: Session, billed: Obj) -> Obj:
    if "item" in billed:
        source = session.store.get("invoiceitem", billed["item"])
        if source is None or source["invoice"] is None:
            return {"invoice_item": billed["item"]}
        return {"invoice": source["invoice"], "invoice_line_items": [source["_line"]]}
    return {"invoice": billed["invoice"], "invoice_line_items": [billed["line"]]}


def charge_item(session: Session, item: Obj, customer: str, at: int) -> Obj:
    """The invoice item that charges an item's present price and quantity from `at` on."""
    price, quantity = item["price"], item["quantity"]
    start, end = item["current_period_start"], item["current_period_end"]
    exact = _discounted(session, item, _cost(item))
    amount = prorated_amount(exact, 1, at, start, end)
    return _proration(session, item, customer, price, quantity, amount, (at, end),
                      remaining_text(quantity, product_name(session, price), at), None)  # fmt: skip


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
    return new_invoice_item(
        customer,
        amount=amount,
        currency=price["currency"],
        now=session.now,
        description=description,
        period=period,
        quantity=quantity,
        priced=pricing_of(price, unit=None),
        subscription=item["subscription"],
        subscription_item=item["id"],
        proration=True,
        credited=credited,
        discountable=False,
    )


def save_pending(session: Session, prorations: list[Obj]) -> None:
    """Write pending items, the first one newest: a list shows a credit before its charge."""
    for made in reversed(prorations):
        session.save(made)
        session.emit("invoiceitem.created", public(made))


def record_billed(session: Session, item: Obj, price: Obj, charged: Obj) -> None:
    """From where the proration begins, the item's billed time is what it charged; before, what it was."""
    net = _discounted(session, item, _cost(item))
    at = charged["period"]["start"]
    fresh = {**_billed(item, price, {"item": charged["id"], "net": str(net)}), "from": at}
    kept = [{**each, "until": min(each["until"], at)} for each in item["_billed"]]
    item["_billed"] = [each for each in kept if each["from"] < each["until"]] + [fresh]
