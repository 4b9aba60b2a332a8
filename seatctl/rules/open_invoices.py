"""Invoices that stay open when a subscription ends, and how long its seats stay usable. Pure.

Times are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from seatctl.errors import JsonValue
from seatctl.models.money import format_money
from seatctl.models.stripe_objects import StripeInvoice


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice that canceling leaves open. `amount` is what remains to be paid, in minor units."""

    number: str
    amount: int
    currency: str
    due: datetime | None
    """The due date on account; None by card, where Stripe charges the card again by itself."""

    @property
    def money(self) -> str:
        """The amount with its currency."""
        return format_money(self.amount, self.currency)

    def as_record(self) -> dict[str, JsonValue]:
        """Return the invoice as a row of output shows it."""
        return {"number": self.number, "amount": self.amount, "currency": self.currency}


def still_open(invoices: Sequence[StripeInvoice], less: Mapping[str, int]) -> tuple[OpenInvoice, ...]:
    """Return the invoices that stay open; `less` is what a refund takes off each, by id (minor units)."""
    candidates = (
        OpenInvoice(
            invoice.number or invoice.id,
            invoice.amount_remaining - less.get(invoice.id, 0),
            invoice.currency,
            invoice.due_date,
        )
        for invoice in invoices
    )
    return tuple(invoice for invoice in candidates if invoice.amount > 0)


def notes(invoices: Sequence[OpenInvoice], *, at_once: bool) -> list[str]:
    """Return a sentence for each invoice: who collects it, and the command that voids it."""
    return [
        f"Invoice {invoice.number} over {invoice.money} stays open{_collected(invoice, at_once=at_once)};"
        f" to void it: seatctl invoices void {quote(invoice.number)}"
        for invoice in invoices
    ]


def _collected(invoice: OpenInvoice, *, at_once: bool) -> str:
    if invoice.due is not None:
        return f", due {invoice.due:%Y-%m-%d}"
    # Stripe stops its own attempts when a subscription is canceled, but not when only its end is set.
    return ", to be paid by hand" if at_once else " and Stripe keeps collecting it"


def summary_clause(invoices: Sequence[OpenInvoice], *, at_once: bool) -> str:
    """Return the end of a report's summary about these invoices; empty if there are none."""
    named = [f"{invoice.number} over {invoice.money}" for invoice in invoices]
    if not named:
        return ""
    single = len(named) == 1
    what = f"invoice {named[0]} stays" if single else f"invoices {', '.join(named)} stay"
    voids = " ".join(quote(invoice.number) for invoice in invoices[:1])
    by_card = any(invoice.due is None for invoice in invoices) and not at_once
    collected = " and Stripe keeps collecting" if by_card else ""
    return f"; {what} open{collected}: seatctl invoices void {voids} voids {'it' if single else 'the first'}"


def owed_since(invoices: Sequence[StripeInvoice], *, past_due: bool) -> datetime | None:
    """Return since when the oldest of these open invoices is owed, or None; on account it may be ahead.

    By card it is owed only if Stripe's status is past due: otherwise it may be waiting for a bank.
    """
    moments = [invoice.due_date or (invoice.finalized_at if past_due else None) for invoice in invoices]
    return min((moment for moment in moments if moment is not None), default=None)


def holds_until(end: datetime, owed: datetime | None, grace_days: int) -> datetime:
    """Return until when the seats of a subscription that ends at `end` stay usable.

    `owed`: since when it is unpaid, if it is.
    """
    return end if owed is None else min(end, owed + timedelta(days=grace_days))
