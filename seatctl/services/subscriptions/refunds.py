"""What a subscription would give back if it ended now: Stripe's preview, spread over the paid invoices.

Stripe previews what is unused of the invoices it made itself. It does not know what our own invoices (seats
at full price, renewals by hand) pay for: each gives back the unused share of its term.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.objects import amount_of, named_id, read_invoice, read_preview
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import Code, JsonValue, SeatctlError, StripeRefused, refuse
from seatctl.models.call import parse_time
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import format_money, step
from seatctl.models.stripe_objects import Preview, StripeInvoice
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules import hints
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.refunds import (
    CreditShare,
    PaidInvoice,
    allocate,
    debt_created,
    total,
    unused_lines,
    unused_share,
)
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

_BALANCES = ("starting", "ending")
"""Stripe's words for the customer's balance before and after an invoice."""


@dataclass(slots=True)
class SubscriptionInvoices:
    """The invoices of a subscription, newest first, and the lines that wait for its next one."""

    waiting: list[StripeJson]
    by_stripe: list[tuple[StripeInvoice, PaidInvoice]] = field(default_factory=list)
    own: list[tuple[StripeInvoice, PaidInvoice]] = field(default_factory=list)
    open: list[StripeInvoice] = field(default_factory=list)
    written_off: list[StripeInvoice] = field(default_factory=list)
    """Uncollectible ones: a bank may still be paying them."""
    drafts: list[StripeInvoice] = field(default_factory=list)
    """Invoices of the running period not charged yet: a renewal's is a draft for about an hour."""
    unpaid: list[str] = field(default_factory=list)
    """Why the other invoices are neither paid nor open: void, written off, or still a draft."""
    given: int = 0
    """What its paid invoices have already given back, in minor units."""


def read_invoices(snapshot: SubscriptionSnapshot) -> SubscriptionInvoices:
    """Read every invoice that billed the subscription from Stripe."""
    stripe_id, customer, now = snapshot.mirror.id, snapshot.mirror.customer_id, snapshot.stripe_time
    billing = snapshot.billing
    lines = billing.every(endpoints.pending_invoice_items(customer))
    result = SubscriptionInvoices([line for line in lines if _subscription_of(line) == stripe_id])
    debt: int | None = None
    for raw in billing.every(endpoints.invoices_with_payments(customer)):
        invoice = read_invoice(raw)
        is_own = invoice.metadata.get(SUBSCRIPTION) == stripe_id
        if not is_own and invoice.subscription_id != stripe_id:
            continue
        is_running = not is_own and _covers_future(invoice, now)
        if invoice.status in {InvoiceStatus.PAID, InvoiceStatus.OPEN}:
            paid, credited = _paid(invoice, raw)
            created = debt_created(
                invoice.total, *(amount_of(raw, f"{which}_balance") for which in _BALANCES)
            )
            if created and invoice.status is InvoiceStatus.PAID:
                if debt is None:  # what the customer owes on its balance
                    debt = max(0, amount_of(billing.read(endpoints.customer(customer)), "balance"))
                paid = replace(paid, balance_debt=min(debt, created, paid.refundable - paid.by_card))
                debt -= paid.balance_debt
            (result.own if is_own else result.by_stripe).append((invoice, paid))
            result.given += credited if is_running else 0
        elif is_running and invoice.total > 0:
            result.unpaid.append(_why_unpaid(invoice))
            result.drafts += [invoice] if invoice.status is InvoiceStatus.DRAFT else []
        result.open += [invoice] if invoice.status is InvoiceStatus.OPEN else []
        result.written_off += [invoice] if invoice.status is InvoiceStatus.UNCOLLECTIBLE else []
    return result


