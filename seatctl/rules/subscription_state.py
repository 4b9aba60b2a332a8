"""The state of a subscription, from Stripe's subscription and its metadata (docs/billing.md). Pure.

While a change waits for the term's end, Stripe's item already holds the next term's seats and price, set
without proration so that the renewal bills them. The metadata says what is paid until then.

The metadata's policy belongs to what Stripe's item holds. Until that term begins, the earlier policy stays in
force: all of it while a plan change waits; if the next term is already paid, only what a seat grants.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from seatctl.errors import JsonValue
from seatctl.models.call import format_time, parse_time
from seatctl.models.collection import OwedInvoice
from seatctl.models.plan import Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import SubscriptionState, TermContent
from seatctl.rules.metadata import metadata_of
from seatctl.rules.policies import FLEXIBLE, BadPolicy, as_fields, as_metadata, from_fields

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

PAID_RULES: Final = "seatctl_paid_rules"
PAID_FEATURES: Final = "seatctl_paid_features"
PAID_SIGN_IN: Final = "seatctl_paid_sign_in_url"
PAID_CONTACT: Final = "seatctl_paid_support_contact"
PAID_POLICY: Final = (PAID_RULES, PAID_FEATURES, PAID_SIGN_IN, PAID_CONTACT)
"""The policy of the running term, while another one waits for its end."""

_ALONE: Final = ("features", "sign_in_url", "support_contact")
"""Fields that may be as long as a metadata value, so each has its own key."""

_DIGITS: Final = 9
"""A number of seats with more digits is a mistake of somebody who edited the metadata."""

_KEYS: Final = (
    *(PAID_SEATS, PAID_UNTIL, PAID_PLAN, PAID_PRICE, PAID_ITEM),
    *(NEXT_QUANTITY, NEXT_PLAN, TERM_START, RENEWED),
    *PAID_POLICY,
)


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
    own = is_of_item(metadata, item.id)
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


def is_of_item(metadata: Mapping[str, str], item: str) -> bool:
    """Return whether the change that waits, if there is one, was made to this item.

    Somebody in Stripe may have replaced the item since. A renewal names no item: it is paid for any.
    """
    return (metadata.get(PAID_ITEM) or item) == item


def replaced_change(
    subscription: StripeSubscription, item: StripeItem, at: datetime
) -> tuple[TermContent, datetime] | None:
    """Return what is paid for, and until when, if somebody in Stripe has replaced a change that waited.

    None if no change waited, if it still waits, or if the item holds what is paid for again.
    """
    metadata, seats = metadata_of(subscription, item), item.quantity or 0
    until, paid = _moment(metadata, PAID_UNTIL), _seats(metadata.get(PAID_SEATS), seats)
    own = is_of_item(metadata, item.id)
    if until is None or at >= until or paid is None or not own or metadata.get(NEXT_QUANTITY) == str(seats):
        return None
    price = metadata.get(PAID_PRICE) or item.price.id
    if (paid, price) == (seats, item.price.id):
        return None
    return TermContent(price, metadata.get(PAID_PLAN, ""), paid), until


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


def item_update(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """Return the item of an update: its id, and what differs between `held` and `wanted`.

    Stripe refuses an update that names an archived price, even if the item already has it and only the
    quantity changes. `held` is None in payloads of earlier versions; then both are sent.
    """
    form: dict[str, JsonValue] = {"id": item}
    if held is None or wanted.price_id != held.price_id:
        form["price"] = wanted.price_id
    if held is None or wanted.seats != held.seats:
        form["quantity"] = wanted.seats
    return form


def items_changed(item: JsonValue, held: TermContent | None, wanted: TermContent) -> dict[str, JsonValue]:
    """Return the `items` of an update, or nothing if the item already holds what is wanted."""
    form = item_update(item, held, wanted)
    return {"items": [form]} if len(form) > 1 else {}


@dataclass(frozen=True, slots=True)
class TermPolicies:
    """The policies of the running term and of the next one."""

    now: Policy
    next: Policy

    @property
    def metadata(self) -> dict[str, JsonValue]:
        """The metadata of both: the next term's policy, and the running term's while it differs."""
        kept = cleared_policy(self.now, self.next) or paid_policy(self.now)
        return {**as_metadata(self.next), **kept}


def cleared_policy(running: Policy, upcoming: Policy) -> dict[str, JsonValue]:
    """Return the metadata that removes a kept policy if both are the same; else nothing.

    A policy left over from an earlier term would be in force again as soon as the next change waits.
    """
    return dict.fromkeys(PAID_POLICY, "") if running == upcoming else {}


def paid_policy(policy: Policy) -> dict[str, JsonValue]:
    """Return the metadata that keeps a policy until the term's end."""
    fields, usual = as_fields(policy), as_fields(FLEXIBLE)
    rules = {name: value for name, value in fields.items() if name not in _ALONE and value != usual[name]}
    return {
        PAID_RULES: json.dumps(rules, separators=(",", ":")),
        PAID_FEATURES: ",".join(policy.features),
        PAID_SIGN_IN: policy.sign_in_url or "",
        PAID_CONTACT: policy.support_contact or "",
    }


def running_policy(metadata: Mapping[str, str], upcoming: Policy, *, renewed: bool) -> Policy:
    """Return the policy that is in force now, while `upcoming` begins with the next term.

    Once the next term is paid, its rules for buying apply; what its seats grant begins with the term.
    """
    kept = _kept(metadata)
    if kept is None:
        return upcoming
    if renewed:
        return replace(upcoming, features=kept.features, sign_in_url=kept.sign_in_url)
    return kept


def _kept(metadata: Mapping[str, str]) -> Policy | None:
    """Return the kept policy; None if there is none, or if it was edited by hand and is not valid."""
    try:
        rules = json.loads(metadata.get(PAID_RULES) or "null")
        if not isinstance(rules, dict):
            return None
        alone = {
            "features": metadata.get(PAID_FEATURES),
            "sign_in_url": metadata.get(PAID_SIGN_IN),
            "support_contact": metadata.get(PAID_CONTACT),
        }
        return from_fields({**rules, **{name: text for name, text in alone.items() if text}})
    except (ValueError, BadPolicy):
        return None
