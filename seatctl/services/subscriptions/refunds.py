"""What would be given back if a subscription ended now: Stripe's preview, spread over what was paid.

Stripe says what is unused of what the subscription itself billed. It knows nothing of our own invoices
(seats at full price, renewals by hand): each gives back the unused share of the term that it paid for.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.invoice_details import named_id
from seatctl.billing.objects import amount_of, read_invoice, read_preview
from seatctl.billing.port import Billing, StripeJson
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.models.call import parse_time
from seatctl.models.invoice import InvoiceStatus
from seatctl.models.money import plain_amount, step
from seatctl.models.stripe_objects import Preview, StripeInvoice
from seatctl.models.subscription import SubscriptionStatus
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.refunds import (
    CreditShare,
    PaidInvoice,
    debt_made,
    spread,
    total,
    unused_lines,
    unused_share,
)
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

_BALANCES = ("starting", "ending")
"""Stripe's words for the customer's balance before and after an invoice."""


@dataclass(frozen=True, slots=True)
class SubscriptionInvoices:
    """The invoices of a subscription, newest first, and the lines that wait for its next one."""

    by_stripe: tuple[tuple[StripeInvoice, PaidInvoice], ...]
    ours: tuple[tuple[StripeInvoice, PaidInvoice], ...]
    owed: int
    """What its open invoices still ask for, in minor units."""
    waiting: tuple[StripeJson, ...]
    given: int = 0
    """What its paid invoices have given back before, in minor units."""
    unpaid: tuple[str, ...] = ()
    """Why those that are neither paid nor open are not: void, written off, or still a draft."""
    open: tuple[StripeInvoice, ...] = ()
    drafts: tuple[StripeInvoice, ...] = ()
    """Those of the running period that are not charged yet: a renewal's is a draft for about an hour."""


def bills_of(billing: Billing, found: SubscriptionSnapshot) -> SubscriptionInvoices:
    """Every invoice that billed the subscription, read from Stripe now."""
    stripe_id, customer = found.mirror.id, found.mirror.customer_id
    by_stripe: list[tuple[StripeInvoice, PaidInvoice]] = []
    ours: list[tuple[StripeInvoice, PaidInvoice]] = []
    unpaid: list[str] = []
    still_open: list[StripeInvoice] = []
    drafts: list[StripeInvoice] = []
    owed = given = 0
    debt: int | None = None
    for raw in billing.every(endpoints.invoices_with_payments(customer)):
        invoice = read_invoice(raw)
        kind = ours if invoice.metadata.get(SUBSCRIPTION) == stripe_id else by_stripe
        if kind is by_stripe and invoice.subscription_id != stripe_id:
            continue
        if invoice.status in {InvoiceStatus.PAID, InvoiceStatus.OPEN}:
            paid, noted = _paid(invoice, raw)
            made = debt_made(invoice.total, *(amount_of(raw, f"{which}_balance") for which in _BALANCES))
            if made and invoice.status is InvoiceStatus.PAID:
                debt = _debt(billing, customer) if debt is None else debt
                paid = replace(paid, on_balance=min(debt, made, paid.in_all - paid.by_card))
                debt -= paid.on_balance
            kind.append((invoice, paid))
            given += noted if kind is by_stripe and _runs(invoice, found.at) else 0
        elif kind is by_stripe and _runs(invoice, found.at) and invoice.total > 0:
            unpaid.append(_why_unpaid(invoice))
            drafts += [invoice] if invoice.status is InvoiceStatus.DRAFT else []
        if invoice.status is InvoiceStatus.OPEN:
            owed += invoice.amount_remaining
            still_open.append(invoice)
    lines = billing.every(endpoints.waiting_invoice_items(customer))
    waiting = tuple(line for line in lines if _subscription_of(line) == stripe_id)
    return SubscriptionInvoices(
        tuple(by_stripe), tuple(ours), owed, waiting, given, tuple(unpaid), tuple(still_open), tuple(drafts)
    )


