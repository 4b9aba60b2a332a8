"""What Stripe says a change of a running subscription costs: now and with the next invoice."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints
from seatctl.billing.objects import read_preview
from seatctl.billing.port import Billing, InvalidRequest, MissingInStripe
from seatctl.billing.previews import read_waiting
from seatctl.errors import JsonValue
from seatctl.models.standing import Side
from seatctl.models.stripe_objects import Preview
from seatctl.rules.changing import Target
from seatctl.services.gathering import Gathered

_AT_ONCE, _LATER, _NOT_AT_ALL = "always_invoice", "create_prorations", "none"


@dataclass(frozen=True, slots=True)
class Proration:
    """How Stripe bills the difference, and the moment (epoch seconds) from which it counts."""

    behavior: str
    moment: int


def due_now(
    billing: Billing, found: Gathered, side: Side, proration: Proration | None, discounts: list[JsonValue]
) -> int:
    """What Stripe would charge now, in minor units; never negative: a credit goes to the balance."""
    if proration is None or proration.behavior != _AT_ONCE:
        return 0
    return max(0, _preview(billing, found, side, proration, discounts).amount_due)


def next_total(
    billing: Billing,
    found: Gathered,
    target: Target,
    proration: Proration | None,
    discounts: list[JsonValue],
) -> int | None:
    """What the next term will be invoiced at, in minor units; None where the subscription ends before.

    With what is prorated now and billed then. `discounts` replace those of the subscription, if any.
    """
    if found.standing.ends:
        return None
    try:
        following = _preview(billing, found, target.next, Proration(_NOT_AT_ALL, 0), discounts)
        if proration is None or proration.behavior != _LATER:
            return following.total
        waiting = _preview(billing, found, target.now, proration, discounts)
    except (MissingInStripe, InvalidRequest):
        return None
    return following.total + _prorated(waiting) - _prorated(following)


def waiting_total(billing: Billing, found: Gathered, side: Side, new_end: int) -> int:
    """What Stripe bills as soon as a trial until `new_end` (epoch seconds) begins: all that has waited.

    Minor units. A renewal by hand is such a trial, and its first invoice takes every waiting item with it.
    """
    details: dict[str, JsonValue] = {
        "items": [{"id": found.item.id, "price": side.price_id, "quantity": side.seats}],
        "trial_end": new_end,
        "proration_behavior": _NOT_AT_ALL,
    }
    form: dict[str, JsonValue] = {"subscription": found.mirror.id, "subscription_details": details}
    try:
        return max(0, read_waiting(billing.read(endpoints.preview_invoice(form))))
    except (MissingInStripe, InvalidRequest):
        return 0


def _prorated(preview: Preview) -> int:
    return sum(line.amount for line in preview.lines if line.proration)


def _preview(
    billing: Billing, found: Gathered, side: Side, proration: Proration, discounts: list[JsonValue]
) -> Preview:
    details: dict[str, JsonValue] = {
        "items": [{"id": found.item.id, "price": side.price_id, "quantity": side.seats}],
        "proration_behavior": proration.behavior,
    }
    if proration.behavior != _NOT_AT_ALL:
        details["proration_date"] = proration.moment
    form: dict[str, JsonValue] = {"subscription": found.mirror.id, "subscription_details": details}
    if discounts:
        form["discounts"] = discounts
    return read_preview(billing.read(endpoints.preview_invoice(form)))
