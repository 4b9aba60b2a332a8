"""Coupons and promotion codes as they were typed, found in Stripe."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, JsonValue, refuse


def find_discounts(billing: Billing, promo: str | None, coupon: str | None) -> tuple[tuple[str, str], ...]:
    """(`coupon` or `promotion_code`, its id) of each that is given.

    Raises `unknown_promotion_code`, `unknown_coupon`. Whether one is still valid, Stripe says when it is
    used.
    """
    found: list[tuple[str, str]] = []
    if coupon:
        try:
            found.append(("coupon", str(billing.read(endpoints.coupon(coupon))["id"])))
        except MissingInStripe:
            raise refuse(
                Code.UNKNOWN_COUPON,
                f"there is no coupon {coupon!r}",
                hint="a code that customers type is given with --promo",
                data={"coupon": coupon},
            ) from None
    if promo:
        listed = list(billing.every(endpoints.promotion_codes(promo)))
        if not listed:
            raise refuse(
                Code.UNKNOWN_PROMOTION_CODE,
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
