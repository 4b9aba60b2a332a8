"""Discounts: created from a coupon or promotion code, and spread over an invoice's discountable lines."""

from __future__ import annotations

from fractions import Fraction

from seatctl.sandbox.clock import add_months
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.money import round_half_up
from seatctl.sandbox.objects import Obj, new_id, new_object
from seatctl.sandbox.session import Session


def set_discounts(session: Session, obj: Obj, params: Obj, customer: str, **holder: str) -> None:
    """Set the discounts of an object, if a request names or describes some; new ones are written.

    `holder` is the object that they apply to, by its field: `invoice`, `invoice_item` or `subscription`.
    """
    if "discounts" not in params:
        return
    obj["discounts"] = []
    for position, entry in enumerate(params["discounts"]):
        param = f"discounts[{position}]"
        if entry.get("discount"):
            discount = session.find("discount", entry["discount"], f"{param}[discount]")
        else:
            discount = _create(session, entry, customer, param, holder)
        obj["discounts"].append(discount["id"])


def _create(session: Session, entry: Obj, customer: str, param: str, holder: dict[str, str]) -> Obj:
    promotion = None
    if entry.get("promotion_code"):
        promotion = session.find("promotion_code", entry["promotion_code"], f"{param}[promotion_code]")
        _check_promotion(session, promotion, customer)
        coupon = session.find("coupon", promotion["promotion"]["coupon"], f"{param}[coupon]")
    else:
        coupon = session.find("coupon", str(entry.get("coupon")), f"{param}[coupon]")
    _check_coupon(session, coupon)
    months = coupon["duration_in_months"]
    discount = new_object(
        "discount",
        new_id("di"),
        null="checkout_session customer_account invoice invoice_item subscription subscription_item",
        customer=customer,
        end=add_months(session.now, months) if months else None,
        promotion_code=promotion and promotion["id"],
        source={"coupon": coupon["id"], "type": "coupon"},
        start=session.now,
        **holder,
    )
    # A copy of the coupon, which may be deleted later: the discount keeps its terms.
    discount["_terms"] = coupon
    session.save(discount)
    for redeemed in filter(None, (coupon, promotion)):
        redeemed["times_redeemed"] += 1
        session.save(redeemed)
    return discount


def _check_promotion(session: Session, code: Obj, customer: str) -> None:
    is_over = _is_used_up_or_over(session, code, "expires_at")
    if not code["active"] or is_over or code["customer"] not in (None, customer):
        raise invalid("This promotion code cannot be redeemed because it is not active.", "promotion_code")


def _check_coupon(session: Session, coupon: Obj) -> None:
    if _is_used_up_or_over(session, coupon, "redeem_by"):
        raise invalid(f"Coupon {coupon['id']} is used up or expired and cannot be applied.", "coupon")


def _is_used_up_or_over(session: Session, obj: Obj, end: str) -> bool:
    used_up = obj["max_redemptions"] is not None and obj["times_redeemed"] >= obj["max_redemptions"]
    return used_up or (obj[end] is not None and obj[end] <= session.now)


def running_terms(session: Session, ids: list[str], currency: str | None = None) -> list[tuple[str, Obj]]:
    """Return the discounts that have not ended, as pairs of an id and its coupon's terms.

    With a `currency`, fixed amounts of another currency are left out: Stripe ignores them.
    """
    discounts = [(name, session.store.get("discount", name)) for name in ids]
    return [
        (name, discount["_terms"])
        for name, discount in discounts
        if discount is not None
        and (discount["end"] is None or discount["end"] > session.now)
        and (currency is None or discount["_terms"]["currency"] in (None, currency))
    ]


def spread_discounts(lines: list[Obj], coupons: list[tuple[str, Obj]]) -> None:
    """Write each line's share of each discount, one discount after another; no line falls below zero."""
    remaining = [line["amount"] if line["discountable"] and line["amount"] > 0 else 0 for line in lines]
    for line in lines:
        line["discount_amounts"] = [] if line["discountable"] else line["discount_amounts"]
    for name, coupon in coupons:
        bases = [
            base if _applies_to_line(coupon, line) else 0 for line, base in zip(lines, remaining, strict=True)
        ]
        parts = shares(bases, coupon)
        for line, base, part in zip(lines, bases, parts, strict=True):
            if line["discountable"] and base:
                line["discount_amounts"].append({"amount": part, "discount": name})
        remaining = [base - part for base, part in zip(remaining, parts, strict=True)]


def _applies_to_line(coupon: Obj, line: Obj) -> bool:
    details = (line["pricing"] or {}).get("price_details") or {}
    return applies_to(coupon, details.get("product"))


def applies_to(coupon: Obj, product: str | None) -> bool:
    """Whether a coupon lowers the price of a product: of all products unless it names some."""
    return not coupon.get("_products") or product in coupon["_products"]


def shares(bases: list[int], coupon: Obj) -> list[int]:
    """Return each line's share of a coupon, in minor units."""
    if coupon["percent_off"] is not None:
        rate = Fraction(str(coupon["percent_off"])) / 100
        return [round_half_up(base * rate) for base in bases]
    remaining, total = min(coupon["amount_off"], sum(bases)), sum(bases)
    parts: list[int] = []
    for base in bases:
        part = round_half_up(Fraction(remaining * base, total)) if total else 0
        parts.append(part)
        remaining, total = remaining - part, total - base
    return parts


def remaining_discounts(session: Session, ids: list[str]) -> list[str]:
    """Return the discounts that are left after an invoice: those of duration `once` are used up."""
    return [name for name, coupon in running_terms(session, ids) if coupon["duration"] != "once"]
