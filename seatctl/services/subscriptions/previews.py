"""What a change of a running subscription costs now and on the next invoice, by Stripe's previews.

In Stripe's classic billing mode a proration may credit something else than was billed: then it is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING

from seatctl.billing.objects import read_preview
from seatctl.billing.port import InvalidRequest, MissingInStripe, StripeJson
from seatctl.billing.previews import RECURRING, end_of_term, has_pending_items, previews_next_term
from seatctl.errors import Code, JsonValue, SeatctlError, refuse
from seatctl.models.call import format_time, optional_time, parse_time
from seatctl.models.report import counted
from seatctl.models.stripe_objects import Preview
from seatctl.models.subscription import TermContent
from seatctl.rules import hints
from seatctl.rules.metadata import COVERS_UNTIL, VOID_UNTIL, metadata_of
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import item_update, replaced_change
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

if TYPE_CHECKING:
    from seatctl.services.subscriptions.refunds import SubscriptionInvoices

_NOTHING_TO_COME = "invoice_upcoming_none"
"""Stripe's code if no invoice would follow because the subscription ends before."""

_AT_ONCE, _LATER = "always_invoice", "create_prorations"


@dataclass(frozen=True, slots=True)
class Proration:
    """How Stripe bills the difference, and the time (epoch seconds) from which it counts."""

    behavior: str
    moment: int


@dataclass(frozen=True, slots=True)
class DueNow:
    """What a change costs now, in minor units: the charge, and an amount too small to charge."""

    now: int = 0
    carried_over: int = 0
    credit: int = 0
    """What goes to the customer's balance if more is credited than charged."""
    priced: Preview | None = None
    """The invoice that is made now, None if there is none."""


@dataclass(frozen=True, slots=True)
class ChangePreviews:
    """Stripe's previews of one change. `discounts` replace those of the subscription, if any."""

    snapshot: SubscriptionSnapshot
    target: Target
    proration: Proration | None
    """None if the change makes no invoice and is not prorated."""
    discounts: list[JsonValue]

    def due_now(self) -> DueNow:
        """Return what Stripe would charge now; never negative, since a credit goes to the balance.

        Zero if the change makes no invoice of its own: in a trial, Stripe previews the first paid invoice
        instead.
        """
        if self.proration is None or self.proration.behavior != _AT_ONCE:
            return DueNow()
        try:
            raw = self.preview(self.target.now, self.proration)
        except InvalidRequest as refused:
            if refused.data.get("stripe_code") != _NOTHING_TO_COME:
                raise
            return DueNow()
        if previews_next_term(raw, self.snapshot.item, self.proration.moment):
            return DueNow()
        preview = read_preview(raw)
        self.snapshot.require_tax(preview)
        credit = max(0, -preview.total)
        return DueNow(max(0, preview.amount_due), preview.carried_over, credit, preview)

    def renews_at(self) -> datetime:
        """Return the end (UTC) of the term that a change of interval begins or continues.

        Only Stripe says it: flexible billing keeps the beginning of the period, classic billing begins a new
        one. Raises `interval_change` if the preview does not show an end that lies ahead.
        """
        snapshot, price = self.snapshot, self.target.now.price_id
        assert self.proration is not None
        today = self.preview(self.target.now, self.proration)
        if previews_next_term(today, snapshot.item, self.proration.moment):
            return snapshot.state.period_end  # in a trial, which goes on
        end = end_of_term(today, price)
        if end is None:  # more than a page of waiting items comes before the line
            end = end_of_term(self.preview(self.target.now, self.proration, RECURRING), price)
        if end is None or end <= snapshot.stripe_time:
            raise refuse(
                Code.INTERVAL_CHANGE,
                f"{snapshot.name}: Stripe's preview does not say when {self.target.now.plan} would renew;"
                " nothing was changed",
                hint=hints.either(
                    hints.command("subs", "cancel", snapshot.name), hints.buy(self.target.now.plan)
                ),
                data={"subscription": snapshot.name, "plan": self.target.now.plan},
            )
        return end

    def next_total(self) -> int | None:
        """Return the total of the next term's invoice, in minor units; None if the subscription ends before.

        It includes what is prorated now and billed then, and waiting items unless the change bills those now.
        Only totals are used, because Stripe truncates the lines of a preview. None too if the tax is unknown;
        raises `tax_unknown` if what is bought now is billed then.
        """
        if self.snapshot.state.ends:
            return None
        proration, prorated_later = self.proration, 0
        try:
            next_invoice = self.preview(self.target.next)
            if proration is not None and proration.behavior == _LATER:
                prorated_later = read_preview(self.preview(self.target.now, proration)).total
                prorated_later -= read_preview(self.preview(self.target.now)).total
            elif proration is not None and has_pending_items(next_invoice) and self._bills_now(proration):
                # Without the waiting items: a discount may take off a different amount then.
                next_invoice = self.preview(self.target.next, extra=RECURRING)
        except (MissingInStripe, InvalidRequest):
            return None
        preview = read_preview(next_invoice)
        if proration is not None and proration.behavior == _LATER:
            self.snapshot.require_tax(preview)
        whole = preview.whole_total
        return None if whole is None else whole + prorated_later

    def _bills_now(self, proration: Proration) -> bool:
        """Whether a change billed at once makes an invoice today; that invoice includes waiting items."""
        today = self.preview(self.target.now, proration)
        return not previews_next_term(today, self.snapshot.item, proration.moment)

    def preview(
        self,
        content: TermContent,
        proration: Proration | None = None,
        extra: dict[str, JsonValue] | None = None,
    ) -> StripeJson:
        """Return Stripe's preview of the item with this content."""
        details: dict[str, JsonValue] = {
            "items": [item_update(self.snapshot.item.id, self.snapshot.state.next, content)],
            "proration_behavior": "none" if proration is None else proration.behavior,
        }
        if proration is not None:
            details["proration_date"] = proration.moment
        discounts: dict[str, JsonValue] = {"discounts": self.discounts} if self.discounts else {}
        return self.snapshot.preview(details, **(extra or {}), **discounts)


