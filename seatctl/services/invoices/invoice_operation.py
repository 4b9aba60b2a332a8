"""`invoices pay`, `send`, `void`: operations on one invoice that Stripe holds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from shlex import quote

from seatctl.billing import endpoints, listings
from seatctl.billing.objects import read_invoice
from seatctl.billing.port import Billing
from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger import invoices, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import invoices as mirrored_invoices
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call, format_time, from_epoch
from seatctl.models.invoice import Invoice, InvoiceStatus
from seatctl.models.money import format_money, plain_amount
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Kind, StripeInvoice
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.payment_methods import Accepted
from seatctl.rules.policies import FLEXIBLE
from seatctl.rules.purchases import check_payment_method, check_spend
from seatctl.rules.typed_json import stored_as
from seatctl.services.charging.pay_invoice import current_invoice, pay_invoice, require_no_payment_processing
from seatctl.services.charging.payer import check_given_method
from seatctl.services.invoices.views import invoice_row
from seatctl.services.operations.handlers import Apply, OperationHandler, OperationResult, register
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun, Payload
from seatctl.services.operations.submit import OperationRequest, Proposal, only_to_finish
from seatctl.services.subscriptions.finish import final_transaction
from seatctl.services.subscriptions.snapshot import read_home_subscription
from seatctl.services.users.permissions import allow

COLUMNS = (
    "number",
    "subscription",
    "status",
    "total",
    "amount_paid",
    "amount_remaining",
    "currency",
    "result",
)

_VERBS = {"pay": "paid", "send": "sent", "void": "voided"}
_POSSIBLE = {
    "pay": {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE},
    "send": {InvoiceStatus.OPEN, InvoiceStatus.DRAFT},
    "void": {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE},
}
_NOT_TWICE = frozenset({"pay", "void"})
"""Refused while a payment is in progress."""
_DONE = {"pay": InvoiceStatus.PAID, "void": InvoiceStatus.VOID}


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceRequest:
    """What the command asked for."""

    payment_method: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePayload(Payload):
    """An action on one invoice."""

    request: InvoiceRequest = field(metadata=stored_as("asked"))
    invoice: str
    """Its Stripe id."""
    subscription: int | None = None
    """The subscription that it belongs to in the ledger, None if it belongs to none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoicePayPayload(InvoicePayload):
    """The payment of an invoice."""

    kind = "invoice_pay"
    draft: bool = False
    """Whether it must be finalized first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceSendPayload(InvoicePayload):
    """An invoice that is sent again."""

    kind = "invoice_send"


@dataclass(frozen=True, slots=True, kw_only=True)
class InvoiceVoidPayload(InvoicePayload):
    """An invoice that becomes void."""

    kind = "invoice_void"


_PAYLOADS: dict[str, type[InvoicePayload]] = {
    "pay": InvoicePayPayload,
    "send": InvoiceSendPayload,
    "void": InvoiceVoidPayload,
}


def prepare(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    verb: str,
    handle: str,
    *,
    payment_method: str | None = None,
    max_spend: str | None = None,
) -> Proposal:
    """Read the invoice from Stripe and check what is to be done with it.

    Raises UnknownInvoice, `invoice_state`, ForeignLedger, …
    """
    if payment_method is not None:
        check_payment_method(payment_method)
    with ledger.reading() as reader:
        invoice = invoices.find(reader, handle)
        subscription_id = invoices.subscription_of(reader, invoice.id)
        subscription = (
            None if subscription_id is None else subscriptions.by_id(reader, subscription_id, call.now)
        )
        allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, subscription)
        row = invoice_row(reader, invoice, call.now)
    mirror = None if subscription is None else read_home_subscription(ledger, billing, subscription)
    now = read_invoice(billing.read(listings.one(Kind.INVOICE, invoice.stripe_id)))
    name, due = now.number or now.id, now.amount_remaining if verb == "pay" else 0
    address = now.details.get(
        "billed_to"
    )  # all that can be said: Stripe does not confirm that a mail was sent
    summary = f"{_VERBS[verb]} {name}" + (f" to {address}" if verb == "send" and address else "")
    requested: dict[str, JsonValue] = {
        "verb": verb,
        "invoice": invoice.stripe_id,
        "payment_method": payment_method,
    }
    payload = _PAYLOADS[verb](
        request=InvoiceRequest(payment_method=payment_method),
        invoice=invoice.stripe_id,
        subscription=subscription_id,
        summary=summary,
        due_now=due,
    )
    if isinstance(payload, InvoicePayPayload):
        payload = replace(payload, draft=now.status is InvoiceStatus.DRAFT)
    request = OperationRequest(
        payload.kind,
        requested,
        payload,
        subscription_id=subscription_id,
        reserved_name=None if subscription_id is not None else f"invoice:{invoice.stripe_id}",
    )
    if now.status is _DONE.get(verb):
        summary = f"{name} is already {now.status}"
        return Proposal(only_to_finish(ledger, request), row, summary, columns=COLUMNS[:-1], unchanged=True)
    policy = FLEXIBLE if subscription is None else subscription.policy or FLEXIBLE
    check_given_method(billing, payment_method, Accepted(policy.payment_methods, now.currency))
    is_unpaid = mirror is not None and mirror.status is SubscriptionStatus.UNPAID
    _require_possible(verb, invoice, now, is_unpaid=is_unpaid)
    if verb in _NOT_TWICE:
        require_no_payment_processing(billing, [now.id])
    check_spend(due, now.currency, max_spend)
    questions = {
        "pay": f"Charge {format_money(due, now.currency)} for {name} now?",
        "send": f"Send {name} to {address}?",
        "void": f"Void {name}?",
    }
    return Proposal(
        request,
        row,
        summary,
        questions[verb],
        due=due,
        currency=now.currency,
        limited=verb == "pay",
        columns=COLUMNS,
    )


def _require_possible(verb: str, invoice: Invoice, now: StripeInvoice, *, is_unpaid: bool) -> None:
    name, show = now.number or now.id, hints.command("invoices", "show", now.number or now.id)
    data: dict[str, JsonValue] = {"invoice": invoice.stripe_id, "status": now.status.value}
    if verb == "pay" and now.status is InvoiceStatus.DRAFT:
        if is_unpaid or now.details.get("held"):
            return  # Stripe does not finalize the invoices of an unpaid subscription
        collects = now.details.get("next_payment_attempt")
        when = f" on {format_time(from_epoch(collects))}" if isinstance(collects, int) else ""
        raise refuse(
            Code.INVOICE_STATE,
            f"{name} is a draft; Stripe finalizes and collects it by itself{when}",
            hint="afterwards: seatctl sync",
            data=data,
        )
    if verb == "send" and now.details.get("collection_method") == "charge_automatically":
        raise refuse(
            Code.INVOICE_STATE,
            f"{name} is charged to a card; Stripe mails only invoices on account",
            hint=show if now.hosted_url is None else hints.to("its page, to pass on", f"{show} --web"),
            data=data,
        )
    if now.status in _POSSIBLE[verb]:
        return
    problem = f"{name} is {now.status}; it cannot be {_VERBS[verb]}"
    raise refuse(Code.INVOICE_STATE, problem, hint=show, data=data)


def _finish(running: OperationRun[InvoicePayload]) -> Apply:
    """Return the final transaction: it stores the invoice."""
    invoice, summary = running.payload.invoice, running.payload.summary
    if running.payload.subscription is None:
        return _without_subscription(current_invoice(running, invoice), summary)
    store = final_transaction(running, running.payload.subscription, [invoice])

    def apply(tx: Transaction) -> OperationResult:
        store(tx)
        return _result(tx, invoice, summary)

    return apply


def _pay(running: OperationRun[InvoicePayPayload]) -> Apply:
    payload = running.payload
    if payload.draft:
        _finalize(running)
    try:
        # After a refusal the invoice is still open: there is nothing to undo.
        pay_invoice(running, payload.invoice, payload.request.payment_method, lambda: None)
    except NothingLeftInStripe as refused:
        number = current_invoice(running, payload.invoice).number or payload.invoice
        if payload.draft:
            refused.error.message += f"; the draft has become the open invoice {number}"
        if refused.error.data.get("stripe_param") == "customer":  # deleted in Stripe: nobody can pay it
            refused.error.hint = f"to give it up: seatctl invoices void {quote(number)}"
        raise
    return _finish(running)


def _send(running: OperationRun[InvoiceSendPayload]) -> Apply:
    # Nothing in Stripe tells that the mail was sent, so after a lost answer it may be sent twice.
    running.step_or_fail("send", endpoints.send_invoice(running.payload.invoice), lambda: None)
    return _finish(running)


def _void(running: OperationRun[InvoiceVoidPayload]) -> Apply:
    invoice = running.payload.invoice
    require_no_payment_processing(running.billing, [invoice])
    voided = running.when(endpoints.invoice(invoice), lambda raw: raw.get("status") == InvoiceStatus.VOID)
    running.step_or_fail("void", endpoints.void_invoice(invoice), voided)
    return _finish(running)


def _finalize(running: OperationRun[InvoicePayPayload]) -> None:
    """Finalize a draft if it comes to no more than was shown: tax and the balance are settled here.

    `auto_advance` keeps Stripe from collecting it meanwhile. Raises NothingLeftInStripe if it comes to more.
    """

    invoice, shown = running.payload.invoice, running.payload.due_now
    finalized = running.when(endpoints.invoice(invoice), lambda raw: raw.get("status") != InvoiceStatus.DRAFT)
    running.step_or_fail("finalize", endpoints.finalize_invoice(invoice), finalized)
    now = current_invoice(running, invoice)
    if now.status is InvoiceStatus.OPEN and now.amount_remaining > shown:
        amounts = (plain_amount(amount, now.currency) for amount in (shown, now.amount_remaining))
        code = now.currency.upper()
        raise NothingLeftInStripe(
            refuse(
                Code.PRICE_CHANGED,
                f"invoice {now.number} was shown as {next(amounts)} and is {next(amounts)} {code};"
                " nothing was charged",
                hint=f"seatctl invoices pay {now.number}",
                data={"invoice": now.number, "due": now.amount_remaining},
            )
        )


def _without_subscription(invoice: StripeInvoice, summary: str) -> Apply:
    """Return the final transaction for an invoice that belongs to no subscription of the ledger."""

    def apply(tx: Transaction) -> OperationResult:
        tx.record("invoice", mirrored_invoices.store(tx, invoice), None, {"status": invoice.status.value})
        return _result(tx, invoice.id, summary)

    return apply


def _result(tx: Transaction, invoice: str, summary: str) -> OperationResult:
    row = {**invoice_row(tx, invoices.find(tx, invoice), tx.call.now), "result": "done"}
    return OperationResult(summary, (row,), COLUMNS)


def _undo_payment(running: OperationRun[InvoicePayPayload]) -> str | None:
    """Nobody is charged a day late; return None if the invoice is paid, so that it is finished."""
    invoice = current_invoice(running, running.payload.invoice)
    if invoice.status is InvoiceStatus.PAID:
        return None
    require_no_payment_processing(running.billing, [invoice.id])
    return f"nothing was charged; invoice {invoice.number or invoice.id} is {invoice.status.value}"


def _abandon_sending(running: OperationRun[InvoiceSendPayload]) -> str | None:
    return None if running.was_sent("send") else "the invoice is unchanged"


def _abandon_voiding(running: OperationRun[InvoiceVoidPayload]) -> str | None:
    status = current_invoice(running, running.payload.invoice).status
    return None if status is InvoiceStatus.VOID else "the invoice is unchanged"


register(OperationHandler(InvoicePayPayload, _pay, _undo_payment, action=Action.MANAGE_SUBSCRIPTION))
register(
    OperationHandler(InvoiceSendPayload, _send, abandon=_abandon_sending, action=Action.MANAGE_SUBSCRIPTION)
)
register(
    OperationHandler(InvoiceVoidPayload, _void, abandon=_abandon_voiding, action=Action.MANAGE_SUBSCRIPTION)
)
