"""The steps that bill by an invoice of our own: seats at full price and renewals (billing.md, "Purchases").

A draft that takes no other pending items and inherits no discount, with one line on it; its total is
compared with the limit before it gets a number. Declined, it is made void and nothing has changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice
from seatctl.billing.port import MissingInStripe, StripeJson, Write
from seatctl.errors import Code, JsonValue, StripeRefused, refuse
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import plain_amount
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION, marks
from seatctl.rules.payment_method_types import cards_only
from seatctl.services.charging.pay_invoice import pay, read
from seatctl.services.charging.processing import require_none
from seatctl.services.operations.steps import NothingLeftInStripe, OperationRun


@dataclass(frozen=True, slots=True)
class OwnInvoice:
    """What is billed; `unit_amount` and `max_spend` in minor units."""

    customer: str
    stripe_subscription: str
    payment_method: str | None
    product: str
    currency: str
    unit_amount: int
    quantity: int
    description: str
    discounts: JsonValue
    """`""` inherits none, which is what an added seat wants."""
    max_spend: int | None
    due_days: int | None
    """On account: days until due. None charges the card at once."""
    covers_from: str = ""
    covers_until: str = ""
    """The term that it pays for (written form, UTC): what a refund counts by."""
    tax_behavior: str | None = None
    automatic_tax: bool = False
    """As the subscription has it, and its price: our invoice is taxed as Stripe's own are."""
    tax_rates: Sequence[str] = ()
    shown: int | None = None
    """What a person or a limit has agreed to, in minor units: no draft may come to more."""


def bill_fields(bill: OwnInvoice) -> dict[str, JsonValue]:
    """A bill as the payload of an operation keeps it."""
    return {**{name: getattr(bill, name) for name in OwnInvoice.__slots__}, "tax_rates": [*bill.tax_rates]}


def read_bill(value: JsonValue) -> OwnInvoice:
    """The inverse of `bill_fields`."""
    fields = value if isinstance(value, dict) else {}
    return OwnInvoice(**fields)  # type: ignore[arg-type]  # written by bill_fields


def collect(running: OperationRun, bill: OwnInvoice) -> str:
    """The id of the invoice once it is paid, or on account once it is sent.

    Raises WaitingForCardholder, and CameToNothing with CardDeclined or `max_spend_exceeded`.
    """
    draft = str(
        running.step_or_nothing("invoice", _draft(running, bill), lambda: _find_draft(running, bill))["id"]
    )

    def drop() -> None:
        _drop(running, draft)

    running.step_or_nothing("invoice-item", _item(bill, draft), lambda: _lines(running, draft), undo=drop)
    _check_total(running, bill, draft)
    running.step_or_nothing(
        "finalize",
        endpoints.finalize_invoice(draft) if bill.due_days is None else endpoints.send_invoice(draft),
        lambda: _unless(running, draft, InvoiceStatus.DRAFT),
        undo=drop,
    )
    if bill.due_days is None:
        pay(running, draft, None, drop)
    return draft


def send_if_draft(running: OperationRun, invoice: str) -> None:
    """Send an invoice on account that Stripe made: left alone it stays a draft for an hour."""

    def sent() -> StripeJson | None:
        return _unless(running, invoice, InvoiceStatus.DRAFT)

    if sent() is None:
        running.step_at_last("send-invoice", endpoints.send_invoice(invoice), sent)


def _draft(running: OperationRun, bill: OwnInvoice) -> Write:
    form: dict[str, JsonValue] = {
        "customer": bill.customer,
        "currency": bill.currency,
        "auto_advance": False,
        "pending_invoice_items_behavior": "exclude",
        "discounts": bill.discounts,
        "collection_method": "charge_automatically" if bill.due_days is None else "send_invoice",
        "description": bill.description,
        "payment_settings": cards_only(),
        "metadata": {
            **marks(running.ledger.id, running.reference, running.operation.request_id),
            SUBSCRIPTION: bill.stripe_subscription,
            COVERS_FROM: bill.covers_from,
            COVERS_UNTIL: bill.covers_until,
        },
    }
    if bill.due_days is not None:
        form["days_until_due"] = bill.due_days
    elif bill.payment_method is not None:
        form["default_payment_method"] = bill.payment_method
    if bill.automatic_tax:
        form["automatic_tax"] = {"enabled": True}
    return endpoints.create_invoice(form)


def _find_draft(running: OperationRun, bill: OwnInvoice) -> StripeJson | None:
    return running.find_in(endpoints.invoices_of_customer(bill.customer))


def _item(bill: OwnInvoice, invoice: str) -> Write:
    return endpoints.create_invoice_item(
        {
            "customer": bill.customer,
            "invoice": invoice,  # without it the line would float to the customer's next invoice
            "price_data": price_data(bill),
            "quantity": bill.quantity,
            "description": bill.description,
            "discountable": bill.discounts != "",
            **taxes(bill),
        }
    )


