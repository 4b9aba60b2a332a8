"""Payment intents: those of invoices, and those that a request creates."""

from __future__ import annotations

from seatctl.sandbox.billing import payments
from seatctl.sandbox.billing.collection import collect
from seatctl.sandbox.billing.payments import (
    PaymentOutcome,
    attempt_payment,
    cancel_intent,
    fail_intent,
    new_intent,
)
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.lists import check_ids
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.money import amount_text, granularity, least_charge
from seatctl.sandbox.objects import Obj, set_fields, shipping, unset
from seatctl.sandbox.resources.payment_methods import find_or_create, is_test_id
from seatctl.sandbox.session import Session

_CONFIRMABLE = ("requires_payment_method", "requires_confirmation", "requires_action")
_CANCELABLE = ("requires_payment_method", "requires_capture", "requires_confirmation", "requires_action",
               "processing")  # fmt: skip
_USED = (
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
    """POST /v1/payment_intents. If a confirmation in the same call is refused, the intent stays."""
    check_ids(session, params, "customer")
    currency = params["currency"].lower()
    _check_amount(params["amount"], currency)
    payment_intent = new_intent(session, params.get("customer"), params["amount"], currency)
    if not {"payment_method_types", "allowed_payment_method_types"} & set(params):
        payment_intent["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
        payment_intent["payment_method_configuration_details"] = {"id": "pmc_Sandbox", "parent": None}
    _apply(session, payment_intent, params)
    shown = session.save_and_emit(payment_intent, "payment_intent.created")
    return _confirm(session, payment_intent, params) if params.get("confirm") else shown


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


def _apply(session: Session, payment_intent: Obj, params: Obj) -> None:
    names = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "transfer_group")
    set_fields(payment_intent, params, "statement_descriptor_suffix", *names)
    if "shipping" in params:
        payment_intent["shipping"] = shipping(unset(params["shipping"]))
    for name in ("capture_method", "payment_method_types", "allowed_payment_method_types"):
        if params.get(name):
            payment_intent[name] = params[name]
    if (params.get("automatic_payment_methods") or {}).get("enabled"):
        payment_intent["automatic_payment_methods"] = {
            "allow_redirects": "always",
            **params["automatic_payment_methods"],
        }
    update_metadata(payment_intent, params)
    if params.get("payment_method"):
        _set_method(session, payment_intent, params["payment_method"])


def _set_method(session: Session, payment_intent: Obj, identifier: str) -> None:
    is_new = is_test_id(identifier)
    method = find_or_create(session, identifier, "payment_method")
    if method.get("_detached"):
        raise invalid(_USED)
    if not is_new and method["customer"] not in (None, payment_intent["customer"]):
        raise invalid(_OTHER_CUSTOMER if payment_intent["customer"] else _NEEDS_CUSTOMER)
    payment_intent.update(payment_method=method["id"], status="requires_confirmation")


def confirm(session: Session, params: Obj, payment_intent: Obj) -> Obj:
    """POST /v1/payment_intents/ID/confirm."""
    if payment_intent["status"] == "succeeded":
        raise _unexpected(session, payment_intent, _SUCCEEDED)
    if payment_intent["status"] not in _CONFIRMABLE:
        raise _wrong_status(session, "confirm", payment_intent, _CONFIRMABLE)
    _apply(session, payment_intent, params)
    return _confirm(session, payment_intent, params)


def _wrong_status(session: Session, verb: str, payment_intent: Obj, allowed: tuple[str, ...]) -> ApiError:
    message = (
        f"You cannot {verb} this PaymentIntent because it has a status of {payment_intent['status']}. Only a "
        f"PaymentIntent with one of the following statuses may be {verb}ed: {', '.join(allowed)}."
    )
    return _unexpected(session, payment_intent, message)


def _unexpected(session: Session, payment_intent: Obj, message: str, param: str | None = None) -> ApiError:
    extra = {"payment_intent": session.view(payment_intent)}
    return ApiError(400, message, code="payment_intent_unexpected_state", param=param, extra=extra)


def _confirm(session: Session, payment_intent: Obj, params: Obj) -> Obj:
    if payment_intent["payment_method"] is None:
        raise _unexpected(session, payment_intent, _NO_METHOD)
    method = session.find("payment_method", payment_intent["payment_method"], "payment_method")
    unattended = bool(params.get("off_session") or params.get("error_on_requires_action"))
    redirects = (payment_intent["automatic_payment_methods"] or {}).get("allow_redirects") == "always"
    if redirects and not params.get("return_url") and not params.get("off_session"):
        raise invalid(_RETURN_URL)
    payment_intent, outcome = _attempt(session, payment_intent, method, unattended=unattended)
    if outcome.paid or outcome.processing or (outcome.wants_authentication and not unattended):
        return session.view(payment_intent)
    if outcome.decline is not None and outcome.charge is not None:
        extra = {"charge": outcome.charge["id"], **_objects(session, payment_intent, method)}
        raise outcome.decline.refusal(extra=extra, keeps_changes=True)
    code = "authentication_required"
    fail_intent(session, payment_intent, method, code, _AUTHENTICATE, {"decline_code": code})
    extra = {"decline_code": code, **_objects(session, payment_intent, method)}
    raise ApiError(402, _AUTHENTICATE, code=code, kind="card_error", extra=extra, keeps_changes=True)


def _attempt(
    session: Session, payment_intent: Obj, method: Obj, *, unattended: bool
) -> tuple[Obj, PaymentOutcome]:
    """Charge an intent; the intent of an open invoice pays the invoice. Return the intent as written."""
    invoice = session.store.get("invoice", payment_intent.get("_invoice") or "")
    if invoice is None or invoice["status"] not in ("open", "uncollectible"):
        return payment_intent, attempt_payment(session, payment_intent, method, unattended=unattended)
    outcome = collect(session, invoice, method)
    return session.find("payment_intent", payment_intent["id"], None), outcome


def _objects(session: Session, payment_intent: Obj, method: Obj) -> Obj:
    return {"payment_intent": session.view(payment_intent), "payment_method": session.view(method)}


def capture(session: Session, params: Obj, payment_intent: Obj) -> Obj:
    """POST /v1/payment_intents/ID/capture: of a payment that was authorized with `capture_method=manual`."""
    if payment_intent["status"] != "requires_capture":
        message = (
            "This PaymentIntent could not be captured because it has a status of "
            f"{payment_intent['status']}. Only a PaymentIntent with one of the following statuses may be "
            "captured: requires_capture."
        )
        raise _unexpected(session, payment_intent, message)
    amount: int = {"amount_to_capture": payment_intent["amount"], **params}["amount_to_capture"]
    if not 0 < amount <= payment_intent["amount"]:
        message = "The requested capture amount is greater than the amount you can capture for this charge."
        raise invalid(message, "amount_to_capture", code="amount_too_large")
    update_metadata(payment_intent, params)
    return payments.capture(session, payment_intent, amount)


def update(session: Session, params: Obj, payment_intent: Obj) -> Obj:
    """POST /v1/payment_intents/ID."""
    fixed = set(params) - {"metadata", "description", "expand"}
    if payment_intent["status"] in ("succeeded", "canceled") and fixed:
        name = min(fixed)
        message = (
            f"This PaymentIntent's {name} could not be updated because it has a status of "
            f"{payment_intent['status']}. You may only update the {name} of a PaymentIntent with one of the "
            f"following statuses: {', '.join(_CONFIRMABLE)}."
        )
        raise _unexpected(session, payment_intent, message, name)
    if "amount" in params:
        _check_amount(params["amount"], payment_intent["currency"])
        payment_intent["amount"] = params["amount"]
    _apply(session, payment_intent, params)
    session.save(payment_intent)
    return session.view(payment_intent)


def cancel(session: Session, params: Obj, payment_intent: Obj) -> Obj:
    """POST /v1/payment_intents/ID/cancel."""
    if payment_intent["status"] not in _CANCELABLE:
        raise _wrong_status(session, "cancel", payment_intent, _CANCELABLE)
    return cancel_intent(session, payment_intent, params.get("cancellation_reason"))
