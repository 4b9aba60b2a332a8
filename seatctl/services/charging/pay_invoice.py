"""The one way in which an operation charges an open invoice: declined, authentication wanted, paid.

An invoice of our own (`own_invoices`), the unpaid one of a new card (`billing_details`), the one that
`invoices pay` names (`invoice_actions`): they differ in what is taken back after a refusal.
"""

from __future__ import annotations

from collections.abc import Callable

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice
from seatctl.billing.port import AuthenticationRequired, CardDeclined, RateLimited, StripeJson
from seatctl.errors import JsonValue, NotAllowed, StripeRefused
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.stripe_objects import StripeInvoice
from seatctl.rules import hints
from seatctl.services.charging.processing import require_no_payment_processing
from seatctl.services.operations.steps import KEYS_LAST, NothingLeftInStripe, OperationRun
from seatctl.services.operations.submit import WaitingForCardholder


def pay_invoice(running: OperationRun, invoice: str, card: str | None, take_back: Callable[[], None]) -> None:
    """Return once the invoice is paid, by `card` or, without one, by the one that it would be charged to.

    Raises PaymentProcessing while a bank has the payment under way, and WaitingForCardholder for 23 hours.
    What is refused, or not authenticated in time, ends the operation with CameToNothing, after `take_back`
    has undone what was done before; unless it turns out to have been paid in that very moment.
    """
    form: dict[str, JsonValue] = {"off_session": True, **({} if card is None else {"payment_method": card})}

    def paid() -> StripeJson | None:
        # Nothing but paid is an answer: one that was made void meanwhile must not count as settled.
        raw = running.billing.read(endpoints.invoice(invoice))
        return raw if raw.get("status") == InvoiceStatus.PAID else None

    try:
        running.step("pay", endpoints.pay_invoice(invoice, form), paid)
    except AuthenticationRequired:
        _require_payment(running, invoice, take_back, "the bank wants the cardholder to authenticate")
    except (StripeRefused, NotAllowed, RateLimited) as refusal:
        if isinstance(refusal, RateLimited) and not running.was_refused("pay"):
            raise  # an earlier call, whose answer was lost, may have charged
        if paid() is None:
            require_no_payment_processing(running.billing, [invoice])
            take_back()
            if paid() is None:
                raise NothingLeftInStripe(refusal) from refusal
    else:  # a bank debit is taken on, and leaves the invoice open for days
        _require_payment(running, invoice, take_back, "Stripe still waits for the money")


def current_invoice(running: OperationRun, invoice: str) -> StripeInvoice:
    """The invoice as Stripe has it now."""
    return read_invoice(running.billing.read(endpoints.invoice(invoice)))


def _require_payment(running: OperationRun, invoice: str, take_back: Callable[[], None], reason: str) -> None:
    """Return once the invoice is paid, on its page or by the bank: waited for as long as keys are kept."""
    current = current_invoice(running, invoice)
    if current.status is InvoiceStatus.PAID:
        return
    require_no_payment_processing(running.billing, [invoice])
    if current.status is InvoiceStatus.OPEN and running.call.now - running.operation.created_at < KEYS_LAST:
        raise WaitingForCardholder(
            f"{reason}: {current.hosted_url}",
            hint=hints.page(current.hosted_url),
            data={"url": current.hosted_url, "run": running.operation.run},
        )
    take_back()
    if current_invoice(running, invoice).status is InvoiceStatus.PAID:
        return
    raise NothingLeftInStripe(
        CardDeclined("the payment was not authenticated in time; nothing was charged or changed")
    )