def given_back(
    billing: Billing, found: SubscriptionSnapshot, bills: SubscriptionInvoices
) -> tuple[CreditShare, ...]:
    """What each invoice gives back, in minor units.

    Raises `nothing_to_give_back`, `refund_falls_short`, `not_refundable`.
    """
    now, smallest = found.at, step(found.subscription.currency)
    running = [pair for pair in bills.by_stripe if _runs(pair[0], now)]
    if found.mirror.status is SubscriptionStatus.TRIALING:
        # A term that was renewed by hand is a trial to Stripe, which gives nothing back of one. A trial that
        # was given in the dashboard has put what was unused on the balance, by an invoice below 0.
        kept = [(invoice, min(invoice.total, 0) or paid.in_all) for invoice, paid in running]
        unused = max(0, sum(unused_lines(invoice.lines, amount, now, smallest) for invoice, amount in kept))
    else:
        unused = _previewed(billing, found)
        unused -= unused % smallest
    left = [_left(billing, invoice, paid) for invoice, paid in running]
    shares = [*spread(max(0, unused), [one.paid for one in left])]
    back = total(shares) + sum(one.returned for one in left)
    _require_all(found, bills, unused, back, [one.disputed for one in left if one.disputed])
    for invoice, paid in bills.ours:
        ours = _unused_of_ours(invoice, paid, now, smallest)
        if ours:
            of_ours = _left(billing, invoice, paid)
            if of_ours.disputed:
                raise _falls_short(found, ours, 0, [of_ours.disputed])
            shares += spread(ours, [of_ours.paid])
    if unused < 0 and not shares:
        owed = f"{plain_amount(-unused, found.subscription.currency)} {found.subscription.currency.upper()}"
        raise refuse(
            Code.NOTHING_TO_GIVE_BACK,
            f"{found.subscription.name}: nothing would be given back; {owed} of used time is not billed yet",
            hint="to bill it and give nothing back:"
            f" seatctl subs cancel {quote(found.subscription.name)} --now",
            data={
                "subscription": found.subscription.name,
                "owed": -unused,
                "currency": found.subscription.currency,
            },
        )
    for share in shares:
        _preview_note(billing, found, share)
    return tuple(shares)


def _require_all(
    found: SubscriptionSnapshot, bills: SubscriptionInvoices, unused: int, back: int, disputed: list[str]
) -> None:
    """Raise `refund_falls_short` unless all that Stripe says is unused is given back, now or before."""
    # Stripe rounds each line by itself, a charge down and its credit up: a unit of each may be missing.
    lines = sum(len(invoice.lines) for invoice, _ in bills.by_stripe if _runs(invoice, found.at))
    rounding = lines * step(found.subscription.currency)
    # Of a draft Stripe says that its time is unused, and then charges it all the same.
    if back + bills.given >= unused - rounding and not (bills.drafts and unused > rounding):
        return
    raise _falls_short(found, unused, back, [*disputed, *bills.unpaid])


def _falls_short(found: SubscriptionSnapshot, unused: int, back: int, reasons: list[str]) -> SeatctlError:
    name, currency = quote(found.subscription.name), found.subscription.currency

    def money(amount: int) -> str:
        return f"{plain_amount(amount, currency)} {currency.upper()}"

    why = " and ".join(reasons) or "the invoices of the running term took no more"
    return refuse(
        Code.REFUND_FALLS_SHORT,
        f"{found.subscription.name}: Stripe says that {money(unused)} is unused, and {money(back)} of it can"
        f" be given back: {why}; nothing was canceled",
        hint=f"to end it and give nothing back: seatctl subs cancel {name} --now;"
        f" to end it with its term: seatctl subs cancel {name}",
        data={
            "subscription": found.subscription.name,
            "unused": unused,
            "given_back": back,
            "currency": currency,
            "unpaid": [*reasons],
        },
    )


def _why_unpaid(invoice: StripeInvoice) -> str:
    name = invoice.number or invoice.id
    if invoice.status is InvoiceStatus.DRAFT:
        return f"invoice {name} is a draft and not paid yet; Stripe charges a renewal's after about an hour"
    return f"invoice {name} is {invoice.status} and will not be paid"


@dataclass(frozen=True, slots=True)
class _Left:
    """What can still be given back of an invoice."""

    paid: PaidInvoice
    returned: int = 0
    """What has gone back past its credit notes, in minor units: refunds of the dashboard, lost disputes."""
    disputed: str = ""
    """Why nothing goes back to its card while a dispute is open."""


def _left(billing: Billing, invoice: StripeInvoice, paid: PaidInvoice) -> _Left:
    """What can be given back after refunds of the dashboard and disputes, which stand on the payment."""
    if not paid.by_card:
        return _Left(paid)
    payments = invoice.details.get("payments")
    intents = [
        str(one.get("reference"))
        for one in (payments if isinstance(payments, list) else [])
        if isinstance(one, dict) and one.get("type") == "payment_intent"
    ]
    by_hand = _refunded_by_hand(billing, invoice, intents)
    taken = [
        one
        for intent in intents
        for one in billing.every(endpoints.disputes_of_payment(intent))
        if _bank_has_it(one)
    ]
    lost = sum(amount_of(one, "amount") for one in taken if one.get("status") == "lost")
    # Stripe refunds nothing of a payment that a bank has taken back; the bank pays the cardholder.
    gone = paid.by_card if taken else min(paid.by_card, by_hand)
    name, is_open = invoice.number or invoice.id, any(one.get("status") != "lost" for one in taken)
    why = f"the payment of invoice {name} is disputed, and its bank has taken it back" if is_open else ""
    less = replace(paid, in_all=max(0, paid.in_all - max(gone, by_hand)), by_card=paid.by_card - gone)
    return _Left(replace(less, by_card=min(less.in_all, less.by_card)), by_hand + lost, why)


