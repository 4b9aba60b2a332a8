"""Customers: create (with a card attached in the same call), retrieve, update, delete, list."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.balance import record_transaction
from seatctl.sandbox.lists import matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, address, shipping, token, unset
from seatctl.sandbox.resources.payment_methods import own_method
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view

_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/customers; a card that the bank refuses leaves no customer."""
    customer = _blank(session.now)
    _apply(customer, params)
    customer["balance"] = params.get("balance", 0)
    session.save(customer)
    alias = _attach(session, customer, params)
    _set_default(session, customer, params, alias)
    session.save(customer)
    shown = view(session, customer)
    session.emit("customer.created", shown)
    if customer["balance"]:
        record_transaction(session, customer, customer["balance"], "initial")
    return shown


def _attach(session: Session, customer: Obj, params: Obj) -> dict[str, str]:
    if not params.get("payment_method"):
        return {}
    from seatctl.sandbox.resources.payment_methods import attach_to, find_or_create

    method = find_or_create(session, params["payment_method"], "payment_method")
    attach_to(session, method, customer["id"])
    return {params["payment_method"]: method["id"]}


def _set_default(session: Session, customer: Obj, params: Obj, alias: dict[str, str]) -> None:
    settings = params.get("invoice_settings") or {}
    for name in ("custom_fields", "footer"):
        if name in settings:
            customer["invoice_settings"][name] = unset(settings[name])
    if "rendering_options" in settings:
        sent = unset(settings["rendering_options"])
        blank = {"amount_tax_display": None, "template": None}
        customer["invoice_settings"]["rendering_options"] = sent and {**blank, **sent}
    if "default_payment_method" not in settings:
        return
    wanted = settings["default_payment_method"]
    if wanted == "":
        customer["invoice_settings"]["default_payment_method"] = None
        return
    param = "invoice_settings[default_payment_method]"
    method = own_method(session, customer, alias.get(wanted, wanted), param)
    customer["invoice_settings"]["default_payment_method"] = method["id"]


def _blank(now: int) -> Obj:
    return {
        "id": f"cus_{token(14)}",
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": now,
        "currency": None,
        "customer_account": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": token(8, capitals=True),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def _apply(customer: Obj, params: Obj) -> None:
    for name in _PLAIN:
        if name in params:
            customer[name] = unset(params[name])
    customer["address"] = address(customer["address"])
    customer["shipping"] = shipping(customer["shipping"])
    customer["tax_exempt"] = customer["tax_exempt"] or "none"
    for name in ("invoice_prefix", "next_invoice_sequence"):
        if name in params:
            customer[name] = params[name]
    if "metadata" in params:
        customer["metadata"] = merge_metadata(customer["metadata"], params["metadata"])


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/customers/ID; a deleted one answers with three keys."""
    if session.store.was_deleted("customer", identifier):
        return {"id": identifier, "object": "customer", "deleted": True}
    return view(session, session.find("customer", identifier, "id", status=404))


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/customers/ID: only what is sent changes."""
    customer = session.find("customer", identifier, "id", status=404)
    before = view(session, session.find("customer", identifier, None))
    _apply(customer, params)
    _set_default(session, customer, params, {})
    if params.get("balance", customer["balance"]) != customer["balance"]:
        delta = params["balance"] - customer["balance"]
        customer["balance"] = params["balance"]
        record_transaction(session, customer, delta, "adjustment")
    session.save(customer)
    shown = view(session, customer)
    if changed(before, shown):
        session.emit("customer.updated", shown, before)
    return shown


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/customers/ID: its subscriptions end at once, its methods are detached."""
    customer = session.find("customer", identifier, "id", status=404)
    from seatctl.sandbox.billing.cancellation import end_subscriptions_of

    end_subscriptions_of(session, identifier)
    for method in list(session.store.walk("payment_method", customer=identifier)):
        session.save({**method, "customer": None, "_detached": True})
    session.store.delete(identifier)
    session.emit("customer.deleted", view(session, customer))
    return {"id": identifier, "object": "customer", "deleted": True}


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/customers."""

    def keep(customer: Any) -> bool:
        return matches(customer, params, "email") and "test_clock" not in params

    return page_of(session, "customer", params, "/v1/customers", keep=keep)
