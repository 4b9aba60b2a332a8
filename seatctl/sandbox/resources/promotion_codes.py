"""Promotion codes: a customer-facing code for a coupon."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.lists import matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, token
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/promotion_codes."""
    promotion = params["promotion"]
    if not promotion.get("coupon"):
        raise missing_param("promotion[coupon]")
    session.find("coupon", promotion["coupon"], "promotion[coupon]")
    if params.get("customer"):
        session.find("customer", params["customer"], "customer")
    code = params.get("code") or token(8, capitals=True)
    for other in session.store.walk("promotion_code"):
        if other["active"] and other["code"].lower() == code.lower():
            raise invalid("An active promotion code with `code: " + code + "` already exists.")
    made = _made(session.now, code, params)
    session.save(made)
    session.emit("promotion_code.created", view(session, made))
    return view(session, made)


def _made(now: int, code: str, params: Obj) -> Obj:
    limits = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    return {
        "id": new_id("promo"),
        "object": "promotion_code",
        "active": params.get("active", True),
        "code": code,
        "created": now,
        "customer": params.get("customer"),
        "customer_account": None,
        "expires_at": params.get("expires_at"),
        "livemode": False,
        "max_redemptions": params.get("max_redemptions"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "promotion": {"coupon": params["promotion"]["coupon"], "type": "coupon"},
        "restrictions": {**limits, **(params.get("restrictions") or {})},
        "times_redeemed": 0,
    }


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/promotion_codes/ID."""
    code = session.find("promotion_code", identifier, "promotion_code", status=404)
    before = view(session, session.find("promotion_code", identifier, None))
    if "active" in params:
        code["active"] = params["active"]
    if "metadata" in params:
        code["metadata"] = merge_metadata(code["metadata"], params["metadata"])
    session.save(code)
    shown = view(session, code)
    if changed(before, shown):
        session.emit("promotion_code.updated", shown, before)
    return shown


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/promotion_codes."""

    def keep(code: Any) -> bool:
        coupon = params.get("coupon")
        same_code = "code" not in params or code["code"].lower() == params["code"].lower()
        return (
            same_code
            and matches(code, params, "active")
            and (coupon is None or code["promotion"]["coupon"] == coupon)
        )

    return page_of(session, "promotion_code", params, "/v1/promotion_codes", noun="promotion code", keep=keep)
