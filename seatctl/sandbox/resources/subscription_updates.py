"""Updates of a subscription: items, prorations, trial, anchor, and the payment that they may need.

The change is written first and then paid for. If the card is refused, `error_if_incomplete` rolls the whole
request back, and `pending_if_incomplete` takes the change back and keeps it in `pending_update`.
"""

from __future__ import annotations

from seatctl.sandbox.billing import automatic_tax
from seatctl.sandbox.billing.cancellation import schedule_end
from seatctl.sandbox.billing.collection import collect, method_for, no_method
from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoice_states import finalize_invoice
from seatctl.sandbox.billing.invoicing import first_invoice, pending_for, pending_invoice, save_draft
from seatctl.sandbox.billing.limits import note_quantity_update
from seatctl.sandbox.billing.schedules import managed
from seatctl.sandbox.billing.subscription_changes import (
    change_anchor,
    change_items,
    change_trial,
    is_anchored_now,
)
from seatctl.sandbox.billing.subscription_states import Snapshot, hold
from seatctl.sandbox.due import ENDED, period_end, period_start
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, set_fields, unset
from seatctl.sandbox.resources.customers import check_email
from seatctl.sandbox.resources.invoice_items import items_to_add
from seatctl.sandbox.resources.payment_methods import set_default_method
from seatctl.sandbox.resources.subscriptions import check_collection, check_future, payment_refusal
from seatctl.sandbox.session import Session

_AFTER_END = {"metadata", "cancellation_details", "expand"}
_BILLING = {"items", "trial_end", "billing_cycle_anchor", "discounts", "add_invoice_items", "cancel_at",
          "cancel_at_period_end", "collection_method", "pause_collection"}  # fmt: skip
_CAN_BE_PENDING = {
    "expand", "payment_behavior", "proration_behavior", "proration_date", "billing_cycle_anchor", "items",
    "trial_end", "trial_from_plan", "add_invoice_items", "off_session", "discounts",
}  # fmt: skip


def update(session: Session, params: Obj, subscription: Obj) -> Obj:
    """POST /v1/subscriptions/ID."""
    change(session, subscription, params)
    return session.view(session.find("subscription", subscription["id"], None))


def change(session: Session, subscription: Obj, params: Obj) -> None:
    """Apply a request's changes, which are written; the endpoints of a single item use this too."""
    if subscription["status"] in ENDED:
        _check_ended(params)
    _check(session, subscription, params)
    before = Snapshot(session, subscription)
    _apply(session, subscription, params)
    at = params.get("proration_date", session.now)
    prorate = params.get("proration_behavior", "create_prorations") != "none"
    billed_now = False
    session.save(subscription)
    if any("quantity" in entry for entry in params.get("items", ())):
        note_quantity_update(session, subscription)
    if "items" in params:
        restart_now = is_anchored_now(params)
        billed_now = change_items(
            session, subscription, params["items"], at, prorate=prorate, restart_now=restart_now
        )
    prices_change = any({"price", "price_data"} & set(entry) for entry in params.get("items", ()))
    if automatic_tax.is_enabled(params if not prices_change else subscription):
        names = (item["price"]["id"] for item in session.items_of(subscription["id"]))
        automatic_tax.require_behavior(session, (session.find("price", name, None) for name in names))
    if "trial_end" in params:
        billed_now = change_trial(session, subscription, params, prorate=prorate) or billed_now
    if not billed_now:
        billed_now = change_anchor(session, subscription, params, prorate=prorate)
    schedule_end(session, subscription, params)
    for item in items_to_add(session, subscription, params):
        session.save_and_emit(item, "invoiceitem.created")
    session.save(subscription)
    if params.get("proration_behavior") == "always_invoice" or billed_now:
        _invoice(session, subscription, before, params, whole=billed_now)
    session.emit_change(
        session.find("subscription", subscription["id"], None), "customer.subscription.updated", before.shown
    )


def _check_ended(params: Obj) -> None:
    if set(params) - _AFTER_END:
        message = "A canceled subscription can only update its cancellation_details and metadata."
        raise invalid(message, code="invalid_canceled_subscription_fields")


