"""Billing an item for a period, or for the rest of one; and crediting what was billed for it.

An item's `_billed` holds what it was billed for: price and quantity, the period (`start` to `end`), the part
of it that is still billed so (`from` to `until`), and the invoice line or pending item that did.

A change credits the rest of the period and charges the whole new quantity for it. Flexible billing credits
each amount that was billed; classic billing credits what the item costs before the change, with the discount
that was billed last, whatever was billed. Each line is rounded once, a half towards minus infinity.
"""

from __future__ import annotations

from fractions import Fraction

from seatctl.sandbox.billing.discounts import applies_to, running_terms
from seatctl.sandbox.billing.lines import new_invoice_item, period_line, pricing_of
from seatctl.sandbox.clock import add_interval, anchor_day, day_text
from seatctl.sandbox.money import exact_price, round_half_down
from seatctl.sandbox.objects import Obj, pick
from seatctl.sandbox.session import Session


def prorated_amount(
    full: Fraction, sign: int, at: int, start: int, end: int, *, until: int | None = None
) -> int:
    """Return sign x full x (until - at) / (end - start), rounded once; minor units, times in epoch seconds.

    `until` is the end of the period by default.
    """
    if end <= start:
        return 0
    duration = min(max((end if until is None else until) - at, 0), end - start)
    return round_half_down(sign * full * Fraction(duration, end - start))


def next_end(start: int, price: Obj, anchor: int) -> int:
    """Return the end of a period that begins at `start`; a short month does not move the anchor's day."""
    recurring = price["recurring"]
    return add_interval(start, recurring["interval"], recurring["interval_count"], day=anchor_day(anchor))


def keep_anchor(item: Obj, moment: int, anchor: int) -> None:
    """Set the period of an item whose price got another interval: `moment` is in it, the anchor stays.

    As recorded, a month becomes a year that began with the month. No recording shows a year that becomes
    months: the month that contains `moment` is taken, counted from the beginning of the year.
    """
    start = item["current_period_start"]
    while (end := next_end(start, item["price"], anchor)) <= moment:
        start = end
    item.update(current_period_start=start, current_period_end=end)


def begin_period(session: Session, item: Obj, start: int, anchor: int) -> None:
    """Begin a new period of an item at `start`; the item is written."""
    item.update(current_period_start=start, current_period_end=next_end(start, item["price"], anchor))
    session.save(item)


def product_name(session: Session, price: Obj, quantity: int | None = None) -> str:
    """Return the name of a price's product as lines show it; with a quantity, `10 user × NAME`."""
    product = session.store.get("product", price["product"]) or {"name": price["product"], "unit_label": None}
    label = f" {product['unit_label']}" if product["unit_label"] else ""
    return str(product["name"]) if quantity is None else f"{quantity}{label} × {product['name']}"


def bill_period(
    session: Session, invoice: Obj, item: Obj, *, trial: bool = False, cut_short: bool = False
) -> None:
    """Put an item's whole period on an invoice and record what was billed; the item is written.

    `cut_short`: a first period that an anchor cuts short costs its share of a whole period.
    """
    price = item["price"]
    period = (item["current_period_start"], item["current_period_end"])
    units = product_name(session, price, item["quantity"])
    line = period_line(invoice["id"], item, price, units, period, trial=trial)
    invoice["lines"]["data"].append(line)
    item["_billed"] = [] if trial else [_billed(item, {"invoice": invoice["id"], "line": line["id"]})]
    whole_start = _period_start(period[1], price)
    if cut_short and whole_start < period[0]:
        line["amount"] = line["subtotal"] = prorated_amount(_cost(item), 1, period[0], whole_start, period[1])
        item["_billed"][0]["start"] = whole_start
    session.save(item)


def _period_start(end: int, price: Obj) -> int:
    recurring = price["recurring"]
    return add_interval(end, recurring["interval"], -recurring["interval_count"])


def _billed(item: Obj, source: Obj) -> Obj:
    return {
        "price": item["price"],
        "quantity": item["quantity"],
        "full": str(_cost(item)),
        "start": item["current_period_start"],
        "end": item["current_period_end"],
        "from": item["current_period_start"],
        "until": item["current_period_end"],
        **source,
    }


def credit_items(session: Session, item: Obj, at: int) -> list[Obj]:
    """Return invoice items that credit the time of an item from `at` on; not yet written."""
    credits: list[Obj] = []
    subscription = session.find("subscription", item["subscription"], None)
    classic = is_classic(subscription) and subscription["status"] not in ("trialing", "paused")
    for billed in _as_item_is(session, item) if classic else item.get("_billed", []):
        start, until = max(at, billed["from"]), billed["until"]
        if start >= until:
            continue
        net = _net(session, billed)
        amount = prorated_amount(net, -1, start, billed["start"], billed["end"], until=until)
        source = _credited(session, billed)
        period = (start, until)
        credits.append(_proration_item(session, item, billed, amount, period, "Unused", source))
    return credits


def is_classic(subscription: Obj) -> bool:
    """Return whether a subscription has the classic billing mode."""
    return bool(subscription["billing_mode"]["type"] == "classic")


