"""The ends of a subscription: canceled now, paused and resumed, gone with its customer."""

from __future__ import annotations

from seatctl.sandbox.api.errors import no_such
from seatctl.sandbox.api.session import Session
from seatctl.sandbox.api.views import items_of, view
from seatctl.sandbox.billing.invoicing import created, draft, pending_items, save_invoice, take_items
from seatctl.sandbox.billing.settlement import collect, finalize, method_for
from seatctl.sandbox.billing.subscription_changes import restart
from seatctl.sandbox.billing.subscription_periods import credits, leave
from seatctl.sandbox.billing.subscription_states import ENDED, announce, period_start, save
from seatctl.sandbox.resources.subscription_update import Snapshot, hold
from seatctl.sandbox.wire import Obj, unset


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


def expire(session: Session, subscription: Obj) -> None:
    """incomplete -> incomplete_expired, and its first invoice void."""
    from seatctl.sandbox.resources.invoice_life import void_invoice

    before = view(session, subscription)
    subscription.update(status="incomplete_expired", canceled_at=session.now, ended_at=session.now)
    save(session, subscription)
    invoice = session.store.get("invoice", subscription["latest_invoice"] or "")
    if invoice is not None and invoice["status"] == "open":
        void_invoice(session, invoice)
    announce(session, subscription, before)


def stop_collecting(session: Session, subscription: Obj) -> None:
    """The open invoices of a subscription that ends are not tried again by themselves (API reference)."""
    for invoice in list(session.store.walk("invoice", parent=subscription["id"])):
        if invoice["status"] == "open" and invoice["auto_advance"]:
            before = view(session, invoice)
            invoice.update(auto_advance=False, next_payment_attempt=None)
            save_invoice(session, invoice)
            session.emit("invoice.updated", view(session, invoice), before)


def close(session: Session, subscription: Obj, reason: str) -> None:
    """Mark a subscription as ended now; the caller writes and announces it."""
    stop_collecting(session, subscription)
    subscription.update(
        status="canceled",
        cancel_at=None,
        cancel_at_period_end=False,
        canceled_at=session.now,
        ended_at=session.now,
        pending_update=None,
    )
    details = subscription["cancellation_details"]
    subscription["cancellation_details"] = {**details, "reason": reason}


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


def final_invoice(session: Session, subscription: Obj) -> Obj | None:
    """A draft with what is pending of this subscription alone; it finalizes an hour later."""
    customer = session.find("customer", subscription["customer"], "customer")
    found = pending_items(session, customer["id"], subscription["id"], subscription["currency"])
    waiting = [item for item in found if item["parent"] is not None and item["_subscription"]]
    if not waiting:
        return None
    items = items_of(session, subscription["id"])
    invoice = draft(
        session,
        customer,
        currency=subscription["currency"],
        reason="subscription_cycle",
        period=(period_start(items), session.now),
        subscription=subscription,
        auto_advance=True,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    take_items(session, invoice, waiting)
    subscription["latest_invoice"] = invoice["id"]
    created(session, invoice)
    return invoice


def end_all(session: Session, customer: str) -> None:
    """A deleted customer's subscriptions end at once; nothing more is billed."""
    for subscription in list(session.store.walk("subscription", customer=customer)):
        if subscription["status"] not in ENDED:
            close(session, subscription, "cancellation_requested")
            save(session, subscription)
            session.emit("customer.subscription.deleted", view(session, subscription))


def resume(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/subscriptions/ID/resume: paused until the invoice it makes is paid."""
    from seatctl.sandbox.api.errors import invalid
    from seatctl.sandbox.resources.subscriptions import first_invoice

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
