"""Invoices: create, retrieve, update, list, delete a draft, finalize, pay, send, void."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import account, automatic_tax
from seatctl.sandbox.billing.collection import collect, method_for, no_method
from seatctl.sandbox.billing.discounts import create_discounts
from seatctl.sandbox.billing.invoice_states import (
    close_payments,
    mark_paid,
    open_intent,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.invoice_states import finalize_invoice as settle_draft
from seatctl.sandbox.billing.invoicing import (
    add_pending_items,
    compute_sums,
    new_draft,
    save_draft,
    save_invoice,
    subscription_of,
)
from seatctl.sandbox.billing.payments import PaymentOutcome
from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.errors import ApiError, invalid, missing_param
from seatctl.sandbox.lists import check_customer, in_range, matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, shipping, unset
from seatctl.sandbox.resources.payment_methods import own_method
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view

_RENDERING = dict.fromkeys(("amount_tax_display", "pdf", "template", "template_version"))
_EDITABLE_WHEN_FINAL = {"metadata", "expand", "auto_advance", "automatically_finalizes_at"}


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/invoices: a draft; pending items are left out unless asked for."""
    customer = session.find("customer", params["customer"], "customer")
    method = params.get("collection_method", "charge_automatically")
    _check_due(params, method, session.now)
    subscription = None
    if params.get("subscription"):
        subscription = session.find("subscription", params["subscription"], "subscription")
    currency = params.get("currency") or (subscription or customer)["currency"] or account.CURRENCY
    invoice = new_draft(
        session,
        customer,
        currency=currency.lower(),
        reason="subscription_update" if subscription else "manual",
        period=(session.now, session.now),
        subscription=subscription,
        auto_advance=params.get("auto_advance", False),
        collection=method,
        days_until_due=params.get("days_until_due"),
    )
    if automatic_tax.is_asked(params):
        invoice["automatic_tax"] = automatic_tax.of_invoice(customer, enabled=True)
    _apply(session, customer, invoice, params)
    if params.get("pending_invoice_items_behavior", "exclude") == "include":
        add_pending_items(
            session, invoice, _waiting(session, customer["id"], invoice["currency"], subscription)
        )
    save_draft(session, invoice)
    return view(session, invoice)


def _waiting(session: Session, customer: str, currency: str, subscription: Obj | None) -> list[Obj]:
    """Everything that waits for this customer's next invoice, or what waits for one subscription's."""
    return [
        item
        for item in session.store.walk("invoiceitem", customer=customer)
        if item["invoice"] is None
        and item["currency"] == currency
        and (subscription is None or item["_subscription"] == subscription["id"])
    ]


def _check_due(params: Obj, method: str, now: int) -> None:
    both = {"days_until_due", "due_date"} & {name for name in params if params[name] not in (None, "")}
    if method != "send_invoice" and both:
        message = (
            "You can only specify 'days_until_due' or 'due_date' if invoice collection method "
            "is 'send_invoice'."
        )
        if both == {"days_until_due"}:
            message = "You can only specify 'days_until_due' if invoice collection method is 'send_invoice'."
        raise invalid(message)
    if method == "send_invoice" and not both and params.get("collection_method"):
        raise missing_param("days_until_due")
    if params.get("due_date") and params["due_date"] <= now:
        message = "Invalid timestamp: must be an integer Unix timestamp in the future."
        raise invalid(message, "due_date")


def _apply(session: Session, customer: Obj, invoice: Obj, params: Obj) -> None:
    for name in ("description", "footer", "statement_descriptor", "custom_fields", "due_date", "number"):
        if name in params:
            invoice[name] = unset(params[name])
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
    if "metadata" in params:
        invoice["metadata"] = merge_metadata(invoice["metadata"], params["metadata"])
    _shown(invoice, params)
    _references(session, customer, invoice, params)


def _shown(invoice: Obj, params: Obj) -> None:
    """How it is paid, printed and shipped."""
    for name, known in (("payment_settings", {}), ("rendering", _RENDERING)):
        if params.get(name):
            invoice[name] = {**(invoice[name] or known), **params[name]}
    if "shipping_details" in params:
        invoice["shipping_details"] = shipping(unset(params["shipping_details"]))


def _references(session: Session, customer: Obj, invoice: Obj, params: Obj) -> None:
    if "default_payment_method" in params:
        wanted = unset(params["default_payment_method"])
        method = wanted and own_method(session, customer, wanted, "default_payment_method")
        invoice["default_payment_method"] = method["id"] if method else None
    if "discounts" in params:
        wanted = unset(params["discounts"])
        invoice["discounts"] = create_discounts(session, wanted, customer["id"], invoice=invoice["id"])


def _check_number(session: Session, invoice: Obj) -> None:
    for other in session.store.walk("invoice"):
        if other["number"] == invoice["number"] and other["id"] != invoice["id"]:
            raise invalid("An invoice with this number already exists.", "number")