def _as_item_is(session: Session, item: Obj) -> list[Obj]:
    """Return what classic billing credits: the item as it is, also if that was never billed."""
    whole = _billed(item, {"net": str(_cost(item))})
    last = max(item["_billed"], key=lambda billed: int(billed["until"]), default=whole)
    rate = _net(session, last) / (Fraction(last["full"]) or 1)
    credited = pick(whole, "price", "quantity", "full")
    return [{**last, **credited, "net": str(_cost(item) * rate), "from": item["current_period_start"]}]


def _discounted(session: Session, item: Obj) -> Fraction:
    """Return what a whole period of an item costs after the subscription's running discounts.

    They are part of a proration's amount. A fixed amount off is shared by the items: in proportion to what
    they cost, or in equal parts under classic billing.
    """
    subscription = session.find("subscription", item["subscription"], None)
    terms = running_terms(session, subscription["discounts"], subscription["currency"])
    items = {other["id"]: other for other in [*session.items_of(subscription["id"]), item]}
    costs = {name: _cost(other) for name, other in items.items()}
    for _, coupon in terms:
        lowered = {name for name, other in items.items() if applies_to(coupon, other["price"]["product"])}
        total = sum(cost for name, cost in costs.items() if name in lowered)
        percent, amount = coupon["percent_off"], coupon["amount_off"]
        for name in lowered:
            of = costs[name] * len(lowered) if is_classic(subscription) else total
            share = Fraction(str(percent)) / 100 if amount is None else Fraction(amount) / (of or 1)
            costs[name] *= 1 - min(share, Fraction(1))
    return costs[item["id"]]


def _cost(item: Obj) -> Fraction:
    return exact_price(item["price"], item["quantity"])


def _net(session: Session, billed: Obj) -> Fraction:
    """Return what a whole period cost after the discounts of the invoice that billed it."""
    full = Fraction(billed["full"])
    if "net" in billed:
        return Fraction(billed["net"])
    invoice = session.store.get("invoice", billed["invoice"])
    for line in invoice["lines"]["data"] if invoice else []:
        if line["id"] == billed["line"] and line["amount"]:
            discount = sum(part["amount"] for part in line["discount_amounts"])
            return full * Fraction(line["amount"] - discount, line["amount"])
    return full


def _credited(session: Session, billed: Obj) -> Obj | None:
    """Return what a credit names as its source: the invoice line that billed the time, or a pending item."""
    if "item" in billed:
        return line_of_item(session, billed["item"]) or {"invoice_item": billed["item"]}
    if "invoice" not in billed:
        return None
    return {"invoice": billed["invoice"], "invoice_line_items": [billed["line"]]}


def line_of_item(session: Session, identifier: str) -> Obj | None:
    """Return what names the invoice line of an item as the source of a credit; None for a pending item."""
    item = session.store.get("invoiceitem", identifier)
    if item is None or item["invoice"] is None:
        return None
    return {"invoice": item["invoice"], "invoice_line_items": [item["_line"]]}


def charge_item(session: Session, item: Obj, at: int) -> Obj:
    """Return the invoice item that charges an item's price and quantity from `at` on; not yet written.

    The item is written: it is billed so from `at` on.
    """
    start, end = item["current_period_start"], item["current_period_end"]
    return charge_rest(session, item, prorated_amount(_discounted(session, item), 1, at, start, end), at)


def charge_rest(session: Session, item: Obj, amount: int, at: int) -> Obj:
    """Return the invoice item that charges `amount` from `at` to the period's end, as `charge_item` does."""
    period = (at, item["current_period_end"])
    charge = _proration_item(session, item, item, amount, period, "Remaining")
    source = {"item": charge["id"], "net": str(_discounted(session, item)), "from": at}
    item["_billed"] = [*billed_before(item, at), _billed(item, source)]
    session.save(item)
    return charge


def _proration_item(
    session: Session,
    item: Obj,
    billed: Obj,
    amount: int,
    period: tuple[int, int],
    kind: str,
    credited: Obj | None = None,
) -> Obj:
    """Return the invoice item for `Unused` or `Remaining` time at the price and quantity of `billed`."""
    price, quantity = billed["price"], billed["quantity"]
    units = product_name(session, price, None if quantity == 1 else quantity)
    return new_invoice_item(
        session.find("subscription", item["subscription"], None)["customer"],
        amount=amount,
        currency=price["currency"],
        now=session.now,
        description=f"{kind} time on {units} after {day_text(period[0])}",
        period=period,
        quantity=quantity,
        pricing=pricing_of(price, unit=None),
        subscription=item["subscription"],
        subscription_item=item["id"],
        proration=True,
        credited=credited,
        discountable=False,
    )


def save_pending(session: Session, prorations: list[Obj]) -> None:
    """Write prorations as pending items, the first as the newest: a list shows a credit before its charge."""
    for item in reversed(prorations):
        session.save_and_emit(item, "invoiceitem.created")


def billed_before(item: Obj, moment: int) -> list[Obj]:
    """Return what an item was billed for, as far as it is before `moment`."""
    cut = [{**billed, "until": min(billed["until"], moment)} for billed in item["_billed"]]
    return [billed for billed in cut if billed["from"] < billed["until"]]