def require_true_credit(
    snapshot: SubscriptionSnapshot, action: str, invoices: SubscriptionInvoices | None = None
) -> None:
    """Return if Stripe would credit what was billed when it prorates now. Raises `classic_billing`.

    Stripe's classic billing mode credits what the item holds. This program sets quantities without proration:
    the seats of the next term in advance, and seats billed by an invoice of our own. There the two differ,
    and may still differ if somebody has changed in Stripe what was set in advance. Flexible mode, which new
    subscriptions have, credits what was billed. `action` is what would be refused ("seats would be changed").
    `invoices` are read if not given.
    """
    if snapshot.mirror.flexible:
        return
    from seatctl.services.subscriptions.refunds import read_invoices

    name, state = quote(snapshot.name), snapshot.state
    if state.now != state.next:
        content = f"{counted(state.next.seats, 'seat')} of {state.next.plan}"
        why = f"its item already holds the {content} of the next term"
        command = f"seatctl subs set-seats {name} {state.now.seats}"
        if state.now.plan != state.next.plan:
            command = f"seatctl subs change-plan {name} {state.now.plan}"
        raise _refused(snapshot, action, why, f"to take the waiting change back: {command}")
    replaced = replaced_change(snapshot.mirror, snapshot.item, snapshot.stripe_time)
    if replaced is not None:  # nothing tells whether Stripe has prorated that
        paid, paid_until = replaced
        content = f"{counted(paid.seats, 'seat')} of {paid.plan}"
        why = f"its seats were changed in Stripe, while {content} are paid for until {paid_until:%Y-%m-%d}"
        raise _refused(snapshot, action, why, f"to put {content} back, without proration: Stripe's dashboard")
    own = [invoice for invoice, _ in (invoices or read_invoices(snapshot)).own]
    covering = [
        invoice.number or invoice.id
        for invoice in own
        if (until := invoice.metadata.get(COVERS_UNTIL)) and parse_time(until) > snapshot.stripe_time
    ]
    if covering:
        why = f"{covering[0]} has billed seats that Stripe itself has not"
        raise _refused(snapshot, action, why, f"to see when the term ends: seatctl subs show {name}")


def require_paid_credit(snapshot: SubscriptionSnapshot) -> None:
    """Return if Stripe would credit only what was paid for when it prorates now. Raises `unpaid_credit`.

    A change whose payment failed after days was taken back without proration, and its invoice is void.
    Whether Stripe still counts that as billed is not known; if it does, it would give that money away.
    """
    metadata = metadata_of(snapshot.mirror, snapshot.item)
    until = optional_time(metadata.get(VOID_UNTIL) or None)
    if until is None or until <= snapshot.stripe_time:
        return
    name = quote(snapshot.name)
    raise refuse(
        Code.UNPAID_CREDIT,
        f"{snapshot.name}: the payment of a change failed in this term, and Stripe may credit it as if it had"
        f" been paid for; until {until:%Y-%m-%d} no change is prorated; nothing was changed",
        hint=f"to see what can be done at the renewal: seatctl subs show {name};"
        f" for more seats until then: seatctl subs buy --plan {quote(snapshot.state.now.plan)} --seats N"
        " --name NAME",
        data={"subscription": snapshot.name, "until": format_time(until)},
    )


def _refused(snapshot: SubscriptionSnapshot, action: str, why: str, hint: str) -> SeatctlError:
    migrate = f"seatctl ledger adopt {quote(snapshot.name)} --migrate"
    return refuse(
        Code.CLASSIC_BILLING,
        f"{snapshot.name}: {action} in Stripe's classic billing mode, which credits what the"
        f" item holds now, and {why}; nothing was changed",
        hint=f"{hint}; or to migrate it to flexible billing mode: {migrate}",
        data={"subscription": snapshot.name, "stripe_subscription": snapshot.mirror.id},
    )
