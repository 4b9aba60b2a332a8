"""Checkout sessions of mode `subscription` and `setup`; `complete` is what the customer does on the page."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.automatic_tax import is_asked, of_subscription
from seatctl.sandbox.billing.collection import collect
from seatctl.sandbox.clock import DAY, HOUR
from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.lists import check_customer, matches, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import exact_price, round_half_up
from seatctl.sandbox.objects import Obj, address, pick, token
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

_METHODS = ("card", "us_bank_account")  # what the sandbox's account allows where a page does not say
_AT_LEAST, _FOR_LIFE = HOUR // 2, DAY
_TAKEN = ("allow_promotion_codes", "billing_address_collection", "customer_creation", "submit_type")
_UNUSED = (
    *_TAKEN, "adaptive_pricing", "after_expiration", "collected_information", "consent", "consent_collection",
    "currency_conversion", "discounts", "integration_identifier", "invoice_creation", "managed_payments",
    "origin_context", "payment_method_configuration_details", "payment_method_options", "permissions",
    "recovered_from", "saved_payment_method_options", "shipping_address_collection", "shipping_cost",
    "wallet_options",
)  # fmt: skip


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/checkout/sessions."""
    mode = params["mode"]
    if mode == "payment":
        raise invalid("The sandbox has no Checkout of mode `payment`.", "mode")
    if params.get("customer"):
        session.find("customer", params["customer"], "customer")
    if mode == "subscription" and not params.get("line_items"):
        raise missing_param("line_items")
    if mode == "setup" and not (params.get("currency") or _types(params)):
        raise missing_param("currency")
    life = params.get("expires_at", session.now + _FOR_LIFE) - session.now
    if not _AT_LEAST <= life <= _FOR_LIFE:
        message = (
            "The `expires_at` timestamp must be at least 30 minutes and less than 24 hours from Checkout "
            "Session creation."
        )
        raise invalid(message, "expires_at")
    amount, currency = _amount(session, params)
    made = _made(session, params, mode, amount, currency)
    session.save(made, due=made["expires_at"])
    return view(session, made)


def _amount(session: Session, params: Obj) -> tuple[int | None, str | None]:
    total, currency = 0, params.get("currency")
    for place, each in enumerate(params.get("line_items") or []):
        if each.get("price"):
            price = session.find("price", each["price"], f"line_items[{place}][price]")
        else:
            raise missing_param(f"line_items[{place}][price]")
        total += round_half_up(exact_price(price, each.get("quantity", 1)))
        currency = price["currency"]
    return (total, currency) if params.get("line_items") else (None, currency)


def _made(session: Session, params: Obj, mode: str, amount: int | None, currency: str | None) -> Obj:
    identifier = f"cs_test_{token(58)}"
    setup = mode == "setup"
    return {
        "id": identifier,
        "object": "checkout.session",
        **dict.fromkeys(_UNUSED),
        **pick(params, *_TAKEN),
        "amount_subtotal": amount,
        "amount_total": amount,
        "automatic_tax": {
            **pick(of_subscription(enabled=is_asked(params)), "enabled", "liability"),
            "provider": "stripe" if is_asked(params) else None,
            "status": None,
        },
        "cancel_url": params.get("cancel_url"),
        "client_reference_id": params.get("client_reference_id"),
        "client_secret": None,
        "created": session.now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": dict.fromkeys(
            ("after_submit", "shipping_address", "submit", "terms_of_service_acceptance")
        ),
        "customer": params.get("customer"),
        "customer_account": None,
        "customer_details": None,
        "customer_email": params.get("customer_email"),
        "expires_at": params.get("expires_at", session.now + _FOR_LIFE),
        "invoice": None,
        "livemode": False,
        "locale": params.get("locale"),
        "metadata": merge_metadata({}, params.get("metadata")),
        "mode": mode,
        "payment_intent": None,
        "payment_link": None,
        "payment_method_collection": None if setup else params.get("payment_method_collection", "always"),
        "payment_method_types": _types(params) or list(_METHODS),
        "payment_status": "no_payment_required" if setup else "unpaid",
        **pick(params, "return_url"),
        "setup_intent": None,
        "shipping_options": [],
        "status": "open",
        "subscription": None,
        "success_url": params.get("success_url"),
        "total_details": None if setup else {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": params.get("ui_mode", "hosted_page"),
        "url": f"https://sandbox.invalid/c/pay/{identifier}",
        "_params": params,
    }


