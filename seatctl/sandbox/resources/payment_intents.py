"""Payment intents: those of invoices, and ones made directly."""

from __future__ import annotations

from seatctl.sandbox.billing import cards
from seatctl.sandbox.billing.collection import collect
from seatctl.sandbox.billing.payments import PaymentOutcome, attempt_payment, fail_intent, new_intent
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.lists import check_customer, page_of
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.money import amount_text, granularity, least_charge
from seatctl.sandbox.objects import Obj, shipping, unset
from seatctl.sandbox.resources.payment_methods import find_or_create
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

_CAN_CONFIRM = ("requires_payment_method", "requires_confirmation", "requires_action")
_CAN_CANCEL = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action",
               "processing")  # fmt: skip
_GONE = (
    "The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, "
    "shared with a connected account without Customer attachment, or was detached from a Customer. It may "
    "not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first."
)
_NEEDS_CUSTOMER = (
    "The provided PaymentMethod cannot be used because it belongs to a Customer. Please include the "
    "Customer in the `customer` parameter on the PaymentIntent."
)
_OTHER_CUSTOMER = (
    "The provided PaymentMethod does not belong to the Customer you supplied. Please attach this "
    "PaymentMethod to this Customer before using it with a PaymentIntent."
)
_NO_METHOD = (
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update "
    "the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a "
    "payment method or ConfirmationToken."
)
_SUCCEEDED = (
    "You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed."
)
_RETURN_URL = (
    "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of "
    "these payment methods might redirect your customer off of your page, you must provide a `return_url`. "
    "If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to "
    "`true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and "
    "Payment Intents."
)
_AUTHENTICATE = "Your card was declined. This transaction requires authentication."


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/payment_intents; a refusal at once still leaves the intent."""
    customer = params.get("customer")
    if customer:
        session.find("customer", customer, "customer")
    currency = params["currency"].lower()
    _check_amount(params["amount"], currency)
    made = new_intent(session, customer, params["amount"], currency)
    if not {"payment_method_types", "allowed_payment_method_types"} & set(params):
        made["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
        made["payment_method_configuration_details"] = {"id": "pmc_Sandbox", "parent": None}
    _apply(session, made, params)
    session.save(made)
    session.emit("payment_intent.created", view(session, made))
    if params.get("confirm"):
        return _confirmed(session, made, params)
    return view(session, made)


def _check_amount(amount: int, currency: str) -> None:
    if amount < 1:
        message = "This value must be greater than or equal to 1."
        raise invalid(message, "amount", code="parameter_invalid_integer")
    if amount < least_charge(currency):
        message = f"Amount must be at least {amount_text(str(least_charge(currency)), currency)} {currency}"
        raise invalid(message, "amount", code="amount_too_small")
    if amount % granularity(currency):
        message = f"Amounts in {currency} must be a multiple of {granularity(currency)}."
        raise invalid(message, "amount")


def _apply(session: Session, made: Obj, params: Obj) -> None:
    if params.get("capture_method") == "manual":
        raise invalid("The sandbox does not support `capture_method` manual.", "capture_method")
    for name in ("description", "receipt_email", "setup_future_usage", "statement_descriptor"):
        if name in params:
            made[name] = unset(params[name])
    if "shipping" in params:
        made["shipping"] = shipping(unset(params["shipping"]))
    for name in ("capture_method", "payment_method_types", "allowed_payment_method_types"):
        if params.get(name):
            made[name] = params[name]
    if (params.get("automatic_payment_methods") or {}).get("enabled"):
        made["automatic_payment_methods"] = {
            "allow_redirects": "always",
            **params["automatic_payment_methods"],
        }
    if "metadata" in params:
        made["metadata"] = merge_metadata(made["metadata"], params["metadata"])
    if params.get("payment_method"):
        _give_method(session, made, params["payment_method"])


def _give_method(session: Session, made: Obj, identifier: str) -> None:
    fresh = cards.by_test_id(identifier) is not None
    method = find_or_create(session, identifier, "payment_method")
    if method.get("_detached"):
        raise invalid(_GONE)
    if not fresh and method["customer"] not in (None, made["customer"]):
        raise invalid(_OTHER_CUSTOMER if made["customer"] else _NEEDS_CUSTOMER)
    made.update(payment_method=method["id"], status="requires_confirmation")


def _find(session: Session, identifier: str) -> Obj:
    return session.find("payment_intent", identifier, "intent", status=404)


def confirm(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_intents/ID/confirm."""
    made = _find(session, identifier)
    if made["status"] == "succeeded":
        raise _unexpected(session, made, _SUCCEEDED)
    if made["status"] not in _CAN_CONFIRM:
        raise _state(session, "confirm", made, _CAN_CONFIRM)
    _apply(session, made, params)
    return _confirmed(session, made, params)


