"""Which module does which kind of operation. Imported when one is performed, each when it is needed."""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from seatctl.errors import SeatctlError
from seatctl.services.operations import Handler

_MODULES: Final = {
    "buy": "seatctl.services.buying",
    "checkout": "seatctl.services.checkout",
    "plan_add": "seatctl.services.plan_adding",
    "plan_edit": "seatctl.services.plan_editing",
    "change": "seatctl.services.prorated_change",
    "addon": "seatctl.services.addons",
    "renew": "seatctl.services.renewals",
    "cancel": "seatctl.services.endings",
    "billing": "seatctl.services.billing_details",
    "adopt": "seatctl.services.adopting",
    "invoice_pay": "seatctl.services.invoice_actions",
    "invoice_send": "seatctl.services.invoice_actions",
    "invoice_void": "seatctl.services.invoice_actions",
    "subscription_metadata": "seatctl.services.subscription_settings",
}


class UnknownOperation(SeatctlError):
    """The ledger holds an operation that this version cannot finish; a newer one made it."""

    code = "unknown_operation"


def handler_for(kind: str) -> Handler:
    """The handler of a kind of operation, the `HANDLER` of its module. Raises UnknownOperation."""
    if kind not in _MODULES:
        raise UnknownOperation(f"this version does not know operations of the kind {kind!r}")
    return cast("Handler", import_module(_MODULES[kind]).HANDLER)
