"""What would be given back if a subscription ended now: Stripe's preview, spread over what was paid.

Stripe says what is unused of what the subscription itself billed. It knows nothing of our own invoices
(seats at full price, renewals by hand): each gives back the unused share of the term that it paid for.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import read_invoice, read_preview
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import JsonValue, Refused
from seatctl.models.call import parse_time
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import plain_amount, step
from seatctl.models.stripe_objects import StripeInvoice
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.refunds import Paid, Share, spread, unused_lines, unused_share
from seatctl.services.gathering import Gathered


class NothingToGiveBack(Refused):
    """Ending it now gives nothing back: what was used and is not billed yet comes to more."""

    code = "nothing_to_give_back"


class NotRefundable(Refused):
    """Stripe would not give this back on its invoice; nothing was canceled."""

    code = "not_refundable"


@dataclass(frozen=True, slots=True)
class Bills:
    """The invoices of a subscription, newest first, and the lines that wait for its next one."""

    by_stripe: tuple[tuple[StripeInvoice, Paid], ...]
    ours: tuple[tuple[StripeInvoice, Paid], ...]
    owed: int
    """What its open invoices still ask for, in minor units."""
    waiting: tuple[StripeJson, ...]

    @property
    def waiting_amount(self) -> int:
        """What the waiting lines come to, in minor units; negative where they are a credit."""
        amounts = (one.get("amount") for one in self.waiting)
        return sum(amount for amount in amounts if isinstance(amount, int))


def bills_of(billing: Billing, found: Gathered) -> Bills:
    """Every invoice that billed the subscription, read from Stripe now."""
    stripe_id, customer = found.mirror.id, found.mirror.customer_id
    by_stripe: list[tuple[StripeInvoice, Paid]] = []
    ours: list[tuple[StripeInvoice, Paid]] = []
    owed = 0
    for raw in billing.every(endpoints.invoices_of_customer(customer)):
        invoice = read_invoice(raw)
        kind = ours if invoice.metadata.get(SUBSCRIPTION) == stripe_id else by_stripe
        if kind is by_stripe and invoice.subscription_id != stripe_id:
            continue
        if invoice.status in {InvoiceStatus.PAID, InvoiceStatus.OPEN}:
            kind.append((invoice, _paid(invoice, raw)))
        if invoice.status is InvoiceStatus.OPEN:
            owed += invoice.amount_remaining
    lines = billing.every(endpoints.waiting_invoice_items(customer))
    waiting = tuple(line for line in lines if _subscription_of(line) == stripe_id)
    return Bills(tuple(by_stripe), tuple(ours), owed, waiting)


def given_back(billing: Billing, found: Gathered, bills: Bills) -> tuple[Share, ...]:
    """What each invoice gives back, in minor units. Raises NothingToGiveBack, NotRefundable."""
    now, smallest = found.at, step(found.pool.currency)
    running = [pair for pair in bills.by_stripe if any(line.period_end > now for line in pair[0].lines)]
    if found.mirror.status is SubscriptionStatus.TRIALING:
        # A term that was renewed by hand is a trial to Stripe, which gives nothing back of one.
        unused = sum(unused_lines(invoice.lines, paid.in_all, now, smallest) for invoice, paid in running)
    else:
        unused = _previewed(billing, found)
        unused -= unused % smallest
    shares = [*spread(max(0, unused), [paid for _, paid in running])]
    for invoice, paid in bills.ours:
        shares += spread(_unused_of_ours(invoice, paid, now, smallest), [paid])
    if unused < 0 and not shares:
        owed = f"{plain_amount(-unused, found.pool.currency)} {found.pool.currency.upper()}"
        raise NothingToGiveBack(
            f"{found.pool.name}: nothing would be given back; {owed} of used time is not billed yet",
            hint=f"seatctl subs cancel {quote(found.pool.name)} --now bills it and gives nothing back",
            data={"subscription": found.pool.name, "owed": -unused, "currency": found.pool.currency},
        )
    for share in shares:
        _preview_note(billing, found, share)
    return tuple(shares)


def note_form(share: Share) -> dict[str, JsonValue]:
    """A share as the credit note that gives it back."""
    form: dict[str, JsonValue] = {
        "invoice": share.invoice,
        "amount": share.refund + share.credit + share.less,
    }
    if share.refund:
        form["refund_amount"] = share.refund
    if share.credit:
        form["credit_amount"] = share.credit
    return form


def _previewed(billing: Billing, found: Gathered) -> int:
    """Stripe's own word: what is unused, less what waits to be billed."""
    form: dict[str, JsonValue] = {
        "subscription": found.mirror.id,
        "subscription_details": {"cancel_now": True, "proration_behavior": "create_prorations"},
    }
    return -read_preview(billing.read(endpoints.preview_invoice(form))).total


def _preview_note(billing: Billing, found: Gathered, share: Share) -> None:
    """Let Stripe say now what it would say once the subscription is gone."""
    from seatctl.errors import StripeRefused

    try:
        billing.read(endpoints.preview_credit_note(note_form(share)))
    except StripeRefused as refusal:
        raise NotRefundable(
            f"Stripe gives nothing back on invoice {share.number}: {refusal.message}",
            hint=f"seatctl invoices show {share.number}; without --refund it is canceled all the same",
            data={"subscription": found.pool.name, "invoice": share.number},
        ) from refusal


def _paid(invoice: StripeInvoice, raw: StripeJson) -> Paid:
    before, after = raw.get("pre_payment_credit_notes_amount"), raw.get("post_payment_credit_notes_amount")
    noted_before = before if isinstance(before, int) else 0
    noted_after = after if isinstance(after, int) else 0
    by_card = max(0, invoice.amount_paid - noted_after)
    in_all = max(0, invoice.total - noted_before - noted_after)
    owed = min(in_all, invoice.amount_remaining) if invoice.status is InvoiceStatus.OPEN else 0
    if owed:  # what an open one took so far, in part, stays: Stripe's credit notes only lower the rest
        return Paid(invoice.id, invoice.number or invoice.id, 0, in_all, owed)
    return Paid(invoice.id, invoice.number or invoice.id, min(by_card, in_all), in_all)


def _unused_of_ours(invoice: StripeInvoice, paid: Paid, at: datetime, smallest: int) -> int:
    start, end = invoice.metadata.get(COVERS_FROM), invoice.metadata.get(COVERS_UNTIL)
    if not start or not end:
        return 0
    return unused_share(paid.in_all, parse_time(start), parse_time(end), at, smallest)


def _subscription_of(line: StripeJson) -> str | None:
    parent = line.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    found = details.get("subscription") if isinstance(details, dict) else None
    return found if isinstance(found, str) else None