def taxes(bill: OwnInvoice) -> dict[str, JsonValue]:
    """The tax rates of a line, in Stripe's words; nothing where the subscription has none."""
    return {"tax_rates": [*bill.tax_rates]} if bill.tax_rates else {}


def price_data(bill: OwnInvoice) -> dict[str, JsonValue]:
    """The price of a line, in Stripe's words."""
    price: dict[str, JsonValue] = {
        "currency": bill.currency,
        "product": bill.product,
        "unit_amount": bill.unit_amount,
    }
    return price if bill.tax_behavior is None else {**price, "tax_behavior": bill.tax_behavior}


def _lines(running: OperationRun, invoice: str) -> StripeJson | None:
    found = running.billing.read(endpoints.invoice(invoice))
    return found if read_invoice(found).lines else None


def _unless(running: OperationRun, invoice: str, status: InvoiceStatus) -> StripeJson | None:
    found = running.billing.read(endpoints.invoice(invoice))
    return None if found.get("status") == status else found


def _check_total(running: OperationRun, bill: OwnInvoice, draft: str) -> None:
    """The last look before anything is owed: what Stripe says the draft comes to."""
    limit = bill.shown if bill.max_spend is None else bill.max_spend
    if limit is None or running.was_sent("finalize"):
        return
    try:
        found = read(running, draft)
    except MissingInStripe as gone:  # deleted in the dashboard, or by a run before this one, killed here
        why = "the draft was deleted, or came to more than was agreed; nothing was charged"
        raise NothingLeftInStripe(
            refuse(Code.PRICE_CHANGED, why, hint="run the same command again")
        ) from gone
    if found.amount_due <= limit:
        return
    _drop(running, draft)
    due, most = plain_amount(found.amount_due, bill.currency), plain_amount(limit, bill.currency)
    asks = f"{due} {bill.currency.upper()}"
    if bill.max_spend is None:
        raise NothingLeftInStripe(
            refuse(
                Code.PRICE_CHANGED,
                f"Stripe asks {asks} by now, more than the {most} that it said before; nothing was charged",
                hint=f"see: the same command with --dry-run; to allow it: --max-spend {due}",
                data={"due_now": found.amount_due, "shown": limit},
            )
        )
    raise NothingLeftInStripe(
        refuse(
            Code.MAX_SPEND_EXCEEDED,
            f"this would charge {asks}, more than the {most} of --max-spend",
            hint=f"use --max-spend {due} to allow it",
            data={"due_now": found.amount_due, "max_spend": limit},
        )
    )


def _drop(running: OperationRun, invoice: str) -> bool:
    """Delete a draft, make an open invoice void; true where it was paid in this very moment, and stays.

    Raises PaymentProcessing.
    """
    if _is_gone(running, invoice):
        return False
    status = read(running, invoice).status
    if status is InvoiceStatus.DRAFT:
        running.delete("delete-draft", endpoints.delete_draft(invoice), lambda: _is_gone(running, invoice))
        return False
    if status is InvoiceStatus.OPEN:
        require_none(running.billing, [invoice])
        try:
            running.step_at_last(
                "void", endpoints.void_invoice(invoice), lambda: _unless(running, invoice, InvoiceStatus.OPEN)
            )
        except StripeRefused:
            if read(running, invoice).status is InvoiceStatus.OPEN:
                raise
        status = read(running, invoice).status
    return status is InvoiceStatus.PAID


def _is_gone(running: OperationRun, invoice: str) -> bool:
    try:
        read(running, invoice)
    except MissingInStripe:
        return True
    return False


def give_back(running: OperationRun, invoice: str) -> str:
    """Take a bill back whole because what it paid for cannot be given any more; what became of it.

    Money goes back to the card, and to the customer's balance what came from there.
    """
    if not _drop(running, invoice):
        return "its invoice is void"
    found = read(running, invoice)
    form: dict[str, JsonValue] = {
        "invoice": invoice,
        "amount": found.total,
        "memo": "The subscription ended before this could be given",
        "metadata": marks(running.ledger.id, running.reference, running.operation.request_id),
    }
    by_card = min(found.amount_paid, found.total)
    form |= {"refund_amount": by_card} if by_card else {}
    form |= {"credit_amount": found.total - by_card} if found.total > by_card else {}

    def noted() -> StripeJson | None:
        return running.find_in(endpoints.credit_notes_of(invoice))

    if found.total:
        running.step_at_last("credit-note", endpoints.credit_note(form), noted)
    return f"invoice {found.number} is given back whole"


def undo_invoice(running: OperationRun, bill: OwnInvoice) -> str | None:
    """Take back the invoice of an operation that is too old; None where it is paid and must be finished."""
    found = running.answered("invoice") or _find_draft(running, bill)
    if found is None:
        return "nothing had reached Stripe"
    invoice = str(found["id"])
    if _is_gone(running, invoice):
        return "its draft was deleted"
    status = read(running, invoice).status
    if status is InvoiceStatus.PAID or (bill.due_days is not None and status is InvoiceStatus.OPEN):
        return None
    return None if _drop(running, invoice) else "its invoice is void; nothing was charged"
