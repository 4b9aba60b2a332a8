"""Coupons."""

from __future__ import annotations

from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, sent, token
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/coupons."""
    if "percent_off" in params and "amount_off" in params:
        raise invalid("Received both percent_off and amount_off parameters. Please pass in only one.")
    if "percent_off" not in params and "amount_off" not in params:
        raise ApiError(400, "Must provide percent_off or amount_off.", code="parameter_missing")
    if "amount_off" in params and not params.get("currency"):
        raise invalid("Must provide currency when passing amount_off.", "currency", code="parameter_missing")
    if not 0 < float(params.get("percent_off", 100)) <= 100:
        raise invalid("`percent_off` must be greater than 0 and at most 100.", "percent_off")
    duration = params.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in params):
        message = (
            "Coupons with `duration` of `repeating` must provide `duration_in_months`."
            if duration == "repeating"
            else "You cannot set `duration_in_months` unless `duration` is `repeating`."
        )
        raise invalid(message, "duration_in_months")
    identifier = params.get("id") or token(8)
    if session.store.get_any(identifier):
        raise invalid("Coupon already exists.", "id", code="resource_already_exists")
    coupon = _new_coupon(session, identifier, duration, params)
    products = (params.get("applies_to") or {}).get("products") or []
    for position, product in enumerate(products):
        session.find("product", product, f"applies_to[products][{position}]")
    coupon["_products"] = products
    return session.save_and_emit(coupon, "coupon.created")


def _new_coupon(session: Session, identifier: str, duration: str, params: Obj) -> Obj:
    percent = params.get("percent_off")
    return session.new(
        "coupon",
        identifier,
        **sent(params, "amount_off currency duration_in_months max_redemptions name redeem_by"),
        duration=duration,
        metadata=merge_metadata({}, params.get("metadata")),
        percent_off=None if percent is None else float(percent),
        times_redeemed=0,
        valid=True,
    )