def _check(session: Session, subscription: Obj, params: Obj) -> None:
    check_collection(params, str(params.get("collection_method", subscription["collection_method"])))
    billing = sorted(_BILLING & set(params))
    if subscription["status"] == "incomplete" and billing:
        message = (
            f"An incomplete subscription's {billing[0]} cannot be updated before its first invoice is paid."
        )
        raise invalid(message, billing[0])
    if subscription["schedule"] and {"cancel_at", "cancel_at_period_end"} & set(params):
        raise managed(subscription)
    check_future(session, params, "trial_end")
    check_future(session, params, "cancel_at")
    if params.get("payment_behavior") == "pending_if_incomplete":
        unsupported = sorted(set(params) - _CAN_BE_PENDING)
        if unsupported:
            message = (
                "When `payment_behavior` is `pending_if_incomplete`, you can only pass parameters that "
                f"pending updates support. Unsupported: {', '.join(unsupported)}."
            )
            raise invalid(message, unsupported[0])
    at = params.get("proration_date")
    items = session.items_of(subscription["id"])
    if at is not None and not period_start(items) <= at <= period_end(items):
        message = (
            "Cannot specify proration date outside of current subscription period "
            f"({period_start(items)} - {period_end(items)})"
        )
        raise invalid(message, "proration_date")


def _apply(session: Session, subscription: Obj, params: Obj) -> None:
    check_email(session, subscription["customer"], params)
    set_fields(subscription, params, "description", "days_until_due", "collection_method")
    if subscription["collection_method"] == "charge_automatically":
        subscription["days_until_due"] = None
    set_default_method(session, subscription, params, subscription["customer"])
    if "automatic_tax" in params:
        customer = session.find("customer", subscription["customer"], "customer")
        automatic_tax.require_location(session, customer, params)
        subscription["automatic_tax"] = automatic_tax.of_subscription(
            enabled=automatic_tax.is_enabled(params)
        )
    update_metadata(subscription, params)
    set_discounts(session, subscription, params, subscription["customer"], subscription=subscription["id"])
    if "pause_collection" in params:
        pause = unset(params["pause_collection"])
        subscription["pause_collection"] = pause and {"resumes_at": None, **pause}
    _apply_nested(subscription, params)


def _apply_nested(subscription: Obj, params: Obj) -> None:
    for name in ("payment_settings", "cancellation_details"):
        for key, value in (params.get(name) or {}).items():
            subscription[name] = {**subscription[name], key: unset(value)}
    end_behavior = (params.get("trial_settings") or {}).get("end_behavior")
    if end_behavior:
        before = subscription["trial_settings"]["end_behavior"]
        subscription["trial_settings"] = {"end_behavior": {**before, **end_behavior}}


def _invoice(session: Session, subscription: Obj, before: Snapshot, params: Obj, *, whole: bool) -> None:
    if whole:
        invoice = first_invoice(session, subscription, "subscription_update")
        invoice["period_start"] = period_start(before.items)
        invoice.update(auto_advance=False, automatically_finalizes_at=None, next_payment_attempt=None)
    else:
        pending = pending_for(session, subscription)
        if not pending:
            return
        invoice = pending_invoice(session, subscription, "subscription_update", pending)
    invoice["period_end"] = session.now
    subscription["latest_invoice"] = invoice["id"]
    session.save(subscription)
    save_draft(session, invoice)
    if session.preview:
        return
    finalize_invoice(session, invoice)
    if invoice["status"] == "open" and invoice["collection_method"] == "charge_automatically":
        _collect(session, subscription, invoice, before, params.get("payment_behavior", "allow_incomplete"))


def _collect(session: Session, subscription: Obj, invoice: Obj, before: Snapshot, behavior: str) -> None:
    method = method_for(session, invoice)
    outcome = None
    if method is not None and behavior != "default_incomplete":
        outcome = collect(session, invoice, method)
        if outcome.paid or outcome.processing:
            return
    if behavior == "error_if_incomplete":
        raise no_method() if outcome is None else payment_refusal(outcome)
    if behavior == "pending_if_incomplete":
        hold(session, session.find("subscription", subscription["id"], None), invoice, before)
        return
    stored = session.find("subscription", subscription["id"], None)
    if stored["status"] in ("active", "trialing"):
        stored["status"] = "past_due"
        session.save(stored)
