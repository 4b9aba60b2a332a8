"""`create_preview`: the change is made, its invoice is read, and everything is rolled back."""

from __future__ import annotations

from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoicing import add_pending_items, compute_sums, cycle_invoice
from seatctl.sandbox.billing.periods import begin_period
from seatctl.sandbox.due import ENDED, period_end, period_start
from seatctl.sandbox.errors import ApiError, invalid, missing_param
from seatctl.sandbox.money import apply_balance, least_charge
from seatctl.sandbox.objects import Obj, pick, token
from seatctl.sandbox.resources.invoice_items import build_item
from seatctl.sandbox.session import Session

_PASSED_ON = ("items", "proration_behavior", "proration_date", "trial_end", "billing_cycle_anchor",
              "cancel_at", "cancel_at_period_end")  # fmt: skip
_ALSO = ("automatic_tax", "discounts")


def create_preview(session: Session, params: Obj) -> Obj:
    """POST /v1/invoices/create_preview."""
    session.store.savepoint()
    session.preview = True
    try:
        invoice = _build(session, params)
        _finish(session, invoice, params)
        shown = session.view(invoice)
    finally:
        session.store.roll_back()
        session.preview = False
    return shown


def _build(session: Session, params: Obj) -> Obj:
    details = params.get("subscription_details") or {}
    if params.get("subscription"):
        return _of_subscription(session, params, details)
    if not params.get("customer") and not params.get("customer_details"):
        raise missing_param("customer")
    if not details.get("items"):
        raise missing_param("subscription_details[items]")
    return _of_new_subscription(session, params, details)


def _of_new_subscription(session: Session, params: Obj, details: Obj) -> Obj:
    from seatctl.sandbox.resources.customers import create as create_customer
    from seatctl.sandbox.resources.subscriptions import create

    given = params.get("customer_details") or {}
    details_of_new = {
        **pick(given, "address", "shipping", "tax_exempt"),
        "tax_id_data": given.get("tax_ids") or [],
    }
    customer = params.get("customer") or create_customer(session, details_of_new)["id"]
    request = {
        **pick(details, "items", "trial_end", "billing_mode"),
        **pick(params, "automatic_tax", "currency"),
        "customer": customer,
        "discounts": params.get("discounts") or [],
    }
    if request.get("trial_end") == "now":
        request.pop("trial_end")
    try:
        subscription = create(session, request)
    except ApiError as error:
        if error.param and error.param.startswith("items"):
            error.param = "subscription_details[items]" + error.param[len("items") :]
        raise
    return session.find("invoice", subscription["latest_invoice"], None)


def _of_subscription(session: Session, params: Obj, details: Obj) -> Obj:
    from seatctl.sandbox.resources.subscription_updates import change
    from seatctl.sandbox.resources.subscriptions import cancel, resume

    subscription = session.find("subscription", params["subscription"], "subscription")
    if params.get("customer") not in (None, subscription["customer"]):
        raise invalid("The subscription does not belong to the customer.", "subscription")
    if subscription["status"] in ENDED:
        raise _no_upcoming(subscription)
    mode = subscription["billing_mode"]["type"]
    if (details.get("billing_mode") or {}).get("type", mode) != mode:
        message = "The sandbox previews a subscription in its own billing mode only."
        raise invalid(message, "subscription_details[billing_mode]")
    previous = subscription["latest_invoice"]
    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        cancel(session, {"prorate": prorate, "invoice_now": True}, subscription)
    elif details.get("resume_at"):
        resume(session, {}, subscription)
    else:
        change(session, subscription, {**pick(details, *_PASSED_ON), **pick(params, *_ALSO)})
    subscription = session.find("subscription", params["subscription"], "subscription")
    if subscription["latest_invoice"] != previous:
        return session.find("invoice", subscription["latest_invoice"], None)
    return _next_renewal(session, subscription)


def _no_upcoming(subscription: Obj) -> ApiError:
    message = f"No upcoming invoices for customer: '{subscription['customer']}'"
    return invalid(message, code="invoice_upcoming_none", status=404)


def _next_renewal(session: Session, subscription: Obj) -> Obj:
    """Return the invoice of the next renewal, dated at that moment."""
    items = session.items_of(subscription["id"])
    period = (period_start(items), period_end(items))
    if subscription["cancel_at"] and subscription["cancel_at"] <= period[1]:
        raise _no_upcoming(subscription)
    for item in items:
        begin_period(session, item, item["current_period_end"], subscription["billing_cycle_anchor"])
    invoice = cycle_invoice(session, subscription, period)
    attempt = period[1] + 3600
    invoice.update(created=period[1], next_payment_attempt=attempt, billing_reason="upcoming")
    return invoice


def _is_one_off(line: Obj) -> bool:
    details = line["parent"]["subscription_item_details"]
    return details is None or details["invoice_item"] is not None


def _finish(session: Session, invoice: Obj, params: Obj) -> None:
    if params.get("preview_mode") == "recurring":
        lines = invoice["lines"]["data"]
        invoice["lines"]["data"] = [line for line in lines if not _is_one_off(line)]
    customer = session.store.get("customer", invoice["customer"])
    for entry in params.get("invoice_items") or []:
        item = build_item(session, customer or {}, entry, invoice)
        add_pending_items(session, invoice, [item])
    if params.get("subscription"):
        set_discounts(session, invoice, params, invoice["customer"])
    compute_sums(session, invoice)
    applied = apply_balance(invoice["total"], invoice["starting_balance"], least_charge(invoice["currency"]))
    invoice["amount_due"] = invoice["amount_remaining"] = applied.amount_due
    invoice["ending_balance"] = applied.ending_balance
    identifier = f"upcoming_in_{token(24)}"
    for line in invoice["lines"]["data"]:
        line["invoice"] = identifier
    invoice["id"] = identifier
    invoice["lines"]["url"] = f"/v1/invoices/{identifier}/lines"
    invoice.update(automatically_finalizes_at=None, webhooks_delivered_at=None)
