"""What a change of a running subscription costs now and on the next invoice, by Stripe's previews."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe, StripeJson
from seatctl.billing.previews import RECURRING, has_pending_items, previews_next_term, read_pending_amount
from seatctl.errors import JsonValue
from seatctl.models.subscription_state import TermContent
from seatctl.rules.purchases import address_hint, check_tax
from seatctl.rules.subscription_changes import Target
from seatctl.rules.term_content import item_update
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


def due_now(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    content: TermContent,
    proration: Proration | None,
    discounts: list[JsonValue],
) -> DueNow:
    """Return what Stripe would charge now; never negative, since a credit goes to the balance.

    Zero if the change makes no invoice of its own: in a trial, Stripe previews the first paid invoice
    instead.
    """
    if proration is None or proration.behavior != _AT_ONCE:
        return DueNow()
    try:
        raw = _preview(billing, snapshot, content, proration, discounts)
    except InvalidRequest as refused:
        if refused.data.get("stripe_code") != _NOTHING_TO_COME:
            raise
        return DueNow()
    if previews_next_term(raw, snapshot.item, proration.moment):
        return DueNow()
    preview = read_preview(raw)
    check_tax(preview.tax_status, address_hint(snapshot.name))
    return DueNow(max(0, preview.amount_due), preview.carried_over)


def next_total(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    target: Target,
    proration: Proration | None,
    discounts: list[JsonValue],
) -> int | None:
    """Return the total of the next term's invoice, in minor units; None if the subscription ends before.

    It includes what is prorated now and billed then, and waiting items unless the change bills those now.
    `discounts` replace those of the subscription, if any. Only totals are used, because Stripe truncates the
    lines of a preview.
    """
    if snapshot.state.ends:
        return None

    try:
        next_invoice = _preview(billing, snapshot, target.next, _NO_PRORATION, discounts)
        if proration is None:
            prorated_later = 0
        elif proration.behavior == _LATER:
            prorated_later = _total(billing, snapshot, target.now, proration, discounts)
            prorated_later -= _total(billing, snapshot, target.now, _NO_PRORATION, discounts)
        else:
            prorated_later = 0
            if has_pending_items(next_invoice) and _bills_now(
                billing, snapshot, target, proration, discounts
            ):
                # Without the waiting items: a discount may take off a different amount then.
                next_invoice = _preview(billing, snapshot, target.next, _NO_PRORATION, discounts, RECURRING)
    except (MissingInStripe, InvalidRequest):
        return None
    return read_preview(next_invoice).total + prorated_later


def _bills_now(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    target: Target,
    proration: Proration,
    discounts: list[JsonValue],
) -> bool:
    """Whether a change billed at once makes an invoice today; that invoice includes waiting items."""
    today = _preview(billing, snapshot, target.now, proration, discounts)
    return not previews_next_term(today, snapshot.item, proration.moment)


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


def _total(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    content: TermContent,
    proration: Proration,
    discounts: list[JsonValue],
) -> int:
    return read_preview(_preview(billing, snapshot, content, proration, discounts)).total


def _preview(
    billing: Billing,
    snapshot: SubscriptionSnapshot,
    content: TermContent,
    proration: Proration,
    discounts: list[JsonValue],
    extra: dict[str, JsonValue] | None = None,
) -> StripeJson:
    details: dict[str, JsonValue] = {
        "items": [item_update(snapshot.item.id, snapshot.state.next, content)],
        "proration_behavior": proration.behavior,
    }
    if proration.behavior != _NOT_AT_ALL:
        details["proration_date"] = proration.moment
    form: dict[str, JsonValue] = {"subscription": snapshot.mirror.id, "subscription_details": details}
    form |= extra or {}
    if discounts:
        form["discounts"] = discounts
    return billing.read(endpoints.preview_invoice(form))
