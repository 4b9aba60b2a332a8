"""Invoices: create, retrieve, update, list, delete a draft. What happens to one is in invoice_life.py."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import account, automatic_tax
from seatctl.sandbox.billing.discounts import given
from seatctl.sandbox.billing.invoicing import (
    created,
    draft,
    save_invoice,
    subscription_of,
    take_items,
    total_up,
)
from seatctl.sandbox.clock import HOUR
from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.lists import check_customer, listing, matches, within
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
    invoice = draft(
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
        take_items(session, invoice, _waiting(session, customer["id"], invoice["currency"], subscription))
    created(session, invoice)
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
        invoice["discounts"] = given(session, wanted, customer["id"], invoice=invoice["id"])


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


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/invoices/ID."""
    return view(session, session.find("invoice", identifier, "invoice", status=404))


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
        total_up(session, invoice)
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


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/invoices."""
    check_customer(session, params)
    subscription = params.get("subscription")
    if subscription:
        session.find("subscription", subscription, "subscription")

    def keep(invoice: Any) -> bool:
        return matches(invoice, params, "status", "collection_method") and within(
            invoice["due_date"], params.get("due_date")
        )

    return listing(session, "invoice", params, "/v1/invoices", parent=subscription, keep=keep)