def credit_shares(snapshot: SubscriptionSnapshot, invoices: SubscriptionInvoices) -> tuple[CreditShare, ...]:
    """Return what each invoice gives back, in minor units.

    Raises `nothing_to_give_back`, `refund_falls_short`, `not_refundable`.
    """
    now, smallest = snapshot.stripe_time, step(snapshot.currency)
    running = [pair for pair in invoices.by_stripe if _covers_future(pair[0], now)]
    if snapshot.mirror.status is SubscriptionStatus.TRIALING:
        # To Stripe, a term renewed by hand is a trial, of which it gives nothing back. A trial begun in the
        # dashboard has put the unused amount on the balance, by an invoice below 0.
        amounts = ((invoice.lines, min(invoice.total, 0) or paid.refundable) for invoice, paid in running)
        unused = max(0, sum(unused_lines(lines, amount, now, smallest) for lines, amount in amounts))
    else:
        unused = -_final_invoice(snapshot, "create_prorations").total
        unused -= unused % smallest
    refundable = [_refundable(snapshot.billing, invoice, paid) for invoice, paid in running]
    shares = [*allocate(max(0, unused), [part.paid for part in refundable])]
    back = total(shares) + sum(part.returned for part in refundable)
    disputed = [part.disputed for part in refundable if part.disputed]
    _require_full_refund(snapshot, invoices, unused, back, disputed)
    for invoice, paid in invoices.own:
        own_unused = _unused_of_own_invoice(invoice, paid, now, smallest)
        if own_unused:
            own_part = _refundable(snapshot.billing, invoice, paid)
            if own_part.disputed:
                raise _refund_falls_short(snapshot, own_unused, 0, [own_part.disputed])
            shares += allocate(own_unused, [own_part.paid])
    if unused < 0 and not shares:
        name, currency = snapshot.name, snapshot.currency
        owed = format_money(-unused, currency)
        raise refuse(
            Code.NOTHING_TO_GIVE_BACK,
            f"{name}: nothing would be given back; {owed} of used time is not billed yet",
            hint=f"to bill it and give nothing back: seatctl subs cancel {quote(name)} --now",
            data={"subscription": name, "owed": -unused, "currency": currency},
        )
    return tuple(replace(share, tax=_tax_of_credit_note(snapshot, share)) for share in shares)


def _require_full_refund(
    snapshot: SubscriptionSnapshot,
    invoices: SubscriptionInvoices,
    unused: int,
    back: int,
    disputed: list[str],
) -> None:
    """Raise `refund_falls_short` unless everything that Stripe says is unused is given back."""
    # Stripe rounds each line, a charge down and its credit up, so a unit of each line may be missing; and of
    # its tax.
    running = (invoice for invoice, _ in invoices.by_stripe if _covers_future(invoice, snapshot.stripe_time))
    rounded = sum(len(invoice.lines) * (2 if invoice.tax else 1) for invoice in running)
    rounding = rounded * step(snapshot.currency)
    # Stripe counts the time of a draft as unused, and then charges the draft all the same.
    if back + invoices.given >= unused - rounding and not (invoices.drafts and unused > rounding):
        return
    raise _refund_falls_short(snapshot, unused, back, [*disputed, *invoices.unpaid])


def _refund_falls_short(
    snapshot: SubscriptionSnapshot, unused: int, back: int, reasons: list[str]
) -> SeatctlError:
    name, currency = quote(snapshot.name), snapshot.currency

    def money(amount: int) -> str:
        return format_money(amount, currency)

    why = " and ".join(reasons) or "the invoices of the running term charged less"
    return refuse(
        Code.REFUND_FALLS_SHORT,
        f"{snapshot.name}: {money(unused)} is unused, but only {money(back)} of it can be given"
        f" back: {why}; nothing was canceled",
        hint=f"to end it and give nothing back: seatctl subs cancel {name} --now;"
        f" to end it with its term: seatctl subs cancel {name}",
        data={
            "subscription": snapshot.name,
            "unused": unused,
            "given_back": back,
            "currency": currency,
            "unpaid": [*reasons],
        },
    )


def _why_unpaid(invoice: StripeInvoice) -> str:
    name = invoice.number or invoice.id
    if invoice.status is InvoiceStatus.DRAFT:
        return f"invoice {name} is a draft; Stripe charges a renewal after about an hour"
    return f"invoice {name} is {invoice.status} and will not be paid"


@dataclass(frozen=True, slots=True)
class _Refundable:
    """What can still be given back of an invoice."""

    paid: PaidInvoice
    returned: int = 0
    """Returned without credit notes, in minor units: refunds in the dashboard, lost disputes."""
    disputed: str = ""
    """Why nothing can go back to the card while a dispute is open."""


def _refundable(billing: Billing, invoice: StripeInvoice, paid: PaidInvoice) -> _Refundable:
    """Return what can be given back after refunds in the dashboard and disputes of its payments."""
    if not paid.by_card:
        return _Refundable(paid)
    payments = _objects(invoice.details.get("payments"))
    intents = [
        str(payment.get("reference")) for payment in payments if payment.get("type") == "payment_intent"
    ]
    by_hand = _refunded_by_hand(billing, invoice, intents)
    all_disputes = (billing.every(endpoints.disputes_of_payment(intent)) for intent in intents)
    disputes = [dispute for listed in all_disputes for dispute in listed if _is_with_bank(dispute)]
    lost = sum(amount_of(dispute, "amount") for dispute in disputes if dispute.get("status") == "lost")
    # Stripe does not refund a payment that a bank has taken back; the bank pays the cardholder.
    not_refundable = paid.by_card if disputes else min(paid.by_card, by_hand)
    name, is_open = invoice.number or invoice.id, any(dispute.get("status") != "lost" for dispute in disputes)
    why = f"the payment of invoice {name} is disputed, and its bank has taken it back" if is_open else ""
    refundable = max(0, paid.refundable - max(not_refundable, by_hand))
    by_card = min(refundable, paid.by_card - not_refundable)
    return _Refundable(replace(paid, refundable=refundable, by_card=by_card), by_hand + lost, why)


