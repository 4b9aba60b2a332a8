"""The state of a subscription, from Stripe's subscription and its metadata (docs/billing.md). Pure.

While a change waits for the term's end, Stripe's item already holds the next term's seats and price, set
without proration so that the renewal bills them. The metadata says what is paid until then.
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
from seatctl.rules.item_metadata import metadata_of
from seatctl.rules.policy_of_term import PAID_POLICY, running_policy

PAID_SEATS: Final = "seatctl_paid_seats"
PAID_UNTIL: Final = "seatctl_paid_until"
PAID_PLAN: Final = "seatctl_paid_plan"
PAID_PRICE: Final = "seatctl_paid_price"
PAID_ITEM: Final = "seatctl_paid_item"
"""The item on which the paid seats were bought: an item that replaces it is paid separately."""
NEXT_QUANTITY: Final = "seatctl_next_quantity"
NEXT_PLAN: Final = "seatctl_next_plan"
TERM_START: Final = "seatctl_term_start"
RENEWED: Final = "seatctl_renewed_by"
"""The invoice that paid for the next term in advance."""

_DIGITS: Final = 9
"""A number of seats with more digits is a mistake of somebody who edited the metadata."""

_SIDES: Final = (
    *(PAID_SEATS, PAID_UNTIL, PAID_PLAN, PAID_PRICE, PAID_ITEM),
    *(NEXT_QUANTITY, NEXT_PLAN, TERM_START, RENEWED),
)
_KEYS: Final = (*_SIDES, *PAID_POLICY)


@dataclass(frozen=True, slots=True)
class LedgerFacts:
    """What the ledger adds to Stripe's subscription, such as its name."""

    name: str
    policy: Policy
    """The policy of what the item holds."""
    plan_of_item: str
    assigned: int
    owed: tuple[OwedInvoice, ...] = ()


def read_state(
    known: LedgerFacts, subscription: StripeSubscription, item: StripeItem, at: datetime
) -> SubscriptionState:
    """Return the subscription's state at `at` (UTC)."""
    metadata, seats = metadata_of(subscription, item), item.quantity or 0
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
        began = (
            until  # Stripe's period began when the renewal was paid; the term began when the old one ended
        )
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
    """Return the metadata of a change that waits until `until`; empty values clear it if nothing waits.

    A renewed term is paid whatever item it begins on: it must not be paid twice.
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
    """Return the number of paid seats; None if it was edited by hand and is not a number."""
    if not text:
        return otherwise
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else None


def _moment(metadata: Mapping[str, str], key: str) -> datetime | None:
    try:
        return parse_time(metadata[key]) if metadata.get(key) else None
    except ValueError:
        return None  # edited in the dashboard: Stripe's own fields count
