"""Updates of a known subscription to what Stripe has.

Capacity, status, plan, policy and dates are facts and audited; the other columns are a copy and are not.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions
from seatctl.ledger.collection import UNSETTLED, pause_text
from seatctl.ledger.conditions import numbers_in
from seatctl.ledger.transaction import Journal, Transaction
from seatctl.models.call import format_time, optional_text
from seatctl.models.plan import Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription, SubscriptionState
from seatctl.rules.metadata import LEDGER, mirrored_metadata
from seatctl.rules.policies import as_fields
from seatctl.rules.subscription_state import PAID_UNTIL, RENEWED

# On account, an invoice counts as unpaid from its due date on, but not while a bank is processing its
# payment. The date may be in the future: reads compare it with the clock, so that no sync is needed. An
# invoice charged to a card counts from its finalization, but only while the subscription is past due in
# Stripe: an open invoice may just be waiting for a bank. A written-off invoice counts only while the
# subscription is past due, because its term is still not paid. An unpaid renewal does not affect the term
# before it: it counts from the end of that term on.
_UNPAID = f"""UPDATE subscriptions SET unpaid_since = owed.since FROM (
        SELECT s.id, (SELECT min(CASE WHEN i.due_date IS NULL THEN i.finalized_at
            WHEN i.stripe_id = json_extract(s.metadata, :renewed_by)
                AND json_extract(s.metadata, :paid_until) > i.due_date
            THEN json_extract(s.metadata, :paid_until)
            ELSE i.due_date END) FROM invoices i
            WHERE (i.subscription_id = s.id OR i.stripe_subscription = s.stripe_subscription)
            AND i.{UNSETTLED} AND i.amount_remaining > 0 AND (i.status = 'open' AND i.due_date IS NOT NULL
                AND json_extract(i.data, '$.processing_until') IS NULL
                OR i.status IN ('open', 'uncollectible')
                AND coalesce(:status, s.status) = 'past_due')) AS since
        FROM subscriptions s WHERE {{chosen}}) AS owed
    WHERE owed.id = subscriptions.id AND subscriptions.unpaid_since IS DISTINCT FROM owed.since"""
_UNPAID_PATHS = {"renewed_by": f"$.{RENEWED}", "paid_until": f"$.{PAID_UNTIL}"}


@dataclass(frozen=True, slots=True)
class MirrorUpdate:
    """A subscription as Stripe has it, and its state derived from that."""

    subscription: StripeSubscription
    item: StripeItem
    state: SubscriptionState
    plan_id: int
    unit_amount: int
    """Minor units per seat of the running term."""
    policy: Policy | None
    """None for a subscription that was bought outside of seatctl; nothing can be bought on it until it has a
    policy."""


def apply(tx: Transaction, subscription: Subscription, update: MirrorUpdate) -> Subscription:
    """Store what Stripe has, record changed facts, and return the updated subscription."""
    if (
        update.item.id != subscription.stripe_item
        and update.subscription.id == subscription.stripe_subscription
    ):
        _record_item(tx, subscription, update.item)
    planned = subscriptions.planned(tx, subscription.id)
    after = apply_unrecorded(tx, subscription, update)
    record_change(tx, subscription, planned, after)
    return after


def _record_item(tx: Transaction, subscription: Subscription, item: StripeItem) -> None:
    """Record that the item of a subscription was replaced by another item of its Stripe subscription.

    It is a fact: a transaction with no other change would be rolled back, and the next change would be sent
    to Stripe for an item that does not exist.
    """
    before: dict[str, JsonValue] = {"stripe_item": subscription.stripe_item}
    tx.record("subscription", subscription.id, before, {"stripe_item": item.id})


def record_change(
    tx: Transaction, before: Subscription, planned_before: subscriptions.NextTerm, after: Subscription
) -> None:
    """Record what changed of a subscription, if any audited fact did."""
    old, new = _facts(before, planned_before), _facts(after, subscriptions.planned(tx, after.id))
    if old != new:
        tx.record("subscription", after.id, old, new)


def apply_unrecorded(tx: Transaction, subscription: Subscription, update: MirrorUpdate) -> Subscription:
    """Store what Stripe has without recording it, and return the updated subscription."""
    store_copy(tx, subscription, update)
    mirror, state = update.subscription, update.state
    tx.update_row(
        "subscriptions",
        subscription.id,
        {
            "status": str(mirror.status),
            "plan_id": update.plan_id,
            "policy": None if update.policy is None else json.dumps(as_fields(update.policy)),
            "unit_amount": update.unit_amount,
            "term_start": format_time(state.term_start),
            "term_end": format_time(state.term_end),
            "capacity": state.now.seats,
            "cancel_at": optional_text(mirror.cancel_at),
            "pause_collection": pause_text(mirror.pause),
        },
    )
    _plan_capacity(tx, subscription.id, state)
    return subscriptions.by_id(tx, subscription.id)


def store_copy(journal: Journal, subscription: Subscription, update: MirrorUpdate) -> None:
    """Store the columns that are a copy of Stripe's and not audited."""
    mirror = update.subscription
    journal.update_row(
        "subscriptions",
        subscription.id,
        {
            # A renewal that is paid after the contract has ended creates a new Stripe subscription.
            "stripe_subscription": mirror.id,
            "stripe_item": update.item.id,
            "price_id": update.state.now.price_id,
            "currency": update.item.price.currency,
            "collection_method": mirror.collection_method,
            "quantity": update.state.next.seats,
            "cancel_at_period_end": int(mirror.cancel_at_period_end),
            "home_ledger": mirror.metadata.get(LEDGER),
            "metadata": json.dumps(mirrored_metadata(mirror, update.item)),
        },
    )
    update_unpaid_since(journal, subscription.id, mirror)


def update_unpaid_since(journal: Journal, subscription_id: int, mirror: StripeSubscription) -> None:
    """Set `unpaid_since`: when the oldest unpaid invoice became due, or will; the grace period begins there.

    Its invoices and metadata must have been stored before.
    """
    journal.execute(
        _UNPAID.format(chosen="s.id = :id"),
        {"id": subscription_id, "status": str(mirror.status), **_UNPAID_PATHS},
    )


def update_unpaid_since_of_all(journal: Journal) -> None:
    """Like `update_unpaid_since`, for all: the invoices of operations change without their subscription."""
    journal.execute(_UNPAID.format(chosen="TRUE"), {"status": None, **_UNPAID_PATHS})


def update_unpaid_since_of_new(journal: Journal, added: Sequence[int]) -> None:
    """Like `update_unpaid_since`, for the subscriptions with these ids."""
    journal.execute(
        _UNPAID.format(chosen=f"s.id IN {numbers_in(':added')}"),
        {"added": json.dumps([*added]), "status": None, **_UNPAID_PATHS},
    )


def _facts(subscription: Subscription, planned: subscriptions.NextTerm) -> dict[str, JsonValue]:
    """Return the facts that are audited, including what is planned for the next term."""
    return {
        **subscriptions.snapshot(subscription),
        "cancel_at": optional_text(subscription.cancel_at),
        "next_seats": planned.seats,
        "next_plan": planned.plan,
        "pause_collection": pause_text(subscription.pause),
    }


def _plan_capacity(tx: Transaction, subscription_id: int, state: SubscriptionState) -> None:
    """Replace the planned capacity by that of the next term."""
    subscriptions.delete_planned_capacity(tx, subscription_id)
    if state.next.seats != state.now.seats:
        tx.insert_row(
            "capacity_changes",
            {
                "subscription_id": subscription_id,
                "effective_at": format_time(state.term_end),
                "seats": state.next.seats,
            },
        )
