"""`create_preview`: the change is made, its invoice looked at, and everything taken back."""

from __future__ import annotations

from seatctl.sandbox.billing.discounts import create_discounts
from seatctl.sandbox.billing.invoicing import add_pending_items, compute_sums
from seatctl.sandbox.billing.periods import next_end
from seatctl.sandbox.billing.subscription_invoices import cycle_invoice
from seatctl.sandbox.billing.subscription_states import ENDED, period_end, period_start
from seatctl.sandbox.errors import ApiError, invalid, missing_param
from seatctl.sandbox.money import apply_balance, least_charge
from seatctl.sandbox.objects import Obj, pick, token, unset
from seatctl.sandbox.resources.invoice_items import build_item
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import items_of, view

_PASSED_ON = ("items", "proration_behavior", "proration_date", "trial_end", "billing_cycle_anchor",
              "cancel_at", "cancel_at_period_end")  # fmt: skip


def create_preview(session: Session, params: Obj) -> Obj:
    """POST /v1/invoices/create_preview."""
    session.store.mark()
    session.preview = True
    try:
        invoice = _previewed(session, params)
        _finish(session, invoice, params)
        shown = view(session, invoice)
    finally:
        session.store.back()
        session.preview = False
    return shown


def _previewed(session: Session, params: Obj) -> Obj:
    details = params.get("subscription_details") or {}
    if params.get("subscription"):
        return _of_subscription(session, params, details)
    if not params.get("customer") and not params.get("customer_details"):
        raise missing_param("customer")
    if not details.get("items"):
        raise missing_param("subscription_details[items]")
    return _of_new(session, params, details)


def _of_new(session: Session, params: Obj, details: Obj) -> Obj:
    from seatctl.sandbox.resources.customers import create as create_customer
    from seatctl.sandbox.resources.subscriptions import create

    about = pick(params.get("customer_details") or {}, "address")
    customer = params.get("customer") or create_customer(session, about)["id"]
    wanted: Obj = {name: details[name] for name in ("items", "trial_end") if name in details}
    if wanted.get("trial_end") == "now":
        wanted.pop("trial_end")
    try:
        known = {**wanted, **pick(params, "automatic_tax"), "customer": customer}
        made = create(session, {**known, "discounts": params.get("discounts") or []})
    except ApiError as error:
        if error.param and error.param.startswith("items"):
            error.param = "subscription_details[items]" + error.param[len("items") :]
        raise
    return session.find("invoice", made["latest_invoice"], None)


def _of_subscription(session: Session, params: Obj, details: Obj) -> Obj:
    from seatctl.sandbox.resources.subscription_updates import change
    from seatctl.sandbox.resources.subscriptions import cancel, resume

    subscription = session.find("subscription", params["subscription"], "subscription")
    if params.get("customer") not in (None, subscription["customer"]):
        raise invalid("The subscription does not belong to the customer.", "subscription")
    if subscription["status"] in ENDED:
        raise ApiError(404, "No upcoming invoices for customer: '" + subscription["customer"] + "'",
                       code="invoice_upcoming_none")  # fmt: skip
    known = subscription["latest_invoice"]
    if details.get("cancel_now"):
        prorate = details.get("proration_behavior", "create_prorations") != "none"
        cancel(session, {"prorate": prorate, "invoice_now": True}, subscription["id"])
    elif details.get("resume_at"):
        resume(session, {}, subscription["id"])
    else:
        sent = {name: details[name] for name in _PASSED_ON if name in details}
        if "discounts" in params:
            sent["discounts"] = params["discounts"]
        change(session, subscription, sent)
    subscription = session.find("subscription", params["subscription"], "subscription")
    if subscription["latest_invoice"] != known:
        return session.find("invoice", subscription["latest_invoice"], None)
    return _next(session, subscription)


def _next(session: Session, subscription: Obj) -> Obj:
    """The invoice of the next renewal, as of its moment."""
    items = items_of(session, subscription["id"])
    last = (period_start(items), period_end(items))
    if subscription["cancel_at"] and subscription["cancel_at"] <= last[1]:
        raise ApiError(404, f"No upcoming invoices for customer: '{subscription['customer']}'",
                       code="invoice_upcoming_none")  # fmt: skip
    for item in items:
        start = item["current_period_end"]
        end = next_end(start, item["price"], subscription["billing_cycle_anchor"])
        session.save({**item, "current_period_start": start, "current_period_end": end})
    invoice = cycle_invoice(session, subscription, last)
    invoice["created"] = last[1]
    invoice["next_payment_attempt"] = last[1] + 3600
    return invoice


def _one_off(line: Obj) -> bool:
    details = line["parent"]["subscription_item_details"]
    return details is None or details["invoice_item"] is not None


def _finish(session: Session, invoice: Obj, params: Obj) -> None:
    if params.get("preview_mode") == "recurring":
        lines = invoice["lines"]["data"]
        invoice["lines"]["data"] = [line for line in lines if not _one_off(line)]
    customer = session.store.get("customer", invoice["customer"])
    for wanted in params.get("invoice_items") or []:
        item = build_item(session, customer or {}, wanted, invoice)
        add_pending_items(session, invoice, [item])
    if "discounts" in params and params.get("subscription"):
        wanted = unset(params["discounts"])
        invoice["discounts"] = create_discounts(session, wanted, invoice["customer"], invoice=None)
    compute_sums(session, invoice)
    settled = apply_balance(invoice["total"], invoice["starting_balance"], least_charge(invoice["currency"]))
    invoice["amount_due"] = invoice["amount_remaining"] = settled.amount_due
    invoice["ending_balance"] = settled.ending_balance
    identifier = f"upcoming_in_{token(24)}"
    for line in invoice["lines"]["data"]:
        line["invoice"] = identifier
    invoice["id"] = identifier
    invoice["lines"]["url"] = f"/v1/invoices/{identifier}/lines"
    invoice["automatically_finalizes_at"] = None
