"""Which module does which kind of operation. Imported when one is performed, each when it is needed.

And what is said for all of them of one whose subscription Stripe no longer has.
"""

from __future__ import annotations

from importlib import import_module
from typing import Final, cast

from seatctl.billing import endpoints
from seatctl.billing.port import MissingInStripe
from seatctl.errors import Code, refuse
from seatctl.services.operations.kinds import Apply, OperationHandler
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun

_MODULES: Final = {
    "buy": "seatctl.services.purchases.buy_operation",
    "checkout": "seatctl.services.purchases.checkout_operation",
    "plan_add": "seatctl.services.plans.plan_add_operation",
    "plan_edit": "seatctl.services.plans.plan_edit_operation",
    "change": "seatctl.services.subscriptions.change_operation",
    "addon": "seatctl.services.subscriptions.addon_operation",
    "renew": "seatctl.services.subscriptions.renew_operation",
    "cancel": "seatctl.services.subscriptions.cancel_operation",
    "resume": "seatctl.services.subscriptions.resume_operation",
    "billing": "seatctl.services.subscriptions.billing_operation",
    "adopt": "seatctl.services.sync.adopt_operation",
    "invoice_pay": "seatctl.services.invoices.invoice_operation",
    "invoice_send": "seatctl.services.invoices.invoice_operation",
    "invoice_void": "seatctl.services.invoices.invoice_operation",
    "subscription_metadata": "seatctl.services.subscriptions.subscription_metadata_operation",
}


def handler_for(kind: str) -> OperationHandler:
    """The handler of a kind of operation, the `HANDLER` of its module. Raises `unknown_operation`."""
    if kind not in _MODULES:
        raise refuse(
            Code.UNKNOWN_OPERATION,
            f"this version does not know operations of the kind {kind!r}",
            hint="to upgrade, in an up-to-date clone of this program: python3 -m pip install .",
        )
    return cast("OperationHandler", import_module(_MODULES[kind]).HANDLER)


def run(running: OperationRun) -> Apply:
    """Do what there is to do, as `OperationHandler.run`.

    Raises CameToNothing where Stripe no longer has the subscription (test data that was deleted): left
    pending, the operation would keep every later sync from being a success.
    """
    try:
        return handler_for(running.operation.kind).run(running)
    except MissingInStripe as missing:
        if not _is_gone(running):
            raise
        missing.hint = "to end what Stripe no longer has: seatctl reconcile --fix"
        raise NothingLeftInStripe(missing) from missing


def undo(running: OperationRun, *, asked: bool = False) -> str | None:
    """Take back what reached Stripe, as `OperationHandler.undo`; None where it is to be finished.

    `asked`: somebody wants it, so that what would be finished however late is taken back as well.
    """
    handler = handler_for(running.operation.kind)
    take_back = (handler.abandon if asked else None) or handler.undo
    try:
        return None if take_back is None else take_back(running)
    except MissingInStripe:
        if not _is_gone(running):
            raise
        return "Stripe no longer has its subscription"


def _is_gone(running: OperationRun) -> bool:
    stripe_id = running.payload.get("stripe_id")
    if not isinstance(stripe_id, str):
        return False
    try:
        running.billing.read(endpoints.subscription(stripe_id))
    except MissingInStripe:
        return True
    return False
