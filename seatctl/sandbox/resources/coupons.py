"""Coupons; and of tax rates only that there are none."""

from __future__ import annotations

from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, token, unset
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/coupons."""
    both = "percent_off" in params and "amount_off" in params
    if both:
        raise invalid("Received both percent_off and amount_off parameters. Please pass in only one.")
    if "percent_off" not in params and "amount_off" not in params:
        raise ApiError(400, "Must provide percent_off or amount_off.", code="parameter_missing")
    if "amount_off" in params and not params.get("currency"):
        raise invalid("Must provide currency when passing amount_off.", "currency", code="parameter_missing")
    duration = params.get("duration", "once")
    if (duration == "repeating") != ("duration_in_months" in params):
        message = (
            "Coupons with `duration` of `repeating` must provide `duration_in_months`."
            if duration == "repeating"
            else "You cannot set `duration_in_months` unless `duration` is `repeating`."
        )
        raise invalid(message, "duration_in_months")
    identifier = params.get("id") or token(8)
    if session.store.any(identifier):
        raise invalid("Coupon already exists.", "id", code="resource_already_exists")
    coupon = _made(session.now, identifier, duration, params)
    products = (params.get("applies_to") or {}).get("products") or []
    for place, product in enumerate(products):
        session.find("product", product, f"applies_to[products][{place}]")
    coupon["_products"] = products
    session.save(coupon)
    session.emit("coupon.created", view(session, coupon))
    return view(session, coupon)


def _made(now: int, identifier: str, duration: str, params: Obj) -> Obj:
    percent = params.get("percent_off")
    return {
        "id": identifier,
        "object": "coupon",
        "amount_off": params.get("amount_off"),
        "created": now,
        "currency": params.get("currency"),
        "duration": duration,
        "duration_in_months": params.get("duration_in_months"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "name": params.get("name"),
        "percent_off": None if percent is None else float(percent),
        "redeem_by": params.get("redeem_by"),
        "times_redeemed": 0,
        "valid": True,
    }


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/coupons/ID: name and metadata."""
    coupon = session.find("coupon", identifier, "coupon", status=404)
    before = view(session, session.find("coupon", identifier, None))
    if "name" in params:
        coupon["name"] = unset(params["name"])
    if "metadata" in params:
        coupon["metadata"] = merge_metadata(coupon["metadata"], params["metadata"])
    session.save(coupon)
    shown = view(session, coupon)
    if changed(before, shown):
        session.emit("coupon.updated", shown, before)
    return shown


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/coupons/ID; discounts already given stay."""
    coupon = session.find("coupon", identifier, "coupon", status=404)
    session.store.delete(identifier)
    session.emit("coupon.deleted", view(session, coupon))
    return {"id": identifier, "object": "coupon", "deleted": True}


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/coupons."""
    return page_of(session, "coupon", params, "/v1/coupons")
