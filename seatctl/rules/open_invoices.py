"""What stays open of a subscription that ends, and until when its seats hold. Pure; times are aware UTC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from shlex import quote

from seatctl.errors import JsonValue
from seatctl.models.money import plain_amount
from seatctl.models.stripe_objects import StripeInvoice


@dataclass(frozen=True, slots=True)
class OpenInvoice:
    """An invoice that canceling leaves open. `amount` is what it still asks for, in minor units."""

    number: str
    amount: int
    currency: str
    due: datetime | None
    """On account: when it is due. By card None: Stripe charges the card again by itself."""

    @property
    def money(self) -> str:
        """The amount with its currency."""
        return f"{plain_amount(self.amount, self.currency)} {self.currency.upper()}"

    def as_record(self) -> dict[str, JsonValue]:
        """As a row of output shows it."""
        return {"number": self.number, "amount": self.amount, "currency": self.currency}


def still_open(invoices: Sequence[StripeInvoice], less: Mapping[str, int]) -> tuple[OpenInvoice, ...]:
    """The open ones of `invoices`; `less`, by invoice, is what a refund takes off them (minor units)."""
    found = (
        OpenInvoice(
            one.number or one.id, one.amount_remaining - less.get(one.id, 0), one.currency, one.due_date
        )
        for one in invoices
    )
    return tuple(one for one in found if one.amount > 0)


def notes(invoices: Sequence[OpenInvoice], *, at_once: bool) -> list[str]:
    """A sentence for each: that it stays, who collects it, and the command that gives it up."""
    return [
        f"Invoice {one.number} over {one.money} stays open{_collected(one, at_once=at_once)};"
        f" to give it up: seatctl invoices void {quote(one.number)}"
        for one in invoices
    ]


def _collected(one: OpenInvoice, *, at_once: bool) -> str:
    if one.due is not None:
        return f", due {one.due:%Y-%m-%d}"
    # Stripe stops its own attempts when a subscription is canceled, not when its end is only set.
    return ", to be paid by hand" if at_once else " and Stripe goes on collecting it"


def in_summary(invoices: Sequence[OpenInvoice], *, at_once: bool) -> str:
    """The end of a report's sentence; nothing if none is open."""
    named = [f"{one.number} over {one.money}" for one in invoices]
    if not named:
        return ""
    one = len(named) == 1
    what = f"invoice {named[0]} stays" if one else f"invoices {', '.join(named)} stay"
    voids = " ".join(quote(invoice.number) for invoice in invoices[:1])
    by_card = any(invoice.due is None for invoice in invoices) and not at_once
    goes_on = f" and {'goes' if one else 'go'} on being collected" if by_card else ""
    return f"; {what} open{goes_on}: seatctl invoices void {voids} gives {'it' if one else 'the first'} up"


def owed_since(invoices: Sequence[StripeInvoice], *, past_due: bool) -> datetime | None:
    """Since when the oldest of these open invoices is owed; on account that may lie ahead.

    By card it is owed only while Stripe calls the subscription past due: it may be waiting for a bank.
    """
    moments = [one.due_date or (one.finalized_at if past_due else None) for one in invoices]
    return min((one for one in moments if one is not None), default=None)


def holds_until(end: datetime, owed: datetime | None, grace_days: int) -> datetime:
    """Until when the seats hold that end at `end`, if what is owed since `owed` is not paid."""
    return end if owed is None else min(end, owed + timedelta(days=grace_days))
