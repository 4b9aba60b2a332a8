"""Payment methods: made from test tokens, attached to customers, listed under them.

A `pm_card_…` may stand wherever an id may; each use of one makes a new method, as on Stripe.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from seatctl.sandbox.billing import cards
from seatctl.sandbox.errors import ApiError, invalid, no_such
from seatctl.sandbox.lists import matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, new_id, unset
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/payment_methods; emits no event."""
    kind = params["type"]
    if kind == "card":
        identifier = str((params.get("card") or {}).get("token", ""))
        name = cards.by_token(identifier)
        if name is None:
            raise _no_token(params, identifier)
        method = card_method(session, name)
    else:
        method = {**_blank(session.now, kind), kind: params.get(kind) or {}}
    _apply(method, params)
    session.save(method)
    return view(session, method)


def _no_token(params: Obj, identifier: str) -> ApiError:
    if "token" in (params.get("card") or {}):
        return no_such("token", identifier, "card[token]")
    message = (
        "Sending credit card numbers directly to the Stripe API is generally unsafe. To continue processing "
        "use Stripe.js, the Stripe mobile bindings, or Stripe Elements. For more information, see "
        "https://dashboard.stripe.com/account/integration/settings."
    )
    return (
        ApiError(402, message, kind="card_error")
        if "card" in params
        else invalid("Missing required param: card.", "card")
    )


def card_method(session: Session, name: str) -> Obj:
    """A new, unattached method of the named test card; not yet written."""
    known = cards.card(name)
    today = datetime.fromtimestamp(session.now, UTC)
    method = _blank(session.now, "card")
    method["_card"] = name
    method["card"] = {
        "brand": known.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
        "country": known.country,
        "display_brand": {"amex": "american_express", "diners": "diners_club"}.get(known.brand, known.brand),
        "exp_month": today.month,
        "exp_year": today.year + 1,
        "fingerprint": _fingerprint(known),
        "funding": known.funding,
        "generated_from": None,
        "last4": known.last4,
        "networks": {"available": [known.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    return method


def _bank_account(session: Session) -> Obj:
    """A new, unattached account in the United States; a debit of it is under way for days."""
    method = _blank(session.now, "us_bank_account")
    method["us_bank_account"] = {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": "SandboxAccount01",
        "last4": "6789",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }
    return method


def _fingerprint(known: cards.Card) -> str:
    from zlib import crc32

    number = crc32(f"{known.brand}{known.last4}{known.funding}{known.country}".encode())
    return f"Sandbox{number:09d}"[:16]


def _blank(now: int, kind: str) -> Obj:
    address: Obj = dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state"))
    return {
        "id": new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": kind,
    }


def _apply(method: Obj, params: Obj) -> None:
    details = params.get("billing_details") or {}
    for name, value in details.items():
        if name == "address" and value:
            method["billing_details"]["address"].update({key: unset(part) for key, part in value.items()})
        else:
            method["billing_details"][name] = unset(value)
    if "allow_redisplay" in params:
        method["allow_redisplay"] = params["allow_redisplay"]
    if "metadata" in params:
        method["metadata"] = merge_metadata(method["metadata"], params["metadata"])
    sent = params.get("card") or {}
    method.get("card", {}).update({name: sent[name] for name in ("exp_month", "exp_year") if name in sent})


def find_or_create(session: Session, identifier: str, param: str) -> Obj:
    """The method of this id; for a test id a new one, written but not attached."""
    name = cards.by_test_id(identifier)
    if name is None:
        return session.find("payment_method", identifier, param)
    method = _bank_account(session) if name == cards.BANK_ACCOUNT else card_method(session, name)
    session.save(method)
    return method


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/payment_methods/ID."""
    if cards.by_test_id(identifier):
        return view(session, find_or_create(session, identifier, "payment_method"))
    return view(session, session.find("payment_method", identifier, "payment_method", status=404))


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_methods/ID; only an attached one can be updated."""
    method = session.find("payment_method", identifier, "payment_method", status=404)
    if method["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.")
    before = view(session, session.find("payment_method", identifier, None))
    _apply(method, params)
    session.save(method)
    shown = view(session, method)
    if changed(before, shown):
        session.emit("payment_method.updated", shown, before)
    return shown


def attach(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_methods/ID/attach: the bank is asked, and may refuse."""
    customer = session.find("customer", params["customer"], "customer")
    if cards.by_test_id(identifier):
        method = find_or_create(session, identifier, "payment_method")
    else:
        method = session.find("payment_method", identifier, "payment_method", status=404)
    attach_to(session, method, customer["id"])
    return view(session, method)


def attach_to(session: Session, method: Obj, customer: str) -> None:
    """Attach a method; again to the same customer changes nothing."""
    if method["customer"] == customer:
        return
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method.get("_detached"):
        raise invalid(
            "This PaymentMethod was previously used without being attached to a Customer or was detached "
            "from a Customer, and may not be used again."
        )
    refusal = cards.card(method["_card"]).attach if "_card" in method else None
    if refusal is not None:
        raise refusal.refusal(param=refusal.param)
    method["customer"] = customer
    if "card" in method:
        method["card"]["checks"]["cvc_check"] = "pass"
    session.save(method)
    session.emit("payment_method.attached", view(session, method))


def detach(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_methods/ID/detach: gone from the customer, and as a default."""
    method = session.find("payment_method", identifier, "payment_method", status=404)
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise invalid(message)
    before = view(session, method)
    holder = session.store.get("customer", method["customer"])
    method = {**method, "customer": None, "_detached": True}
    session.save(method)
    session.emit("payment_method.detached", view(session, method), before)
    if holder and holder["invoice_settings"]["default_payment_method"] == identifier:
        shown = view(session, holder)
        holder["invoice_settings"] = {**holder["invoice_settings"], "default_payment_method": None}
        session.save(holder)
        session.emit("customer.updated", view(session, holder), shown)
    return view(session, method)


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/payment_methods: empty without a customer, whatever exists."""
    if not params.get("customer"):
        return page_of(session, "payment_method", params, "/v1/payment_methods", keep=lambda _: False)
    session.find("customer", params["customer"], "customer")
    return _page(session, params, "/v1/payment_methods")


def list_of_customer(session: Session, params: Obj, customer: str) -> Obj:
    """GET /v1/customers/ID/payment_methods."""
    session.find("customer", customer, "id", status=404)
    return _page(session, {**params, "customer": customer}, f"/v1/customers/{customer}/payment_methods")


def _page(session: Session, params: Obj, url: str) -> Obj:
    def keep(method: Any) -> bool:
        return matches(method, params, "type", "allow_redisplay")

    return page_of(session, "payment_method", params, url, keep=keep)


def retrieve_of_customer(session: Session, params: Obj, customer: str, identifier: str) -> Obj:
    """GET /v1/customers/ID/payment_methods/ID."""
    session.find("customer", customer, "id", status=404)
    method = session.store.get("payment_method", identifier)
    if method is None or method["customer"] != customer:
        raise invalid("Invalid request", "customer", status=404)
    return view(session, method)


def own_method(session: Session, customer: Obj, identifier: str, param: str) -> Obj:
    """A method of this customer; a test id is made and attached."""
    if cards.by_test_id(identifier):
        method = find_or_create(session, identifier, param)
        attach_to(session, method, customer["id"])
        return method
    method = session.find("payment_method", identifier, param)
    if method["customer"] != customer["id"]:
        message = (
            "The customer does not have a payment method with the ID "
            f"{identifier}. The payment method must be attached to the customer."
        )
        raise invalid(message, param, code="resource_missing")
    return method
