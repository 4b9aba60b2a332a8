"""What a change of a running subscription costs now and on the next invoice, by Stripe's previews."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, StripeJson
from seatctl.billing.previews import RECURRING, has_pending_items, previews_next_term, read_pending_amount
from seatctl.errors import JsonValue
from seatctl.models.subscription import TermContent
from seatctl.rules.purchases import address_hint, check_tax
from seatctl.rules.subscription_changes import Target
from seatctl.rules.subscription_state import item_update
from seatctl.services.subscriptions.snapshot import SubscriptionSnapshot

_NOTHING_TO_COME = "invoice_upcoming_none"
"""Stripe's code if no invoice would follow because the subscription ends before."""

_AT_ONCE, _LATER, _NOT_AT_ALL = "always_invoice", "create_prorations", "none"


@dataclass(frozen=True, slots=True)
class Proration:
    """How Stripe bills the difference, and the time (epoch seconds) from which it counts."""

    behavior: str
    moment: int


_NO_PRORATION = Proration(_NOT_AT_ALL, 0)


@dataclass(frozen=True, slots=True)
class DueNow:
    """What a change costs now, in minor units: the charge, and an amount too small to charge."""

    now: int = 0
    carried_over: int = 0


@dataclass(frozen=True, slots=True)
class ChangePreviews:
    """Stripe's previews of one change. `discounts` replace those of the subscription, if any."""

    billing: Billing
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
        check_tax(preview.tax_status, address_hint(self.snapshot.name))
        return DueNow(max(0, preview.amount_due), preview.carried_over)

    def next_total(self) -> int | None:
        """Return the total of the next term's invoice, in minor units; None if the subscription ends before.

        It includes what is prorated now and billed then, and waiting items unless the change bills those now.
        Only totals are used, because Stripe truncates the lines of a preview.
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
        return read_preview(next_invoice).total + prorated_later

    def _bills_now(self, proration: Proration) -> bool:
        """Whether a change billed at once makes an invoice today; that invoice includes waiting items."""
        today = self.preview(self.target.now, proration)
        return not previews_next_term(today, self.snapshot.item, proration.moment)

    def preview(
        self,
        content: TermContent,
        proration: Proration = _NO_PRORATION,
        extra: Mapping[str, JsonValue] = MappingProxyType({}),
    ) -> StripeJson:
        """Return Stripe's preview of the item with this content."""
        details: dict[str, JsonValue] = {
            "items": [item_update(self.snapshot.item.id, self.snapshot.state.next, content)],
            "proration_behavior": proration.behavior,
        }
        if proration.behavior != _NOT_AT_ALL:
            details["proration_date"] = proration.moment
        form: dict[str, JsonValue] = {
            "subscription": self.snapshot.mirror.id,
            "subscription_details": details,
            **extra,
        }
        if self.discounts:
            form["discounts"] = self.discounts
        return self.billing.read(endpoints.preview_invoice(form))


def total_after(billing: Billing, snapshot: SubscriptionSnapshot, form: dict[str, JsonValue]) -> int | None:
    """Return the next invoice's total after an update with `form`, in minor units; None if none follows."""
    preview: dict[str, JsonValue] = {"subscription": snapshot.mirror.id, "subscription_details": form}
    try:
        return read_preview(billing.read(endpoints.preview_invoice(preview))).total
    except (MissingInStripe, InvalidRequest):
        return None


def waiting_total(
    billing: Billing, snapshot: SubscriptionSnapshot, content: TermContent, new_end: int
) -> int:
    """Return what Stripe bills as soon as a trial until `new_end` (epoch seconds) begins, in minor units.

    A renewal by hand is such a trial, and its first invoice takes all waiting items.
    """
    details: dict[str, JsonValue] = {
        "items": [item_update(snapshot.item.id, snapshot.state.next, content)],
        "trial_end": new_end,
        "proration_behavior": _NOT_AT_ALL,
    }
    form: dict[str, JsonValue] = {"subscription": snapshot.mirror.id, "subscription_details": details}

    def preview(extra: dict[str, JsonValue]) -> StripeJson:
        return billing.read(endpoints.preview_invoice({**form, **extra}))

    try:
        return max(0, read_pending_amount(preview({}), lambda: preview(RECURRING)))
    except (MissingInStripe, InvalidRequest):
        return 0