def _is_with_bank(dispute: StripeJson) -> bool:
    """Whether the cardholder's bank holds the payment: the dispute is not an inquiry and was not won."""
    status = str(dispute.get("status"))
    return status in {"needs_response", "under_review", "lost"} and not dispute.get("is_charge_refundable")


def _refunded_by_hand(billing: Billing, invoice: StripeInvoice, intents: list[str]) -> int:
    """Return what was refunded of these payments without a credit note, in minor units."""
    refunds = [refund for intent in intents for refund in billing.every(endpoints.refunds_of_payment(intent))]
    if not refunds:
        return 0
    in_credit_notes = {
        line.get("refund")
        for note in billing.every(endpoints.credit_notes_of(invoice.id))
        for line in _objects(note.get("refunds"))
    }
    return sum(
        amount_of(refund, "amount")
        for refund in refunds
        if refund.get("id") not in in_credit_notes and refund.get("status") not in {"failed", "canceled"}
    )


def _objects(value: JsonValue | None) -> list[StripeJson]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _covers_future(invoice: StripeInvoice, now: datetime) -> bool:
    """Whether the invoice billed time that is still to come."""
    return any(line.period_end > now for line in invoice.lines)


def credit_note_form(share: CreditShare) -> dict[str, JsonValue]:
    """Return the credit note that gives a share back, in Stripe's words."""
    form: dict[str, JsonValue] = {
        "invoice": share.invoice,
        "amount": share.refund + share.credit + share.less,
    }
    if share.refund:
        form["refund_amount"] = share.refund
    if share.credit:
        form["credit_amount"] = share.credit
    return form


def final_invoice_total(snapshot: SubscriptionSnapshot) -> int:
    """Return the final invoice if it ends now without a refund, in minor units: the waiting items."""
    return max(0, _final_invoice(snapshot, "none").amount_due)


def _final_invoice(snapshot: SubscriptionSnapshot, behavior: str) -> Preview:
    """Return the last invoice; with prorations it gives back what is unused, less what waits to be billed."""
    return read_preview(snapshot.preview({"cancel_now": True, "proration_behavior": behavior}))


def _tax_of_credit_note(snapshot: SubscriptionSnapshot, share: CreditShare) -> int | None:
    """Return the tax that a credit note gives back, in minor units; None if its invoice has no tax.

    Stripe is to refuse the credit note now rather than after the subscription has ended.
    """
    try:
        note = snapshot.billing.read(endpoints.preview_credit_note(credit_note_form(share)))
        taxes = _objects(note.get("total_taxes"))
        return sum(amount_of(tax, "amount") for tax in taxes) if taxes else None
    except StripeRefused as refusal:
        raise refuse(
            Code.NOT_REFUNDABLE,
            f"Stripe refuses a refund of invoice {share.number}: {refusal.message}",
            hint=f"{hints.command('invoices', 'show', share.number)}; without --refund it is canceled anyway",
            data={"subscription": snapshot.name, "invoice": share.number},
        ) from refusal


def _paid(invoice: StripeInvoice, raw: StripeJson) -> tuple[PaidInvoice, int]:
    """Return what can be given back of an invoice, and what already was, in minor units."""
    before, after = (amount_of(raw, f"{when}_payment_credit_notes_amount") for when in ("pre", "post"))
    by_card = max(0, invoice.amount_paid - after)
    refundable = max(0, invoice.total - before - after)
    owed = min(refundable, invoice.amount_remaining) if invoice.status is InvoiceStatus.OPEN else 0
    name = invoice.number or invoice.id
    if owed:  # its partial payment stays
        return PaidInvoice(invoice.id, name, 0, refundable, owed), before + after
    return PaidInvoice(invoice.id, name, min(by_card, refundable), refundable), before + after


def _unused_of_own_invoice(invoice: StripeInvoice, paid: PaidInvoice, at: datetime, smallest: int) -> int:
    start, end = invoice.metadata.get(COVERS_FROM), invoice.metadata.get(COVERS_UNTIL)
    if not start or not end:
        return 0
    return unused_share(paid.refundable, parse_time(start), parse_time(end), at, smallest)


def _subscription_of(line: StripeJson) -> str | None:
    parent = line.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    subscription = named_id(details.get("subscription")) if isinstance(details, dict) else None
    return subscription if isinstance(subscription, str) else None
