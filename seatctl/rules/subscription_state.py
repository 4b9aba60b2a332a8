"""From Stripe's subscription and its metadata to how it stands (billing.md, "Purchases"). Pure.

While a change waits for the term's end, Stripe's item holds the next term's seats and price already, set
without proration so that Stripe bills right at renewal; the metadata says what is paid for until then.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from seatctl.errors import JsonValue
from seatctl.models.call import format_time, parse_time
from seatctl.models.collection import OwedInvoice
from seatctl.models.plan import Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription_state import SubscriptionState, TermContent
from seatctl.rules.item_metadata import said_of
from seatctl.rules.policy_of_term import PAID_POLICY, running_policy

PAID_SEATS: Final = "seatctl_paid_seats"
PAID_UNTIL: Final = "seatctl_paid_until"
PAID_PLAN: Final = "seatctl_paid_plan"
PAID_PRICE: Final = "seatctl_paid_price"
PAID_ITEM: Final = "seatctl_paid_item"
"""The item that the paid seats were bought on: one that has taken its place was paid for by itself."""
NEXT_QUANTITY: Final = "seatctl_next_quantity"
NEXT_PLAN: Final = "seatctl_next_plan"
TERM_START: Final = "seatctl_term_start"
RENEWED: Final = "seatctl_renewed_by"
"""The invoice that paid the next term in advance."""

_DIGITS: Final = 9
"""More seats than that are a slip of whoever edited the metadata."""

_SIDES: Final = (
    *(PAID_SEATS, PAID_UNTIL, PAID_PLAN, PAID_PRICE, PAID_ITEM),
    *(NEXT_QUANTITY, NEXT_PLAN, TERM_START, RENEWED),
)
_KEYS: Final = (*_SIDES, *PAID_POLICY)


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What Stripe's subscription alone does not tell: the ledger's names for it."""

    name: str
    policy: Policy
    """That of what the item holds."""
    plan_of_item: str
    assigned: int
    owed: tuple[OwedInvoice, ...] = ()


def standing(
    known: LedgerFacts, subscription: StripeSubscription, item: StripeItem, at: datetime
) -> SubscriptionState:
    """How the subscription stands at `at` (UTC)."""
    metadata, seats = said_of(subscription, item), item.quantity or 0
    after = TermContent(item.price.id, known.plan_of_item, seats)
    until, start = _moment(metadata, PAID_UNTIL), _moment(metadata, TERM_START)
    paid = _seats(metadata.get(PAID_SEATS), seats)
    ahead = until is not None and at < until
    own = (metadata.get(PAID_ITEM) or item.id) == item.id
    waits = ahead and own and metadata.get(NEXT_QUANTITY) == str(seats) and paid is not None
    renewed = waits and bool(metadata.get(RENEWED))
    before = after
    if waits and paid is not None:
        before = TermContent(
            metadata.get(PAID_PRICE) or after.price_id,
            metadata.get(PAID_PLAN) or after.plan,
            paid,
        )
    began = start if waits and start is not None else item.period_start
    by_hand = bool(metadata.get(RENEWED)) and until is not None and until <= at and until < item.period_end
    if by_hand and until is not None:
        began = until  # Stripe's period began when the renewal was paid; the term began at the old one's end
    return SubscriptionState(
        name=known.name,
        status=subscription.status,
        policy=running_policy(metadata, known.policy, renewed=renewed) if waits else known.policy,
        next_policy=known.policy,
        now=before,
        next=after,
        term_start=began,
        term_end=until if waits and until is not None else item.period_end,
        period_end=item.period_end,
        renewed=renewed,
        ends_at=subscription.cancel_at,
        assigned=known.assigned,
        by_hand=by_hand,
        pause=subscription.pause,
        owed=known.owed,
    )


def waiting_metadata(
    before: TermContent,
    after: TermContent,
    item: str,
    *,
    start: datetime,
    until: datetime,
    renewed_by: str | None = None,
) -> dict[str, JsonValue]:
    """The metadata of a change that waits until `until`; all empty, which clears it, where nothing waits.

    A term that is renewed is paid for on whichever item it begins: it must not be paid for again.
    """
    if before == after and renewed_by is None:
        return dict.fromkeys(_KEYS, "")
    return {
        PAID_SEATS: str(before.seats),
        PAID_UNTIL: format_time(until),
        PAID_PLAN: before.plan,
        PAID_PRICE: before.price_id,
        PAID_ITEM: "" if renewed_by else item,
        NEXT_QUANTITY: str(after.seats),
        NEXT_PLAN: after.plan,
        TERM_START: format_time(start),
        RENEWED: renewed_by or "",
    }


def _seats(text: str | None, otherwise: int) -> int | None:
    """What is paid for; None where it was edited by hand into no number of seats."""
    if not text:
        return otherwise
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def _moment(metadata: Mapping[str, str], key: str) -> datetime | None:
    try:
        return parse_time(metadata[key]) if metadata.get(key) else None
    except ValueError:
        return None  # written by hand in the dashboard: what Stripe's own fields say counts
