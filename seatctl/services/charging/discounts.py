"""Coupons and promotion codes as they were typed, found in Stripe."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import JsonValue, NotFound


class UnknownPromotionCode(NotFound):
    """Stripe knows no active promotion code of this text."""

    code = "unknown_promotion_code"


class UnknownCoupon(NotFound):
    """Stripe has no coupon of this id."""

    code = "unknown_coupon"


def find_discounts(billing: Billing, promo: str | None, coupon: str | None) -> tuple[tuple[str, str], ...]:
    """(`coupon` or `promotion_code`, its id) of each that is given.

    Raises UnknownPromotionCode, UnknownCoupon. Whether one is still valid, Stripe says when it is used.
    """
    found: list[tuple[str, str]] = []
    if coupon:
        try:
            found.append(("coupon", str(billing.read(endpoints.coupon(coupon))["id"])))
        except MissingInStripe:
            raise UnknownCoupon(
                f"there is no coupon {coupon!r}",
                hint="a code that customers type is given with --promo",
                data={"coupon": coupon},
            ) from None
    if promo:
        listed = list(billing.every(endpoints.promotion_codes(promo)))
        if not listed:
            raise UnknownPromotionCode(
                f"there is no active promotion code {promo!r}",
                hint="a coupon's id is given with --coupon",
                data={"promotion_code": promo},
            )
        found.append(("promotion_code", str(listed[0]["id"])))
    return tuple(found)


def discount_forms(found: tuple[tuple[str, str], ...], kept: tuple[str, ...] = ()) -> list[JsonValue]:
    """The discounts in Stripe's words; `kept` are those that the subscription has already."""
    if not found:
        return []
    old: list[JsonValue] = [{"discount": one} for one in kept]
    new: list[JsonValue] = [{kind: named} for kind, named in found]
    return [*old, *new]