def advance_automatically(session: Session, invoice: Obj, wanted: bool) -> None:
    """`auto_advance` of a draft: an hour on it finalizes itself; false clears that."""
    invoice["auto_advance"] = wanted
    if invoice["status"] == "draft":
        soon = session.now + HOUR if wanted else None
        invoice["automatically_finalizes_at"] = soon
        automatic = invoice["collection_method"] == "charge_automatically"
        invoice["next_payment_attempt"] = soon if automatic else None
    elif invoice["status"] == "open":
        invoice["next_payment_attempt"] = session.now + HOUR if wanted else None


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID: a finalized one takes metadata and auto_advance only."""
    invoice = session.find("invoice", identifier, "invoice", status=404)
    before = view(session, session.find("invoice", identifier, None))
    if invoice["status"] != "draft" and set(params) - _EDITABLE_WHEN_FINAL:
        raise invalid("Finalized invoices can't be updated in this way")
    customer = session.find("customer", invoice["customer"], "customer")
    method = str(params.get("collection_method", invoice["collection_method"]))
    _check_due(params, method, session.now)
    _apply(session, customer, invoice, params)
    if "auto_advance" in params:
        advance_automatically(session, invoice, params["auto_advance"])
    if params.get("automatically_finalizes_at"):
        invoice["automatically_finalizes_at"] = params["automatically_finalizes_at"]
    if invoice["status"] == "draft":
        compute_sums(session, invoice)
    save_invoice(session, invoice)
    shown = view(session, invoice)
    if changed(before, shown):
        session.emit("invoice.updated", shown, before)
    return shown


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/invoices/ID: a manual draft goes, with its items."""
    invoice = session.find("invoice", identifier, "id", status=404)
    if invoice["status"] != "draft":
        raise invalid("You can only delete draft invoices.")
    if subscription_of(invoice):
        raise invalid("You can't delete invoices created by subscriptions.")
    for item in list(session.store.walk("invoiceitem", customer=invoice["customer"])):
        if item["invoice"] == identifier:
            session.store.delete(item["id"])
    session.store.delete(identifier)
    session.emit("invoice.deleted", view(session, invoice))
    return {"id": identifier, "object": "invoice", "deleted": True}


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/invoices."""
    check_customer(session, params)
    subscription = params.get("subscription")
    if subscription:
        session.find("subscription", subscription, "subscription")

    def keep(invoice: Any) -> bool:
        return matches(invoice, params, "status", "collection_method") and in_range(
            invoice["due_date"], params.get("due_date")
        )

    return page_of(session, "invoice", params, "/v1/invoices", parent=subscription, keep=keep)


_NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."


def _invoice(session: Session, identifier: str, param: str = "id") -> Obj:
    """The invoice; the steps of its life name its id `id`, paying and reading it `invoice`."""
    return session.find("invoice", identifier, param, status=404)


def _read_again(session: Session, identifier: str) -> Obj:
    return view(session, _invoice(session, identifier))


def finalize(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/finalize."""
    invoice = _invoice(session, identifier)
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in params:
        advance_automatically(session, invoice, params["auto_advance"])
    settle_draft(session, invoice)
    return _read_again(session, identifier)


def pay(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/pay: a draft is finalized first; a refused card answers 402 and is counted."""
    invoice = _invoice(session, identifier, "invoice")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("Voided invoices cannot be paid.")
    if invoice["status"] == "draft":
        settle_draft(session, invoice)
        if invoice["status"] == "paid":
            return _read_again(session, identifier)
    if params.get("paid_out_of_band"):
        close_payments(session, invoice, "canceled")
        invoice["_off_stripe"] = invoice["amount_remaining"]
        mark_paid(session, invoice, amount=invoice["amount_remaining"])
        return _read_again(session, identifier)
    customer = session.find("customer", invoice["customer"], "customer")
    wanted = params.get("payment_method")
    method = (
        own_method(session, customer, wanted, "payment_method") if wanted else method_for(session, invoice)
    )
    if method is None:
        raise no_method()
    under_way = open_intent(session, invoice["id"])
    if under_way is not None and under_way["status"] == "processing":
        message = "This invoice has a payment that is processing. Wait until it has succeeded or failed."
        raise invalid(message, code="payment_intent_unexpected_state")
    outcome = collect(session, invoice, method)
    if not (outcome.paid or outcome.processing):
        raise _refusal(session, invoice, method, outcome)
    return _read_again(session, identifier)


def _refusal(session: Session, invoice: Obj, method: Obj, outcome: PaymentOutcome) -> ApiError:
    made = open_intent(session, invoice["id"])
    shown = {"payment_intent": made and view(session, made), "payment_method": view(session, method)}
    if outcome.decline is None or outcome.charge is None:
        message = (
            "This payment requires additional user action before it can be completed successfully. Payment "
            "can be completed using the PaymentIntent associated with the invoice."
        )
        code = "invoice_payment_intent_requires_action"
        return ApiError(402, message, code=code, kind="card_error", doc_url=False, keep=True)
    return outcome.decline.refusal(extra={"charge": outcome.charge["id"], **shown}, keep=True)


def send(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/send: a draft is finalized first. Test mode mails nothing."""
    invoice = _invoice(session, identifier)
    if invoice["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise invalid(message)
    if invoice["status"] == "draft":
        settle_draft(session, invoice)
    elif invoice["status"] not in ("open", "paid"):
        raise invalid(_NOT_OPEN)
    session.emit("invoice.sent", _read_again(session, identifier))
    return _read_again(session, identifier)


def void(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/void: the amounts stay as they were, used credit goes back."""
    invoice = _invoice(session, identifier)
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(_NOT_OPEN)
    void_invoice(session, invoice)
    return _read_again(session, identifier)


def mark_uncollectible(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/mark_uncollectible: the amounts stay as they were."""
    invoice = _invoice(session, identifier)
    if invoice["status"] != "open":
        raise invalid(_NOT_OPEN)
    write_off(session, invoice)
    return view(session, invoice)