def _state(session: Session, verb: str, made: Obj, allowed: tuple[str, ...]) -> ApiError:
    message = (
        f"You cannot {verb} this PaymentIntent because it has a status of {made['status']}. Only a "
        f"PaymentIntent with one of the following statuses may be {verb}ed: {', '.join(allowed)}."
    )
    return _unexpected(session, made, message)


def _unexpected(session: Session, made: Obj, message: str, param: str | None = None) -> ApiError:
    extra = {"payment_intent": view(session, made)}
    return ApiError(400, message, code="payment_intent_unexpected_state", param=param, extra=extra)


def _confirmed(session: Session, made: Obj, params: Obj) -> Obj:
    if made["payment_method"] is None:
        raise _unexpected(session, made, _NO_METHOD)
    method = session.find("payment_method", made["payment_method"], "payment_method")
    alone = bool(params.get("off_session") or params.get("error_on_requires_action"))
    redirects = (made["automatic_payment_methods"] or {}).get("allow_redirects") == "always"
    if redirects and not params.get("return_url") and not params.get("off_session"):
        raise invalid(_RETURN_URL)
    made, outcome = _attempted(session, made, method, alone=alone)
    if outcome.paid or outcome.processing or (outcome.wants_authentication and not alone):
        return view(session, made)
    if outcome.decline is not None and outcome.charge is not None:
        extra = {"charge": outcome.charge["id"], **_objects(session, made, method)}
        raise outcome.decline.refusal(extra=extra, keep=True)
    code = "authentication_required"
    fail_intent(session, made, method, code, _AUTHENTICATE, {"decline_code": code})
    extra = {"decline_code": code, **_objects(session, made, method)}
    raise ApiError(402, _AUTHENTICATE, code=code, kind="card_error", extra=extra, keep=True)


def _attempted(session: Session, made: Obj, method: Obj, *, alone: bool) -> tuple[Obj, PaymentOutcome]:
    """Charge an intent; one that belongs to an open invoice pays the invoice."""
    invoice = session.store.get("invoice", made.get("_invoice") or "")
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return made, attempt_payment(session, made, method, alone=alone)
    outcome = collect(session, invoice, method)
    return _find(session, made["id"]), outcome


def _objects(session: Session, made: Obj, method: Obj) -> Obj:
    return {"payment_intent": view(session, made), "payment_method": view(session, method)}


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_intents/ID."""
    made = _find(session, identifier)
    fixed = set(params) - {"metadata", "description", "expand"}
    if made["status"] in ("succeeded", "canceled") and fixed:
        name = min(fixed)
        message = (
            f"This PaymentIntent's {name} could not be updated because it has a status of {made['status']}. "
            f"You may only update the {name} of a PaymentIntent with one of the following statuses: "
            f"{', '.join(_CAN_CONFIRM)}."
        )
        raise _unexpected(session, made, message, name)
    if "amount" in params:
        _check_amount(params["amount"], made["currency"])
        made["amount"] = params["amount"]
    _apply(session, made, params)
    session.save(made)
    return view(session, made)


def cancel(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_intents/ID/cancel."""
    made = _find(session, identifier)
    if made["status"] not in _CAN_CANCEL:
        raise _state(session, "cancel", made, _CAN_CANCEL)
    made.update(
        status="canceled",
        canceled_at=session.now,
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    session.save(made)
    session.emit("payment_intent.canceled", view(session, made))
    return view(session, made)


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/payment_intents."""
    check_customer(session, params)
    return page_of(session, "payment_intent", params, "/v1/payment_intents")