def _types(params: Obj) -> list[str]:
    """The ways to pay that a page is restricted to; endive calls the parameter by another name."""
    found: list[str] = params.get("allowed_payment_method_types") or params.get("payment_method_types") or []
    return found


def _find(session: Session, identifier: str) -> Obj:
    return session.find("checkout.session", identifier, "session", status=404)


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/checkout/sessions."""
    check_customer(session, params)

    def keep(each: Any) -> bool:
        return matches(each, params, "status", "subscription", "payment_intent")

    return page_of(session, "checkout.session", params, "/v1/checkout/sessions", keep=keep)


def expire(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/checkout/sessions/ID/expire."""
    made = _find(session, identifier)
    if made["status"] != "open":
        raise invalid(
            f"Only Checkout Sessions with a status of open can be expired. This one is {made['status']}."
        )
    return expire_session(session, made)


def expire_session(session: Session, made: Obj) -> Obj:
    """open -> expired, asked for or by the clock."""
    made.update(status="expired", url=None)
    session.save(made)
    session.emit("checkout.session.expired", view(session, made))
    return view(session, made)


def complete(session: Session, identifier: str, card: str) -> Obj:
    """The customer pays on the page with `card` (a test id); a refused card leaves the session open."""
    from seatctl.sandbox.resources.customers import create as create_customer
    from seatctl.sandbox.resources.payment_methods import attach_to, find_or_create

    made = _find(session, identifier)
    if made["status"] != "open":
        raise invalid(f"This session is {made['status']}.")
    sent = made["_params"]
    if made["customer"] is None:
        made["customer"] = create_customer(session, pick({"email": made["customer_email"]}, "email"))["id"]
    method = find_or_create(session, card, "payment_method")
    if method["type"] not in made["payment_method_types"]:
        raise invalid(f"This page does not take the payment method type `{method['type']}`.")
    attach_to(session, method, made["customer"])
    if made["mode"] == "setup":
        _set_up(session, made, method, sent)
    else:
        _subscribe(session, made, method, sent)
    customer = session.find("customer", made["customer"], None)
    about = {
        **dict.fromkeys(("business_name", "individual_name", "tax_ids")),
        **pick(customer, "email", "name", "phone", "address", "tax_exempt"),
    }
    made.update(status="complete", url=None, customer_details=about)
    session.save(made)
    session.emit("checkout.session.completed", view(session, made))
    return view(session, made)


def _set_up(session: Session, made: Obj, method: Obj, sent: Obj) -> None:
    from seatctl.sandbox.resources.setup_intents import create_pending

    intent = create_pending(session, made["customer"])
    data = sent.get("setup_intent_data") or {}
    intent.update(status="succeeded", payment_method=method["id"], metadata=data.get("metadata") or {})
    session.save(intent)
    session.save({**method, "_set_up": True})
    session.emit("setup_intent.succeeded", view(session, intent))
    made["setup_intent"] = intent["id"]


def _give_address(session: Session, identifier: str, sent: Obj) -> None:
    """The customer types an address on the page, which is kept if the page was made so."""
    customer = session.find("customer", identifier, None)
    if customer["address"] is None and (sent.get("customer_update") or {}).get("address") == "auto":
        session.save({**customer, "address": address({"country": "DE", "city": "Bonn"})})


def _subscribe(session: Session, made: Obj, method: Obj, sent: Obj) -> None:
    from seatctl.sandbox.resources.subscriptions import create as subscribe

    data = sent.get("subscription_data") or {}
    if is_asked(sent):
        _give_address(session, made["customer"], sent)
    known = pick(data, "metadata", "description", "trial_end", "trial_period_days", "billing_cycle_anchor")
    subscription = subscribe(
        session,
        {
            **known,
            "customer": made["customer"],
            "items": [pick(each, "price", "quantity") for each in sent["line_items"]],
            "default_payment_method": method["id"],
            **pick(sent, "automatic_tax"),
            "payment_settings": {"payment_method_types": _types(sent)},
            "discounts": sent.get("discounts") or [],
            "payment_behavior": "default_incomplete",
        },
    )
    invoice = session.find("invoice", subscription["latest_invoice"], None)
    paid = True
    if invoice["status"] == "open":
        # The customer is at the page: a bank that asks is answered there.
        outcome = collect(session, invoice, method, authenticated=True)
        if outcome.decline is not None:
            raise outcome.decline.refusal()
        paid = outcome.paid
    made.update(
        subscription=subscription["id"],
        invoice=invoice["id"],
        payment_status="paid" if paid else "unpaid",
        amount_total=invoice["total"],
        amount_subtotal=invoice["subtotal"],
    )
