"""The ends of a subscription: canceled now, paused and resumed, gone with its customer."""

from __future__ import annotations

from seatctl.sandbox.billing.cancellation import close, expire
from seatctl.sandbox.billing.invoicing import created
from seatctl.sandbox.billing.pending_updates import Snapshot, hold
from seatctl.sandbox.billing.settlement import collect, finalize, method_for
from seatctl.sandbox.billing.subscription_changes import restart
from seatctl.sandbox.billing.subscription_invoices import final_invoice, first_invoice
from seatctl.sandbox.billing.subscription_periods import credits, leave
from seatctl.sandbox.billing.subscription_states import ENDED, announce, save
from seatctl.sandbox.errors import invalid, no_such
from seatctl.sandbox.objects import Obj, unset
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view


def _running(session: Session, identifier: str) -> Obj:
    found = session.find("subscription", identifier, "id", status=404)
    if found["status"] in ENDED:
        raise no_such("subscription", identifier, "id", status=404)
    return found


def cancel(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/subscriptions/ID; `prorate` leaves a credit, `invoice_now` puts it on a final draft."""
    subscription = _running(session, identifier)
    if subscription["status"] == "incomplete":
        return _abandoned(session, subscription)
    for name, value in (params.get("cancellation_details") or {}).items():
        subscription["cancellation_details"] = {**subscription["cancellation_details"], name: unset(value)}
    close(session, subscription, "cancellation_requested")
    if params.get("prorate"):
        _credit(session, subscription, invoiced=bool(params.get("invoice_now")))
    if params.get("invoice_now"):
        final_invoice(session, subscription)
    save(session, subscription)
    shown = view(session, subscription)
    session.emit("customer.subscription.deleted", shown)
    return shown


def _abandoned(session: Session, subscription: Obj) -> Obj:
    """An incomplete subscription that is canceled has expired: its invoice is void, nothing was bought."""
    expire(session, subscription)
    return view(session, session.find("subscription", subscription["id"], None))


def _credit(session: Session, subscription: Obj, *, invoiced: bool) -> None:
    made = [
        credit
        for item in items_of(session, subscription["id"])
        for credit in credits(session, item, subscription["customer"], session.now)
    ]
    for credit in made if not invoiced else ():
        # A credit left over from a canceled subscription belongs to none (recording 01).
        credit["parent"] = None
        credit.pop("proration_details")
    leave(session, made)


def resume(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/subscriptions/ID/resume: paused until the invoice it makes is paid."""
    subscription = _running(session, identifier)
    if subscription["status"] != "paused":
        raise invalid("The subscription cannot be resumed because it is not paused.")
    anchor = params.get("billing_cycle_anchor", "now")
    if (anchor["type"] if isinstance(anchor, dict) else anchor) != "now":
        raise invalid("The sandbox resumes with a new period only.", "billing_cycle_anchor")
    before = Snapshot(session, subscription)
    customer = session.find("customer", subscription["customer"], "customer")
    subscription["status"] = "active"
    restart(session, subscription)
    save(session, subscription)
    invoice = first_invoice(session, customer, subscription, "subscription_update")
    invoice["auto_advance"] = False
    subscription["latest_invoice"] = invoice["id"]
    created(session, invoice)
    save(session, subscription)
    if session.preview:
        return view(session, subscription)
    finalize(session, invoice)
    method = method_for(session, invoice)
    if invoice["status"] == "open" and method is not None:
        collect(session, invoice, method)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        hold(session, subscription, invoice, before, shown=False)
    after = session.find("subscription", identifier, None)
    if after["status"] == "active":
        session.emit("customer.subscription.resumed", view(session, after))
    announce(session, after, before.shown)
    return view(session, after)