def _bank_has_it(dispute: StripeJson) -> bool:
    """Whether the cardholder's bank holds the payment: neither an inquiry, nor a dispute that was won."""
    status = str(dispute.get("status"))
    return status in {"needs_response", "under_review", "lost"} and not dispute.get("is_charge_refundable")


def _refunded_by_hand(billing: Billing, invoice: StripeInvoice, intents: list[str]) -> int:
    """What was refunded of these payments without a credit note, in minor units."""
    refunds = [one for intent in intents for one in billing.every(endpoints.refunds_of_payment(intent))]
    if not refunds:
        return 0
    noted = {
        each.get("refund")
        for note in billing.every(endpoints.credit_notes_of(invoice.id))
        for each in _objects(note.get("refunds"))
    }
    return sum(
        amount_of(one, "amount")
        for one in refunds
        if one.get("id") not in noted and one.get("status") not in {"failed", "canceled"}
    )


def _objects(value: JsonValue | None) -> list[StripeJson]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _runs(invoice: StripeInvoice, now: datetime) -> bool:
    """Whether it billed time that is still to come."""
    return any(line.period_end > now for line in invoice.lines)


def _debt(billing: Billing, customer: str) -> int:
    """What the customer owes on its balance, in minor units."""
    return max(0, amount_of(billing.read(endpoints.customer(customer)), "balance"))


def note_form(share: CreditShare) -> dict[str, JsonValue]:
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


def billed_at_the_end(billing: Billing, found: SubscriptionSnapshot) -> int:
    """What the final invoice asks for if it ends now and gives nothing back, in minor units: what waits."""
    return max(0, _final_invoice(billing, found, "none").amount_due)


def _previewed(billing: Billing, found: SubscriptionSnapshot) -> int:
    """Stripe's own word: what is unused, less what waits to be billed."""
    return -_final_invoice(billing, found, "create_prorations").total


def _final_invoice(billing: Billing, found: SubscriptionSnapshot, behavior: str) -> Preview:
    form: dict[str, JsonValue] = {
        "subscription": found.mirror.id,
        "subscription_details": {"cancel_now": True, "proration_behavior": behavior},
    }
    return read_preview(billing.read(endpoints.preview_invoice(form)))


def _preview_note(billing: Billing, found: SubscriptionSnapshot, share: CreditShare) -> None:
    """Let Stripe say now what it would say once the subscription is gone."""
    from seatctl.errors import StripeRefused

    try:
        billing.read(endpoints.preview_credit_note(note_form(share)))
    except StripeRefused as refusal:
        raise refuse(
            Code.NOT_REFUNDABLE,
            f"Stripe gives nothing back on invoice {share.number}: {refusal.message}",
            hint=f"seatctl invoices show {share.number}; without --refund it is canceled all the same",
            data={"subscription": found.subscription.name, "invoice": share.number},
        ) from refusal


def _paid(invoice: StripeInvoice, raw: StripeJson) -> tuple[PaidInvoice, int]:
    """What can be given back of an invoice, and what was given back before, in minor units."""
    before, after = (amount_of(raw, f"{when}_payment_credit_notes_amount") for when in ("pre", "post"))
    by_card = max(0, invoice.amount_paid - after)
    in_all = max(0, invoice.total - before - after)
    owed = min(in_all, invoice.amount_remaining) if invoice.status is InvoiceStatus.OPEN else 0
    name = invoice.number or invoice.id
    if owed:  # what an open one took so far, in part, stays: Stripe's credit notes only lower the rest
        return PaidInvoice(invoice.id, name, 0, in_all, owed), before + after
    return PaidInvoice(invoice.id, name, min(by_card, in_all), in_all), before + after


def _unused_of_ours(invoice: StripeInvoice, paid: PaidInvoice, at: datetime, smallest: int) -> int:
    start, end = invoice.metadata.get(COVERS_FROM), invoice.metadata.get(COVERS_UNTIL)
    if not start or not end:
        return 0
    return unused_share(paid.in_all, parse_time(start), parse_time(end), at, smallest)


def _subscription_of(line: StripeJson) -> str | None:
    parent = line.get("parent")
    details = parent.get("subscription_details") if isinstance(parent, dict) else None
    found = named_id(details.get("subscription")) if isinstance(details, dict) else None
    return found if isinstance(found, str) else None
