"""Invoices: create, update, finalize, pay, send, void, write off; delete a draft."""

from __future__ import annotations

from seatctl.sandbox.billing import account, automatic_tax
from seatctl.sandbox.billing.collection import collect, method_for, no_method
from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoice_states import (
    close_payment,
    finalize_invoice,
    mark_paid,
    open_intent,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.invoicing import (
    add_pending_items,
    compute_sums,
    new_draft,
    pending_items,
    save_draft,
)
from seatctl.sandbox.billing.payments import PaymentOutcome
from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, nulls, set_fields, shipping, subscription_of, unset
from seatctl.sandbox.resources.customers import check_email
from seatctl.sandbox.resources.payment_methods import own_method, set_default_method
from seatctl.sandbox.session import Session

_RENDERING = nulls("amount_tax_display pdf template template_version")
_EDITABLE_WHEN_FINAL = {"metadata", "expand", "auto_advance", "automatically_finalizes_at"}


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/invoices: a draft. It takes the pending items only if the request says so."""
    customer = session.find("customer", params["customer"], "customer")
    method = params.get("collection_method", "charge_automatically")
    _check_due(params, method, session.now)
    check_email(session, customer["id"], params)
    subscription = None
    if params.get("subscription"):
        subscription = session.find("subscription", params["subscription"], "subscription")
    currency = params.get("currency") or (subscription or customer)["currency"] or account.CURRENCY
    invoice = new_draft(
        session,
        customer,
        currency=currency.lower(),
        reason="manual",
        period=(session.now, session.now),
        subscription=subscription,
        auto_advance=params.get("auto_advance", False),
        collection=method,
        days_until_due=params.get("days_until_due"),
    )
    if params.get("auto_advance") is False:
        invoice["webhooks_delivered_at"] = None  # recorded so; why is not known (docs/sandbox.md)
    if automatic_tax.is_enabled(params):
        invoice["automatic_tax"] = automatic_tax.of_invoice(enabled=True)
    _apply(session, customer, invoice, params)
    if params.get("pending_invoice_items_behavior", "exclude") == "include":
        pending = pending_items(session, customer["id"], invoice["currency"])
        owner = subscription and subscription["id"]
        items = [item for item in pending if owner in (None, item["_subscription"])]
        add_pending_items(session, invoice, items)
    save_draft(session, invoice)
    return session.view(invoice)


def _check_due(params: Obj, method: str, now: int) -> None:
    dues = {"days_until_due", "due_date"} & {name for name in params if params[name] not in (None, "")}
    if method != "send_invoice" and dues:
        raise invalid(
            "You can only specify 'due_date' or 'days_until_due' if invoice collection method is "
            "'send_invoice'."
        )
    if method == "send_invoice" and not dues and params.get("collection_method"):
        raise invalid(
            "If invoice collection method is 'send_invoice', you must specify 'due_date' or 'days_until_due'."
        )
    if params.get("due_date") and params["due_date"] <= now:
        message = "Invalid timestamp: must be an integer Unix timestamp in the future."
        raise invalid(message, "due_date")


def _apply(session: Session, customer: Obj, invoice: Obj, params: Obj) -> None:
    names = ("description", "footer", "statement_descriptor", "custom_fields", "due_date", "number")
    set_fields(invoice, params, *names)
    if params.get("number"):
        _check_number(session, invoice)
    for name in ("effective_at", "automatically_finalizes_at"):
        if params.get(name):
            invoice[name] = params[name]
    if params.get("due_date"):
        invoice["_days_until_due"] = None
    if "days_until_due" in params and "customer" not in params:
        invoice["_days_until_due"] = unset(params["days_until_due"])
        invoice["due_date"] = invoice["created"] + (invoice["_days_until_due"] or 0) * 24 * HOUR
    if "collection_method" in params:
        invoice["collection_method"] = params["collection_method"]
    update_metadata(invoice, params)
    _apply_nested(invoice, params)
    set_default_method(session, invoice, params, invoice["customer"])
    set_discounts(session, invoice, params, customer["id"], invoice=invoice["id"])


def _apply_nested(invoice: Obj, params: Obj) -> None:
    for name, default in (("payment_settings", {}), ("rendering", _RENDERING)):
        if params.get(name):
            invoice[name] = {**(invoice[name] or default), **params[name]}
    if "shipping_details" in params:
        invoice["shipping_details"] = shipping(unset(params["shipping_details"]))


def _check_number(session: Session, invoice: Obj) -> None:
    for other in session.store.walk("invoice"):
        if other["number"] == invoice["number"] and other["id"] != invoice["id"]:
            raise invalid("An invoice with this number already exists.", "number")


def _set_auto_advance(session: Session, invoice: Obj, enabled: bool) -> None:
    """Set `auto_advance`: if true, a draft is finalized, or an open invoice charged, in an hour."""
    invoice["auto_advance"] = enabled
    if invoice["status"] == "draft":
        # The hour begins when the draft is created, not when it is enabled (recorded).
        moment = max(invoice["created"] + HOUR, session.now) if enabled else None
        invoice["automatically_finalizes_at"] = moment
        automatic = invoice["collection_method"] == "charge_automatically"
        invoice["next_payment_attempt"] = moment if automatic else None
    elif invoice["status"] == "open":
        invoice["next_payment_attempt"] = session.now + HOUR if enabled else None


def update(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID. Of a finalized invoice, only the metadata and `auto_advance` can change."""
    fixed = [name for name in params if name not in _EDITABLE_WHEN_FINAL]
    if invoice["status"] != "draft" and fixed:
        raise invalid("Finalized invoices can't be updated in this way", fixed[0])
    customer = session.find("customer", invoice["customer"], "customer")
    method = str(params.get("collection_method", invoice["collection_method"]))
    _check_due(params, method, session.now)
    check_email(session, customer["id"], params)
    _apply(session, customer, invoice, params)
    if "auto_advance" in params:
        _set_auto_advance(session, invoice, params["auto_advance"])
    if params.get("automatically_finalizes_at"):
        invoice["automatically_finalizes_at"] = params["automatically_finalizes_at"]
    if invoice["status"] == "draft":
        compute_sums(session, invoice)
    return session.save_changed(invoice, "invoice.updated")


def delete(session: Session, params: Obj, invoice: Obj) -> Obj:
    """DELETE /v1/invoices/ID: a draft that no subscription made, with its items."""
    if invoice["status"] != "draft":
        raise invalid("You can only delete draft invoices.")
    if subscription_of(invoice):
        raise invalid("You can't delete invoices created by subscriptions.")
    for item in list(session.store.walk("invoiceitem", customer=invoice["customer"])):
        if item["invoice"] == invoice["id"]:
            session.store.delete(item["id"])
    return session.delete_and_emit(invoice, "invoice.deleted")


_NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."


def finalize(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/finalize."""
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in params:
        _set_auto_advance(session, invoice, params["auto_advance"])
    finalize_invoice(session, invoice)
    return session.view(invoice)


def pay(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/pay. A draft is finalized first. A refused card counts as an attempt."""
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("Voided invoices cannot be paid.")
    if invoice["status"] == "draft":
        finalize_invoice(session, invoice)
        if invoice["status"] == "paid":
            return session.view(invoice)
    if params.get("paid_out_of_band"):
        close_payment(session, invoice, "canceled")
        invoice["_off_stripe"] = invoice["amount_remaining"]
        mark_paid(session, invoice, attempted=invoice["attempted"])
        return session.view(invoice)
    customer = session.find("customer", invoice["customer"], "customer")
    requested = params.get("payment_method")
    method = method_for(session, invoice)
    if requested:
        method = own_method(session, customer["id"], requested, "payment_method")
    if method is None:
        raise no_method()
    intent = open_intent(session, invoice["id"])
    if intent is not None and intent["status"] == "processing":
        message = "This invoice has a payment that is processing. Wait until it has succeeded or failed."
        raise invalid(message, code="payment_intent_unexpected_state")
    outcome = collect(session, invoice, method)
    if not (outcome.paid or outcome.processing):
        raise _payment_refusal(session, invoice, method, outcome)
    return session.view(invoice)


def _payment_refusal(session: Session, invoice: Obj, method: Obj, outcome: PaymentOutcome) -> ApiError:
    intent = open_intent(session, invoice["id"])
    shown = {"payment_intent": intent and session.view(intent), "payment_method": session.view(method)}
    if outcome.decline is None or outcome.charge is None:
        message = (
            "This payment requires additional user action before it can be completed successfully. Payment "
            "can be completed using the PaymentIntent associated with the invoice."
        )
        code = "invoice_payment_intent_requires_action"
        return ApiError(402, message, code=code, kind="card_error", doc_url=False, keeps_changes=True)
    return outcome.decline.refusal(extra={"charge": outcome.charge["id"], **shown}, keeps_changes=True)


def send(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/send. A draft is finalized first. As in Stripe's test mode, no mail is sent."""
    if invoice["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise invalid(message)
    if invoice["status"] == "draft":
        finalize_invoice(session, invoice)
    elif invoice["status"] not in ("open", "paid"):
        raise invalid(_NOT_OPEN)
    shown = session.view(invoice)
    session.emit("invoice.sent", shown)
    return shown


def void(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/void. The amounts stay; credit that the invoice used goes back to the customer."""
    if invoice["amount_paid"]:
        raise invalid("Invoices with `paid` payments cannot be voided.")
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(_NOT_OPEN)
    void_invoice(session, invoice)
    return session.view(invoice)


def mark_uncollectible(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/mark_uncollectible. The amounts stay."""
    if invoice["status"] == "uncollectible":
        raise invalid("This invoice has already been marked uncollectible.")
    if invoice["status"] != "open":
        raise invalid(_NOT_OPEN)
    write_off(session, invoice)
    return session.view(invoice)
