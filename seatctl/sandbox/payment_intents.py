"""Payment intents: those of invoices, and ones made directly."""

from __future__ import annotations

from seatctl.sandbox import cards
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.lists import check_customer, listing
from seatctl.sandbox.money import granularity, least_charge
from seatctl.sandbox.payment_methods import materialize
from seatctl.sandbox.payments import attempt, intent
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view
from seatctl.sandbox.wire import Obj, merge_metadata, unset

_CAN_CONFIRM = ("requires_payment_method", "requires_confirmation", "requires_action")
_CAN_CANCEL = (*_CAN_CONFIRM, "requires_capture", "processing")


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/payment_intents; a refusal at once still leaves the intent."""
    customer = params.get("customer")
    if customer:
        session.find("customer", customer, "customer")
    currency = params["currency"].lower()
    _check_amount(params["amount"], currency)
    made = intent(session, customer, params["amount"], currency)
    if not {"payment_method_types", "allowed_payment_method_types"} & set(params):
        made["automatic_payment_methods"] = {"allow_redirects": "always", "enabled": True}
    _apply(session, made, params)
    session.save(made)
    session.emit("payment_intent.created", view(session, made))
    if params.get("confirm"):
        return _confirmed(session, made, params)
    return view(session, made)


def _check_amount(amount: int, currency: str) -> None:
    if amount < 1:
        raise invalid("Invalid positive integer", "amount", code="parameter_invalid_integer")
    if amount < least_charge(currency):
        message = f"Amount must be no less than {least_charge(currency)} {currency} in minor units."
        raise invalid(message, "amount", code="amount_too_small")
    if amount % granularity(currency):
        message = f"Amounts in {currency} must be a multiple of {granularity(currency)}."
        raise invalid(message, "amount")


def _apply(session: Session, made: Obj, params: Obj) -> None:
    for name in ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "shipping"):
        if name in params:
            made[name] = unset(params[name])
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
    known = cards.by_test_id(identifier)
    method = materialize(session, identifier, "payment_method")
    if known is None and method["customer"] != made["customer"]:
        if made["customer"] is None:
            message = (
                "The provided PaymentMethod cannot be used because it belongs to a Customer. Please "
                "include the "
                "Customer in the `customer` parameter on the PaymentIntent."
            )
        elif method["customer"] is None:
            message = ""
        else:
            message = (
                "The provided PaymentMethod does not belong to the Customer you supplied. Please attach this "
                "PaymentMethod to this Customer before using it with a PaymentIntent."
            )
        if message:
            raise invalid(message)
    made.update(payment_method=method["id"], status="requires_confirmation")


def _find(session: Session, identifier: str) -> Obj:
    return session.find("payment_intent", identifier, "intent", status=404)


def confirm(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_intents/ID/confirm."""
    made = _find(session, identifier)
    if made["status"] not in _CAN_CONFIRM:
        raise _state("confirm", made, _CAN_CONFIRM)
    _apply(session, made, params)
    return _confirmed(session, made, params)


def _state(verb: str, made: Obj, allowed: tuple[str, ...]) -> ApiError:
    message = (
        f"You cannot {verb} this PaymentIntent because it has a status of {made['status']}. Only a "
        "PaymentIntent "
        f"with one of the following statuses may be {verb}ed: {', '.join(allowed)}."
    )
    extra = {"payment_intent": {name: value for name, value in made.items() if not name.startswith("_")}}
    return ApiError(400, message, code="payment_intent_unexpected_state", extra=extra)


def _confirmed(session: Session, made: Obj, params: Obj) -> Obj:
    if made["payment_method"] is None:
        message = (
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can "
            "either update "
            "the PaymentIntent with a payment method and then confirm it again, or confirm it again directly "
            "with a payment method or ConfirmationToken."
        )
        raise invalid(message, code="payment_intent_unexpected_state")
    method = session.find("payment_method", made["payment_method"], "payment_method")
    off_session = bool(params.get("off_session"))
    outcome = attempt(session, made, method)
    if outcome.paid or (outcome.wants_authentication and not off_session):
        return view(session, made)
    if outcome.decline is not None and outcome.charge is not None:
        extra = {"charge": outcome.charge["id"], **_objects(session, made, method)}
        raise outcome.decline.refusal(extra=extra, keep=True)
    made.update(status="requires_payment_method", payment_method=None, next_action=None)
    session.save(made)
    message = "Your card was declined. This transaction requires authentication."
    raise ApiError(
        402,
        message,
        code="authentication_required",
        kind="card_error",
        extra={"decline_code": "authentication_required", **_objects(session, made, method)},
        keep=True,
    )


def _objects(session: Session, made: Obj, method: Obj) -> Obj:
    return {"payment_intent": view(session, made), "payment_method": view(session, method)}


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/payment_intents/ID."""
    return view(session, _find(session, identifier))


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/payment_intents/ID."""
    made = _find(session, identifier)
    if made["status"] in ("succeeded", "canceled") and set(params) - {"metadata", "description", "expand"}:
        message = (
            f"This PaymentIntent's {min(params)} could not be updated because it has a status of "
            f"{made['status']}. You may only update the {min(params)} of a PaymentIntent with "
            "one of the "
            f"following statuses: {', '.join(_CAN_CONFIRM)}."
        )
        raise ApiError(400, message, code="payment_intent_unexpected_state", param=min(params))
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
        raise _state("cancel", made, _CAN_CANCEL)
    made.update(
        status="canceled",
        canceled_at=session.now,
        cancellation_reason=params.get("cancellation_reason"),
        next_action=None,
    )
    session.save(made)
    session.emit("payment_intent.canceled", view(session, made))
    return view(session, made)


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/payment_intents."""
    check_customer(session, params)
    return listing(session, "payment_intent", params, "/v1/payment_intents")
