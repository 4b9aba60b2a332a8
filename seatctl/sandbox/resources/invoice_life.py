"""The life of an invoice: finalize, pay, send, void, mark uncollectible. Wrong states are refused."""

from __future__ import annotations

from seatctl.sandbox.billing.payments import PaymentOutcome
from seatctl.sandbox.billing.settlement import (
    close_payments,
    collect,
    intent_of,
    mark_paid,
    method_for,
    no_method,
    void_invoice,
    write_off,
)
from seatctl.sandbox.billing.settlement import finalize as settle_draft
from seatctl.sandbox.errors import ApiError, invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.resources.invoices import advance_automatically
from seatctl.sandbox.resources.payment_methods import own_method
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

_NOT_OPEN = "You can only pass in open invoices. This invoice isn't open."


def _find(session: Session, identifier: str, param: str = "id") -> Obj:
    """The invoice; the steps of its life name its id `id`, paying and reading it `invoice`."""
    return session.find("invoice", identifier, param, status=404)


def _again(session: Session, identifier: str) -> Obj:
    return view(session, _find(session, identifier))


def finalize(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/finalize."""
    invoice = _find(session, identifier)
    if invoice["status"] != "draft":
        raise invalid("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    if "auto_advance" in params:
        advance_automatically(session, invoice, params["auto_advance"])
    settle_draft(session, invoice)
    return _again(session, identifier)


def pay(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/pay: a draft is finalized first; a refused card answers 402 and is counted."""
    invoice = _find(session, identifier, "invoice")
    if invoice["status"] == "paid":
        raise invalid("Invoice is already paid")
    if invoice["status"] == "void":
        raise invalid("Voided invoices cannot be paid.")
    if invoice["status"] == "draft":
        settle_draft(session, invoice)
        if invoice["status"] == "paid":
            return _again(session, identifier)
    if params.get("paid_out_of_band"):
        close_payments(session, invoice, "canceled")
        invoice["_off_stripe"] = invoice["amount_remaining"]
        mark_paid(session, invoice, amount=invoice["amount_remaining"])
        return _again(session, identifier)
    customer = session.find("customer", invoice["customer"], "customer")
    wanted = params.get("payment_method")
    method = (
        own_method(session, customer, wanted, "payment_method") if wanted else method_for(session, invoice)
    )
    if method is None:
        raise no_method()
    under_way = intent_of(session, invoice["id"])
    if under_way is not None and under_way["status"] == "processing":
        message = "This invoice has a payment that is processing. Wait until it has succeeded or failed."
        raise invalid(message, code="payment_intent_unexpected_state")
    outcome = collect(session, invoice, method)
    if not (outcome.paid or outcome.processing):
        raise _refusal(session, invoice, method, outcome)
    return _again(session, identifier)


def _refusal(session: Session, invoice: Obj, method: Obj, outcome: PaymentOutcome) -> ApiError:
    made = intent_of(session, invoice["id"])
    shown = {"payment_intent": made and view(session, made), "payment_method": view(session, method)}
    if outcome.decline is None or outcome.charge is None:
        message = (
            "This payment requires additional user action before it can be completed successfully. Payment "
            "can be completed using the PaymentIntent associated with the invoice."
        )
        code = "invoice_payment_intent_requires_action"
        return ApiError(402, message, code=code, kind="card_error", doc_url=False, keep=True)
    return outcome.decline.refusal(extra={"charge": outcome.charge["id"], **shown}, keep=True)


def send(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/send: a draft is finalized first. Test mode mails nothing."""
    invoice = _find(session, identifier)
    if invoice["collection_method"] != "send_invoice":
        message = "You can only manually send an invoice if its collection method is 'send_invoice'."
        raise invalid(message)
    if invoice["status"] == "draft":
        settle_draft(session, invoice)
    elif invoice["status"] not in ("open", "paid"):
        raise invalid(_NOT_OPEN)
    session.emit("invoice.sent", _again(session, identifier))
    return _again(session, identifier)


def void(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/void: the amounts stay as they were, used credit goes back."""
    invoice = _find(session, identifier)
    if invoice["status"] not in ("open", "uncollectible"):
        raise invalid(_NOT_OPEN)
    void_invoice(session, invoice)
    return _again(session, identifier)


def mark_uncollectible(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/mark_uncollectible: the amounts stay as they were."""
    invoice = _find(session, identifier)
    if invoice["status"] != "open":
        raise invalid(_NOT_OPEN)
    write_off(session, invoice)
    return view(session, invoice)
