"""Promotion codes: the codes that customers enter for a coupon."""

from __future__ import annotations

from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.lists import check_ids
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, sent, token
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/promotion_codes."""
    promotion = params["promotion"]
    if not promotion.get("coupon"):
        raise missing_param("promotion[coupon]")
    session.find("coupon", promotion["coupon"], "promotion[coupon]")
    check_ids(session, params, "customer")
    code = params.get("code") or token(8, capitals=True)
    for other in session.store.walk("promotion_code"):
        if other["active"] and other["code"].lower() == code.lower():
            raise invalid("An active promotion code with `code: " + code + "` already exists.")
    return session.save_and_emit(_new_code(session, code, params), "promotion_code.created")


def _new_code(session: Session, code: str, params: Obj) -> Obj:
    limits = {"first_time_transaction": False, "minimum_amount": None, "minimum_amount_currency": None}
    return session.new(
        "promotion_code",
        new_id("promo"),
        null="customer_account",
        active=params.get("active", True),
        code=code,
        **sent(params, "customer expires_at max_redemptions"),
        metadata=merge_metadata({}, params.get("metadata")),
        promotion={"coupon": params["promotion"]["coupon"], "type": "coupon"},
        restrictions={**limits, **(params.get("restrictions") or {})},
        times_redeemed=0,
    )
