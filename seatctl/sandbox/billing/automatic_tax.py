"""Automatic tax of an account that is registered nowhere: the customer's place is asked for, the tax is 0."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

_WITH_POSTAL_CODE = ("US", "CA")


def is_asked(params: Obj) -> bool:
    """Whether the parameters turn automatic tax on."""
    return (params.get("automatic_tax") or {}).get("enabled") is True


def of_subscription(*, enabled: bool) -> Obj:
    """The field as a subscription has it."""
    return {"disabled_reason": None, "enabled": enabled, "liability": {"type": "self"} if enabled else None}


def of_invoice(customer: Obj, *, enabled: bool) -> Obj:
    """The field as an invoice has it; its status says whether the place of the customer is known."""
    status = "complete" if _is_placed(customer["address"]) else "requires_location_inputs"
    told = {"provider": "stripe", "status": status} if enabled else {"provider": None, "status": None}
    return {**of_subscription(enabled=enabled), **told}


def require_place(session: Session, customer: Obj, params: Obj) -> None:
    """Refuse what would be taxed nobody knows where; a preview only says so."""
    if is_asked(params) and not session.preview and not _is_placed(customer["address"]):
        message = (
            "The customer's location isn't recognized. Set a valid customer address in order to "
            "automatically calculate tax."
        )
        raise invalid(message, code="customer_tax_location_invalid")


def _is_placed(address: Any) -> bool:
    country = (address or {}).get("country")
    return bool(country) and (country not in _WITH_POSTAL_CODE or bool(address.get("postal_code")))
