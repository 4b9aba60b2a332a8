"""Checkout sessions; `complete` acts as the customer on the page."""

from __future__ import annotations

from seatctl.sandbox.billing import debits
from seatctl.sandbox.billing.automatic_tax import (
    amount_of,
    is_enabled,
    is_located,
    of_subscription,
    require_behavior,
)
from seatctl.sandbox.billing.catalog import create_inline_price, in_currency
from seatctl.sandbox.billing.collection import collect
from seatctl.sandbox.billing.due_work import expire_checkout
from seatctl.sandbox.billing.payments import attempt_payment, new_intent, new_setup_intent
from seatctl.sandbox.clock import DAY, HOUR
from seatctl.sandbox.errors import invalid, missing_param
from seatctl.sandbox.lists import check_ids
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import exact_price, round_half_up
from seatctl.sandbox.objects import Obj, address, nulls, pick, sent, token
from seatctl.sandbox.session import Session

NO_CARD = "none"
_SHORTEST_LIFE, _LONGEST_LIFE = HOUR // 2, DAY
_ECHOED = (
    "allow_promotion_codes billing_address_collection cancel_url client_reference_id customer "
    "customer_email locale submit_type success_url"
)
_UNSUPPORTED = (
    "adaptive_pricing after_expiration collected_information consent consent_collection currency_conversion "
    "integration_identifier invoice_creation managed_payments origin_context "
    "payment_method_configuration_details payment_method_options permissions recovered_from "
    "saved_payment_method_options shipping_address_collection shipping_cost wallet_options"
)
_NO_DISCOUNT = {"coupon": None, "promotion_code": None}


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/checkout/sessions."""
    mode = params["mode"]
    check_ids(session, params, "customer")
    if mode != "setup" and not params.get("line_items"):
        raise missing_param("line_items")
    if mode == "setup" and not (params.get("currency") or _types(params)):
        raise missing_param("currency")
    life = params.get("expires_at", session.now + _LONGEST_LIFE) - session.now
    if not _SHORTEST_LIFE <= life <= _LONGEST_LIFE:
        bound = "at least 30 minutes" if life < _SHORTEST_LIFE else "less than 24 hours"
        message = f"The `expires_at` timestamp must be {bound} from Checkout Session creation."
        raise invalid(message, "expires_at")
    _check_tax(session, params)
    currency, lines = params.get("currency"), params.get("line_items") or []
    prices = [_price(session, item, n, currency) for n, item in enumerate(lines)]
    if is_enabled(params):
        require_behavior(session, prices)
    kinds = {price["type"] for price in prices}
    if mode == "subscription" and "recurring" not in kinds:
        raise invalid(
            "You must provide at least one recurring price in `subscription` mode when using prices."
        )
    if mode == "payment" and "recurring" in kinds:
        message = (
            "You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode "
            "or use only one-time prices."
        )
        raise invalid(message)
    checkout = _new_session(session, params, mode, prices)
    session.save(checkout)
    return session.view(checkout)


def _price(session: Session, item: Obj, position: int, currency: str | None) -> Obj:
    """Return the price of a line, which the request names or describes; the line then names it."""
    param = f"line_items[{position}]"
    if item.get("price_data"):
        inline = create_inline_price(session, item.pop("price_data"), f"{param}[price_data]")
        item["price"] = inline["id"]
    if not item.get("price"):
        raise missing_param(f"{param}[price]")
    price = session.find("price", item["price"], f"{param}[price]")
    return in_currency(price, currency, f"{param}[price]")


def _check_tax(session: Session, params: Obj) -> None:
    """Refuse automatic tax, or asking for a tax id, if the page may not save what is entered."""
    customer = session.store.get("customer", params.get("customer") or "")
    saved = params.get("customer_update") or {}
    if (params.get("tax_id_collection") or {}).get("enabled") and customer and saved.get("name") != "auto":
        message = (
            "Tax ID collection requires updating business name on the customer. To enable tax ID collection "
            "for an existing customer, please set `customer_update[name]` to `auto`."
        )
        raise invalid(message)
    is_saved = "auto" in (saved.get("address"), saved.get("shipping"))
    if is_enabled(params) and customer and not (is_saved or is_located(session, customer)):
        message = (
            "Automatic tax calculation in Checkout requires a valid address on the Customer. Add a valid "
            "address to the Customer or set either `customer_update[address]` to 'auto' or "
            "`customer_update[shipping]` to 'auto' to save the address entered in Checkout to the Customer."
        )
        raise invalid(message, code="customer_tax_location_invalid")


def _new_session(session: Session, params: Obj, mode: str, prices: list[Obj]) -> Obj:
    identifier = f"cs_test_{token(58)}"
    setup = mode == "setup"
    quantities = [item.get("quantity", 1) for item in params.get("line_items") or []]
    is_free = {"trial_end", "trial_period_days"} & set(params.get("subscription_data") or {})
    costs = [
        0 if is_free and price["type"] == "recurring" else round_half_up(exact_price(price, quantity))
        for price, quantity in zip(prices, quantities, strict=True)
    ]
    amount = sum(costs) if costs else None
    on_need = "if_required" if mode == "payment" else "always"
    currency = prices[0]["currency"] if prices else params.get("currency")
    for refused in filter(None, (debits.refusal(kind, currency) for kind in _types(params) if currency)):
        raise refused
    return session.new(
        "checkout.session",
        identifier,
        null=(
            "client_secret customer_account customer_details invoice payment_intent payment_link "
            f"setup_intent subscription {_UNSUPPORTED}"
        ),
        empty="custom_fields shipping_options",
        **sent(params, _ECHOED),
        amount_subtotal=amount,
        amount_total=amount,
        automatic_tax={
            **pick(of_subscription(enabled=is_enabled(params)), "enabled", "liability"),
            "provider": "stripe" if is_enabled(params) else None,
            "status": "requires_location_inputs" if is_enabled(params) else None,
        },
        currency=currency,
        customer_creation=None
        if setup or params.get("customer")
        else params.get("customer_creation", on_need),
        discounts=None
        if setup
        else [{**_NO_DISCOUNT, **discount} for discount in params.get("discounts") or []],
        custom_text=nulls("after_submit shipping_address submit terms_of_service_acceptance"),
        expires_at=params.get("expires_at", session.now + _LONGEST_LIFE),
        metadata=merge_metadata({}, params.get("metadata")),
        mode=mode,
        payment_method_collection=params.get("payment_method_collection", on_need),
        payment_method_types=_types(params) or debits.offered(currency),
        payment_status="no_payment_required" if setup else "unpaid",
        **pick(params, "return_url"),
        **_tax_id_collection(params),
        status="open",
        total_details=None if setup else {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        ui_mode=params.get("ui_mode", "hosted_page"),
        url=f"https://sandbox.invalid/c/pay/{identifier}",
        _params=params,
    )


def _tax_id_collection(params: Obj) -> Obj:
    """Return what a page shows of a request for tax ids; the field is absent without one."""
    name = "tax_id_collection"
    return {name: {"required": "never", **params[name]}} if name in params else {}


def _types(params: Obj) -> list[str]:
    """Return the payment method types that a session is restricted to; endive has another name for them."""
    names = ("allowed_payment_method_types", "payment_method_types")
    types: list[str] = next((params[name] for name in names if params.get(name)), [])
    return types


def expire(session: Session, params: Obj, checkout: Obj) -> Obj:
    """POST /v1/checkout/sessions/ID/expire."""
    if checkout["status"] != "open":
        raise invalid(
            'Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a '
            f"status of `{checkout['status']}`."
        )
    return expire_checkout(session, checkout)


def complete(
    session: Session, identifier: str, card: str, place: Obj | None = None, tax_id: Obj | None = None
) -> Obj:
    """Pay on the page with `card` (a test id), as the customer does. Return the completed session.

    `place` is the address that is entered (without it, Bonn in Germany), `tax_id` a type and a value; each is
    saved if the session asks for it.

    The card `none` gives none, if the page does not need one. Raises ApiError if the session is not open, or
    the card is refused; the session then stays open.
    """
    from seatctl.sandbox.resources.customers import create as create_customer
    from seatctl.sandbox.resources.customers import create_tax_id
    from seatctl.sandbox.resources.payment_methods import attach_to, find_or_create

    checkout = session.find("checkout.session", identifier, "session", status=404)
    if checkout["status"] != "open":
        raise invalid(f"This session is {checkout['status']}.")
    params = checkout["_params"]
    if checkout["customer"] is None:  # one who buys as a guest has one here too
        checkout["customer"] = create_customer(session, {"email": checkout["customer_email"]})["id"]
    if card == NO_CARD:
        is_needed = checkout["mode"] != "subscription" or checkout["amount_total"]
        if is_needed or checkout["payment_method_collection"] != "if_required":
            raise invalid("This page needs a payment method.")
        method = None
    else:
        method = find_or_create(session, card, "payment_method")
        if method["type"] not in checkout["payment_method_types"]:
            raise invalid(f"This page does not take the payment method type `{method['type']}`.")
        attach_to(session, method, checkout["customer"])
    if tax_id and (params.get("tax_id_collection") or {}).get("enabled"):
        create_tax_id(session, tax_id, session.find("customer", checkout["customer"], None))
    if is_enabled(params):
        _save_address(session, checkout["customer"], params, place)
    if checkout["mode"] == "setup" and method is not None:
        _set_up(session, checkout, method, params)
    elif checkout["mode"] == "payment" and method is not None:
        _pay(session, checkout, method, params)
    else:
        _subscribe(session, checkout, method, params)
    customer = session.find("customer", checkout["customer"], None)
    details = {
        **nulls("business_name individual_name tax_ids"),
        **pick(customer, "email", "name", "phone", "address", "tax_exempt"),
    }
    checkout.update(status="complete", url=None, customer_details=details)
    return session.save_and_emit(checkout, "checkout.session.completed")


def _set_up(session: Session, checkout: Obj, method: Obj, params: Obj) -> None:
    intent = new_setup_intent(session, checkout["customer"])
    data = params.get("setup_intent_data") or {}
    intent.update(status="succeeded", payment_method=method["id"], metadata=data.get("metadata") or {})
    intent["mandate"] = debits.mandate_of(session, method)
    session.save({**method, "_set_up": True})
    session.save_and_emit(intent, "setup_intent.succeeded")
    checkout["setup_intent"] = intent["id"]


def _pay(session: Session, checkout: Obj, method: Obj, params: Obj) -> None:
    total, currency = checkout["amount_total"], checkout["currency"]
    intent = new_intent(session, checkout["customer"], total, currency)
    data = params.get("payment_intent_data") or {}
    intent.update(pick(data, "description", "metadata", "setup_future_usage"))
    outcome = attempt_payment(session, intent, method, authenticated=True)
    if outcome.decline is not None:
        raise outcome.decline.refusal()
    payment_status = "paid" if outcome.paid else "unpaid"
    checkout.update(payment_intent=intent["id"], payment_status=payment_status)


def _save_address(session: Session, identifier: str, params: Obj, place: Obj | None) -> None:
    """Save the address that the customer enters on the page, if the session asks for that."""
    customer = session.find("customer", identifier, None)
    entered = place or customer["address"] or {"country": "DE", "city": "Bonn"}
    if (params.get("customer_update") or {}).get("address") == "auto":
        session.save({**customer, "address": address(entered)})


def _subscribe(session: Session, checkout: Obj, method: Obj | None, params: Obj) -> None:
    from seatctl.sandbox.resources.subscriptions import create as subscribe

    data = params.get("subscription_data") or {}
    lines: Obj = {"recurring": [], "one_time": []}
    for item in params["line_items"]:
        price = session.find("price", item["price"], None)
        lines[price["type"]].append(pick(item, "price", "quantity"))
    names = (
        "metadata description trial_end trial_period_days trial_settings billing_cycle_anchor billing_mode"
    )
    settings = pick(data, *names.split())
    subscription = subscribe(
        session,
        {
            **settings,
            "customer": checkout["customer"],
            "items": lines["recurring"],
            "add_invoice_items": lines["one_time"],
            **({"default_payment_method": method["id"]} if method else {}),
            **pick(params, "automatic_tax", "currency"),
            "payment_settings": {"payment_method_types": _types(params)},
            "discounts": params.get("discounts") or [],
            "payment_behavior": "default_incomplete",
        },
    )
    invoice = session.find("invoice", subscription["latest_invoice"], None)
    paid = True
    if invoice["status"] == "open" and method is not None:
        # The customer is on the page and answers the bank there.
        outcome = collect(session, invoice, method, authenticated=True)
        if outcome.decline is not None:
            raise outcome.decline.refusal()
        paid = outcome.paid
    checkout.update(
        subscription=subscription["id"],
        invoice=invoice["id"],
        payment_status=("paid" if paid else "unpaid") if invoice["total"] else "no_payment_required",
        amount_total=invoice["total"],
        amount_subtotal=invoice["subtotal"],
        total_details={**checkout["total_details"], "amount_tax": amount_of(invoice["total_taxes"])},
        automatic_tax={**checkout["automatic_tax"], "status": invoice["automatic_tax"]["status"]},
    )
