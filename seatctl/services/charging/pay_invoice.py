"""How operations charge an open invoice: it is paid, declined, waits for authentication, or takes days.

Used for an invoice of our own (`own_invoice.py`), for the unpaid invoice of a new card
(`services/subscriptions/billing_operation.py`), and for `invoices pay`
(`services/invoices/invoice_operation.py`). They differ in what is undone after a refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from seatctl.billing import endpoints
from seatctl.billing.objects import open_intents, read_invoice, read_payment
from seatctl.billing.port import (
    AuthenticationRequired,
    Billing,
    CardDeclined,
    KeyLacksPermission,
    MissingInStripe,
    RateLimited,
    StripeJson,
)
from seatctl.errors import Code, JsonValue, NotAllowed, StripeRefused
from seatctl.models.call import format_time
from seatctl.models.invoice import PROCESSING_UNTIL, InvoiceStatus
from seatctl.models.stripe_objects import StripeInvoice, StripePayment
from seatctl.rules import hints
from seatctl.rules.payment_methods import expected_end, processing_until
from seatctl.services.operations.steps import (
    Find,
    NothingLeftInStripe,
    OperationRun,
    Payload,
    WaitingForCardholder,
)

PAYABLE = frozenset((InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE))
"""The states in which an invoice can still be paid: one that is written off, too, until it is void."""


class PaymentProcessing(WaitingForCardholder):
    """A bank is processing a payment of the invoice. Nobody has to do anything."""

    kind = Code.PAYMENT_PROCESSING


def processing_payment(billing: Billing, invoice: StripeJson) -> StripePayment | None:
    """Return the payment of an invoice that a bank is processing, None if there is none.

    It may take two weeks. Until then the invoice must not be voided, canceled or charged again.
    """
    if read_invoice(invoice).status not in PAYABLE:
        return None
    payments = (payment for payment in payments_of(billing, invoice) if payment.status == "processing")
    return next(payments, None)


def read_with_payment(billing: Billing, raw: StripeJson) -> StripeInvoice:
    """Read an invoice (with its `payments`), and until about when a bank is processing its payment."""
    invoice, payment = read_invoice(raw), None
    if raw.get("attempted") is True:
        # A key without this permission, and a payment that is gone, must not stop a sync.
        with suppress(KeyLacksPermission, MissingInStripe):
            payment = processing_payment(billing, raw)
    if payment is None:
        return invoice
    until = format_time(expected_end(payment.type, payment.since))
    return replace(invoice, details={**invoice.details, PROCESSING_UNTIL: until})


def payments_of(billing: Billing, invoice: StripeJson) -> Iterator[StripePayment]:
    """Yield the payments that may still pay an invoice, as Stripe has them now."""
    for intent in open_intents(invoice):
        yield read_payment(billing.read(endpoints.payment_intent(intent)))


def is_payment_processing(billing: Billing, invoice: str) -> bool:
    """Whether a bank is processing a payment of this invoice."""
    return processing_payment(billing, billing.read(endpoints.invoice(invoice))) is not None


def require_no_payment_processing(billing: Billing, invoices: Iterable[str | None]) -> None:
    """Return if no payment of these invoices is in progress. Raises PaymentProcessing."""
    for invoice in invoices:
        raw = None if invoice is None else billing.read(endpoints.invoice(invoice))
        payment = None if raw is None else processing_payment(billing, raw)
        if raw is not None and payment is not None:
            number, until = read_invoice(raw).number or invoice, expected_end(payment.type, payment.since)
            raise PaymentProcessing(
                f"the payment of invoice {number} is {processing_until(until, billing.clock() or until)}:"
                " a bank takes days; until then the invoice cannot be voided, canceled or charged again",
                hint=hints.to("once the bank has decided", hints.command("sync")),
                data={"invoice": number, "processing_until": format_time(until)},
            )


def payment_problem(billing: Billing, invoice: str) -> str | None:
    """Return why the last payment of an open invoice failed, None if none has failed."""
    payments = payments_of(billing, billing.read(endpoints.invoice(invoice)))
    return next((payment.problem for payment in payments if payment.has_failed), None)


def payment_failed(problem: str | None, *, hint: str | None = None) -> CardDeclined:
    """Return the error of a payment that failed after days, or was not authenticated in time."""
    why = "the payment was not authenticated in time" if problem is None else f"the payment failed: {problem}"
    return CardDeclined(f"{why.removesuffix('.')}; nothing was charged or changed", hint=hint)


def pay_invoice(
    running: OperationRun[Payload], invoice: str, card: str | None, take_back: Callable[[], None]
) -> None:
    """Return once the invoice is paid, by `card` or else by the payment method that Stripe would charge.

    Raises PaymentProcessing while a bank works on the payment, and WaitingForCardholder for 23 hours. If the
    charge is refused, fails days later or is not authenticated in time, `take_back` undoes what was done
    before, and the operation ends with NothingLeftInStripe, unless the invoice was paid meanwhile.
    """
    form: dict[str, JsonValue] = {"off_session": True, **({} if card is None else {"payment_method": card})}

    # Only a paid invoice is an answer: one that was voided meanwhile must not count as paid.
    paid = running.when(endpoints.invoice(invoice), lambda raw: raw.get("status") == InvoiceStatus.PAID)

    def charged() -> StripeJson | None:
        """A payment that a bank is processing was made by this step: it must not be made again."""
        raw = running.billing.read(endpoints.invoice(invoice))
        return raw if paid() is not None or processing_payment(running.billing, raw) is not None else None

    try:
        running.step("pay", endpoints.pay_invoice(invoice, form), charged)
    except AuthenticationRequired:
        _require_payment(running, invoice, take_back, "the bank wants the cardholder to authenticate")
    except (StripeRefused, NotAllowed, RateLimited) as refusal:
        if isinstance(refusal, RateLimited) and not running.was_refused("pay"):
            raise  # an earlier call may have charged: its answer was lost
        if paid() is None:
            require_no_payment_processing(running.billing, [invoice])
            take_back()
            if paid() is None:
                raise NothingLeftInStripe(refusal) from refusal
    else:  # Stripe accepts a bank debit, and the invoice stays open for days
        _require_payment(running, invoice, take_back, "Stripe still waits for the money", accepted=True)


def current_invoice(running: OperationRun[Payload], invoice: str) -> StripeInvoice:
    """Return the invoice as Stripe has it now."""
    return read_invoice(running.billing.read(endpoints.invoice(invoice)))


def unless(running: OperationRun[Payload], invoice: str, status: InvoiceStatus) -> Find:
    """A `Find` of an invoice that no longer has a status."""
    return running.when(endpoints.invoice(invoice), lambda raw: read_invoice(raw).status is not status)


def send_if_draft(running: OperationRun[Payload], invoice: str) -> None:
    """Send an invoice on account made by Stripe, which otherwise stays a draft for an hour."""
    sent = unless(running, invoice, InvoiceStatus.DRAFT)
    if sent() is None:
        running.step_must_succeed("send-invoice", endpoints.send_invoice(invoice), sent)


def void_if_payable(running: OperationRun[Payload], invoice: str, step: str = "void") -> None:
    """Void an invoice that can still be paid, in a step that must succeed; one paid meanwhile stays."""
    settled = running.when(endpoints.invoice(invoice), lambda raw: read_invoice(raw).status not in PAYABLE)
    if settled() is None:
        running.step_must_succeed(step, endpoints.void_invoice(invoice), settled)


def _require_payment(
    running: OperationRun[Payload],
    invoice: str,
    take_back: Callable[[], None],
    reason: str,
    *,
    accepted: bool = False,
) -> None:
    """Return once the invoice is paid, on its page or by the bank; waits as long as keys last.

    If Stripe had `accepted` the payment, nobody is on a page: once it has failed, nothing is waited for.
    """
    current = current_invoice(running, invoice)
    if current.status is InvoiceStatus.PAID:
        return
    require_no_payment_processing(running.billing, [invoice])
    problem = payment_problem(running.billing, invoice) if current.status in PAYABLE else None
    if current.status is InvoiceStatus.OPEN and not (accepted and problem):
        running.wait_for_cardholder(reason, current.hosted_url)
    take_back()
    if current_invoice(running, invoice).status is InvoiceStatus.PAID:
        return
    raise NothingLeftInStripe(payment_failed(problem))
