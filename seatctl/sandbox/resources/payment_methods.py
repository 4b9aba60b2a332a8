"""Payment methods: created from test tokens, attached to customers, listed by customer.

As on Stripe, the id of a test card or a test bank account can be sent wherever an id can; each use creates a
new method.
"""

from __future__ import annotations

from datetime import UTC, datetime

from seatctl.sandbox.billing import cards, debits
from seatctl.sandbox.errors import ApiError, invalid, no_such
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, new_id, nulls, pick, set_fields, unset
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/payment_methods. As on Stripe, there is no event."""
    kind = params["type"]
    if kind == "card":
        identifier = str((params.get("card") or {}).get("token", ""))
        name = cards.by_token(identifier)
        if name is None:
            raise _token_refusal(params, identifier)
        method = _new_card(session, name)
    else:
        method = {**_new_method(session, kind), kind: {}}  # never the number of an account that was sent
    _apply(method, params)
    session.save(method)
    return session.view(method)


def _token_refusal(params: Obj, identifier: str) -> ApiError:
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


def _new_card(session: Session, name: str) -> Obj:
    """Return a new, unattached method of the named test card; not yet written."""
    card = cards.card(name)
    today = datetime.fromtimestamp(session.now, UTC)
    method = _new_method(session, "card")
    method["_card"] = name
    method["card"] = {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "unchecked"},
        "country": card.country,
        "display_brand": {"amex": "american_express", "diners": "diners_club"}.get(card.brand, card.brand),
        "exp_month": today.month,
        "exp_year": today.year + 1,
        "fingerprint": _fingerprint(card),
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": True},
        "wallet": None,
    }
    return method


def _new_bank_account(session: Session, identifier: str, account: debits.Account) -> Obj:
    """Return a new, unattached method of the named bank account, whose debits take days; not yet written."""
    method = _new_method(session, account.type)
    return {**method, account.type: debits.details(account), "_account": identifier}


def _fingerprint(card: cards.Card) -> str:
    from zlib import crc32

    number = crc32(f"{card.brand}{card.last4}{card.funding}{card.country}".encode())
    return f"Sandbox{number:09d}"[:16]


def _new_method(session: Session, kind: str) -> Obj:
    address: Obj = nulls("city country line1 line2 postal_code state")
    return session.new(
        "payment_method",
        new_id("pm"),
        null="customer customer_account",
        allow_redisplay="unspecified",
        billing_details={"address": address, "email": None, "name": None, "phone": None, "tax_id": None},
        metadata={},
        type=kind,
    )


def _apply(method: Obj, params: Obj) -> None:
    details = params.get("billing_details") or {}
    for name, value in details.items():
        if name == "address" and value:
            method["billing_details"]["address"].update({key: unset(part) for key, part in value.items()})
        else:
            method["billing_details"][name] = unset(value)
    set_fields(method, params, "allow_redisplay")
    update_metadata(method, params)
    if "card" in method:
        method["card"].update(pick(params.get("card") or {}, "exp_month", "exp_year"))


def find_or_create(session: Session, identifier: str, param: str, *, status: int = 400) -> Obj:
    """Return the method with this id; a test id creates a new one, which is written but not attached."""
    card, account = cards.by_test_id(identifier), debits.by_test_id(identifier)
    if card is not None:
        method = _new_card(session, card)
    elif account is not None:
        method = _new_bank_account(session, identifier, account)
    else:
        return session.find("payment_method", identifier, param, status=status)
    session.save(method)
    return method


def is_test_id(identifier: str) -> bool:
    """Whether this names a test card or a test bank account."""
    return cards.by_test_id(identifier) is not None or debits.by_test_id(identifier) is not None


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/payment_methods/ID."""
    return session.view(find_or_create(session, identifier, "payment_method", status=404))


def update(session: Session, params: Obj, method: Obj) -> Obj:
    """POST /v1/payment_methods/ID. Only an attached method can be updated."""
    if method["customer"] is None:
        raise invalid("You must save this PaymentMethod to a customer before you can update it.")
    _apply(method, params)
    return session.save_changed(method, "payment_method.updated")


def attach(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_methods/ID/attach. The bank checks the card and may refuse it."""
    customer = session.find("customer", params["customer"], "customer")
    method = find_or_create(session, identifier, "payment_method", status=404)
    attach_to(session, method, customer["id"])
    return session.view(method)


def attach_to(session: Session, method: Obj, customer: str) -> None:
    """Attach a method to a customer and write it; nothing changes if the customer has it already."""
    if method["customer"] == customer:
        return
    if method["customer"] is not None:
        raise invalid("The payment method you provided has already been attached to a customer.")
    if method.get("_detached"):
        raise invalid(
            "This PaymentMethod was previously used without being attached to a Customer or was detached "
            "from a Customer, and may not be used again."
        )
    decline = cards.card(method["_card"]).attach if "_card" in method else None
    if decline is not None:
        raise decline.refusal(param=decline.param)
    method["customer"] = customer
    if "card" in method:
        method["card"]["checks"]["cvc_check"] = "pass"
    session.save_and_emit(method, "payment_method.attached")


def detach(session: Session, params: Obj, method: Obj) -> Obj:
    """POST /v1/payment_methods/ID/detach. The method is no longer the customer's default either."""
    if method["customer"] is None:
        message = "The payment method you provided is not attached to a customer so detachment is impossible."
        raise invalid(message)
    customer = session.store.get("customer", method["customer"])
    method = {**method, "customer": None, "_detached": True}
    shown = session.save_changed(method, "payment_method.detached")
    if customer and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"] = {**customer["invoice_settings"], "default_payment_method": None}
        session.save_changed(customer, "customer.updated")
    return shown


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/payment_methods. Without a customer the list is empty, as on Stripe."""
    if not params.get("customer"):
        return page_of(session, "payment_method", params, "/v1/payment_methods", is_match=lambda _: False)
    session.find("customer", params["customer"], "customer")
    filters = ["type", "allow_redisplay"]
    return page_of(session, "payment_method", params, "/v1/payment_methods", filters=filters)


def retrieve_of_customer(session: Session, params: Obj, customer: Obj, identifier: str) -> Obj:
    """GET /v1/customers/ID/payment_methods/ID."""
    method = session.store.get("payment_method", identifier)
    if method is None or method["customer"] != customer["id"]:
        raise invalid("Invalid request", "customer", status=404)
    return session.view(method)


def set_default_method(
    session: Session, obj: Obj, params: Obj, customer: str, param: str = "default_payment_method"
) -> None:
    """Set the default payment method of an invoice, a subscription or a customer, if a request sends one."""
    name = "default_payment_method"
    if name in params:
        method = params[name] and own_method(session, customer, params[name], param)
        obj[name] = method["id"] if method else None


def own_method(session: Session, customer: str, identifier: str, param: str) -> Obj:
    """Return a method of this customer; a test id creates one and attaches it."""
    method = find_or_create(session, identifier, param)
    if is_test_id(identifier):
        attach_to(session, method, customer)
    if method["customer"] != customer:
        message = (
            "The customer does not have a payment method with the ID "
            f"{identifier}. The payment method must be attached to the customer."
        )
        raise invalid(message, param, code="resource_missing")
    return method
