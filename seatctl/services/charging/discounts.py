"""Coupons and promotion codes, looked up in Stripe."""

from __future__ import annotations

from seatctl.billing import endpoints
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, JsonValue, refuse


def find_discounts(billing: Billing, promo: str | None, coupon: str | None) -> tuple[tuple[str, str], ...]:
    """Return (`coupon` or `promotion_code`, its id) of each one given.

    Raises `unknown_promotion_code`, `unknown_coupon`. Stripe checks whether it is still valid when it is
    used.
    """
    discounts: list[tuple[str, str]] = []
    if coupon:
        try:
            discounts.append(("coupon", str(billing.read(endpoints.coupon(coupon))["id"])))
        except MissingInStripe:
            raise refuse(
                Code.UNKNOWN_COUPON,
                f"there is no coupon {coupon!r}",
                hint="a code that customers type is given with --promo",
                data={"coupon": coupon},
            ) from None
    if promo:
        codes = list(billing.every(endpoints.promotion_codes(promo)))
        if not codes:
            raise refuse(
                Code.UNKNOWN_PROMOTION_CODE,
                f"there is no active promotion code {promo!r}",
                hint="a coupon's id is given with --coupon",
                data={"promotion_code": promo},
            )
        discounts.append(("promotion_code", str(codes[0]["id"])))
    return tuple(discounts)


def discount_forms(discounts: tuple[tuple[str, str], ...], existing: tuple[str, ...] = ()) -> list[JsonValue]:
    """Return the discounts in Stripe's words, after the `existing` ones of the subscription."""
    if not discounts:
        return []
    old: list[JsonValue] = [{"discount": discount} for discount in existing]
    new: list[JsonValue] = [{kind: identifier} for kind, identifier in discounts]
    return [*old, *new]
