"""Customers, their tax ids, and the transactions of their balance: adjustments, and what invoices leave.

Creating a customer may attach a card in the same call. Invoices show the tax ids; the sandbox does not verify
them.
"""

from __future__ import annotations

from seatctl.sandbox.billing.balance import change_balance, record_transaction
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.metadata import merge_metadata, update_metadata
from seatctl.sandbox.objects import Obj, address, new_id, nulls, set_fields, shipping, token, unset
from seatctl.sandbox.resources.payment_methods import attach_to, find_or_create, set_default_method
from seatctl.sandbox.session import Session, deleted
from seatctl.sandbox.test_clocks import require_room_for_customer

_PLAIN = ("address", "description", "email", "name", "phone", "preferred_locales", "shipping", "tax_exempt")


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/customers. If the bank refuses the card, no customer is created."""
    customer = session.new(
        "customer",
        f"cus_{token(14)}",
        null=(
            "address currency customer_account default_source description discount email name phone "
            "shipping test_clock"
        ),
        balance=0,
        delinquent=False,
        invoice_prefix=token(8, capitals=True),
        invoice_settings=nulls("custom_fields default_payment_method footer rendering_options"),
        metadata={},
        next_invoice_sequence=1,
        preferred_locales=[],
        tax_exempt="none",
    )
    if params.get("test_clock"):
        require_room_for_customer(session, params["test_clock"])
    _apply(customer, params)
    customer["balance"] = params.get("balance", 0)
    session.save(customer)
    test_ids = _attach(session, customer, params)
    _set_invoice_settings(session, customer, params, test_ids)
    for tax_id in params.get("tax_id_data") or []:
        create_tax_id(session, tax_id, customer)
    shown = session.save_and_emit(customer, "customer.created")
    if customer["balance"]:
        record_transaction(session, customer, customer["balance"], "initial")
    return shown


def _attach(session: Session, customer: Obj, params: Obj) -> dict[str, str]:
    """Attach the payment method of the request. Return its id by the id that was sent, a test id perhaps."""
    if not params.get("payment_method"):
        return {}
    method = find_or_create(session, params["payment_method"], "payment_method")
    attach_to(session, method, customer["id"])
    return {params["payment_method"]: method["id"]}


def _set_invoice_settings(session: Session, customer: Obj, params: Obj, test_ids: dict[str, str]) -> None:
    settings = params.get("invoice_settings") or {}
    set_fields(customer["invoice_settings"], settings, "custom_fields", "footer")
    if "rendering_options" in settings:
        options = unset(settings["rendering_options"])
        defaults = {"amount_tax_display": None, "template": None}
        customer["invoice_settings"]["rendering_options"] = options and {**defaults, **options}
    name = "default_payment_method"
    chosen = {name: test_ids.get(settings[name], settings[name])} if name in settings else {}
    param = f"invoice_settings[{name}]"
    set_default_method(session, customer["invoice_settings"], chosen, customer["id"], param)


def _apply(customer: Obj, params: Obj) -> None:
    set_fields(customer, params, *_PLAIN)
    customer["address"] = address(customer["address"])
    customer["shipping"] = shipping(customer["shipping"])
    customer["tax_exempt"] = customer["tax_exempt"] or "none"
    for name in ("invoice_prefix", "next_invoice_sequence"):
        if name in params:
            customer[name] = params[name]
    update_metadata(customer, params)


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/customers/ID. The answer for a deleted customer has three keys only."""
    if session.store.deleted("customer", identifier):
        return deleted("customer", identifier)
    return session.view(session.find("customer", identifier, "id", status=404))


def check_email(session: Session, customer: str, params: Obj) -> None:
    """Refuse invoices that are sent to a customer without an e-mail address."""
    is_sent = params.get("collection_method") == "send_invoice"
    if is_sent and not session.find("customer", customer, "customer")["email"]:
        message = (
            "Missing email. In order to create invoices that are sent to the customer, the customer must "
            "have a valid email."
        )
        raise invalid(message)


def update(session: Session, params: Obj, customer: Obj) -> Obj:
    """POST /v1/customers/ID. Only the fields that are sent change."""
    _apply(customer, params)
    _set_invoice_settings(session, customer, params, {})
    if params.get("balance", customer["balance"]) != customer["balance"]:
        difference = params["balance"] - customer["balance"]
        customer["balance"] = params["balance"]
        record_transaction(session, customer, difference, "adjustment")
    return session.save_changed(customer, "customer.updated")


def delete(session: Session, params: Obj, customer: Obj) -> Obj:
    """DELETE /v1/customers/ID. The customer's subscriptions end now; its payment methods are detached."""
    from seatctl.sandbox.billing.cancellation import end_subscriptions_of

    end_subscriptions_of(session, customer["id"])
    for method in list(session.store.walk("payment_method", customer=customer["id"])):
        session.save({**method, "customer": None, "_detached": True})
    return session.delete_and_emit(customer, "customer.deleted")


def adjust_balance(session: Session, params: Obj, customer: Obj) -> Obj:
    """POST /v1/customers/ID/balance_transactions."""
    currency = params["currency"].lower()
    customer["currency"] = customer["currency"] or currency
    fields = {
        "description": unset(params.get("description")),
        "metadata": merge_metadata({}, params.get("metadata")),
    }
    transaction = change_balance(
        session, customer, params["amount"], "adjustment", currency=currency, **fields
    )
    return session.view(transaction)


def update_balance_transaction(session: Session, params: Obj, customer: Obj, transaction: Obj) -> Obj:
    """POST /v1/customers/ID/balance_transactions/ID: its description and metadata."""
    set_fields(transaction, params, "description")
    update_metadata(transaction, params)
    session.save(transaction)
    return session.view(transaction)


def create_tax_id(session: Session, params: Obj, customer: Obj) -> Obj:
    """POST /v1/customers/ID/tax_ids."""
    kind = params["type"]
    tax_id: Obj = session.new(
        "tax_id",
        new_id("txi"),
        null="customer_account",
        country=None if kind.startswith("eu_") else kind[:2].upper(),
        customer=customer["id"],
        owner={"customer": customer["id"], "customer_account": None, "type": "customer"},
        type=kind,
        value=params["value"],
        verification={"status": "unavailable", "verified_address": None, "verified_name": None},
    )
    return session.save_and_emit(tax_id, "customer.tax_id.created")
