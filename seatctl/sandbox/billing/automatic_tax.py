"""Automatic tax without tax registrations: the customer needs a location, and the tax is always 0."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session

_WITH_POSTAL_CODE = ("US", "CA")


def is_enabled(params: Obj) -> bool:
    """Whether the parameters turn automatic tax on."""
    return (params.get("automatic_tax") or {}).get("enabled") is True


def of_subscription(*, enabled: bool) -> Obj:
    """Return `automatic_tax` of a subscription."""
    return {"disabled_reason": None, "enabled": enabled, "liability": {"type": "self"} if enabled else None}


def of_invoice(customer: Obj, *, enabled: bool) -> Obj:
    """Return `automatic_tax` of an invoice; its status says whether the customer's location is known."""
    status = "complete" if _has_location(customer["address"]) else "requires_location_inputs"
    state = {"provider": "stripe", "status": status} if enabled else {"provider": None, "status": None}
    return {**of_subscription(enabled=enabled), **state}


def require_location(session: Session, customer: Obj, params: Obj) -> None:
    """Refuse automatic tax of a customer without a location; a preview only shows that it is missing."""
    if is_enabled(params) and not session.preview and not _has_location(customer["address"]):
        message = (
            "The customer's location isn't recognized. Set a valid customer address in order to "
            "automatically calculate tax."
        )
        raise invalid(message, code="customer_tax_location_invalid")


def _has_location(address: Any) -> bool:
    country = (address or {}).get("country")
    return bool(country) and (country not in _WITH_POSTAL_CODE or bool(address.get("postal_code")))
