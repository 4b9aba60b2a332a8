"""Subscriptions found in Stripe by a sync: lookup by Stripe id, adding, and changes of their items."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime

from seatctl.ledger import subscriptions
from seatctl.ledger.collection import pause_text
from seatctl.ledger.mirror.subscription_updates import record_change
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_text
from seatctl.models.plan import Plan, Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.rules.approval_rules import auto_approval_fields
from seatctl.rules.item_metadata import metadata_of
from seatctl.rules.metadata import LEDGER
from seatctl.rules.names import name_key
from seatctl.rules.policies import as_fields
from seatctl.rules.subscription_state import PAID_UNTIL


@dataclass(frozen=True, slots=True)
class NewMirroredSubscription:
    """An item of a Stripe subscription that becomes a subscription of the ledger."""

    name: str
    plan: Plan
    customer_id: int
    subscription: StripeSubscription
    item: StripeItem
    policy: Policy | None
    owner_id: int | None
    auto_approval: AutoApproval
    home_ledger: str | None


def of_stripe(reader: Reader, stripe_subscription: str) -> list[Subscription]:
    """Return the subscriptions of a Stripe subscription, oldest first."""
    rows = reader.rows(
        "SELECT id FROM subscriptions WHERE stripe_subscription = ? ORDER BY id", (stripe_subscription,)
    )
    return [subscriptions.by_id(reader, row["id"]) for row in list(rows)]


def stripe_ids(reader: Reader) -> set[str]:
    """Return the ids of the Stripe subscriptions that the ledger's subscriptions belong to."""
    return {
        row["stripe_subscription"] for row in reader.rows("SELECT stripe_subscription FROM subscriptions")
    }


def last_id(reader: Reader) -> int:
    """Return the highest id of a subscription; 0 if there is none."""
    return reader.count("SELECT max(id) FROM subscriptions")


def with_due_change(reader: Reader, now: datetime) -> list[str]:
    """Return the Stripe subscriptions with a planned change that is due: Stripe sends no event for it."""
    rows = reader.rows(
        "SELECT DISTINCT stripe_subscription FROM subscriptions WHERE term_end <= :now"
        " AND status IN ('active', 'trialing', 'past_due') AND metadata LIKE :waiting"
        " ORDER BY stripe_subscription",
        {"now": format_time(now), "waiting": f'%"{PAID_UNTIL}"%'},
    )
    return [row["stripe_subscription"] for row in rows]


def taken_name_keys(reader: Reader) -> set[str]:
    """Return the keys of all taken names: those of subscriptions and of unfinished purchases."""
    held = {row["name_key"] for row in reader.rows("SELECT name_key FROM subscriptions")}
    reserved = reader.rows(
        "SELECT reserved_name FROM operations WHERE state IN ('pending', 'waiting')"
        " AND reserved_name IS NOT NULL"
    )
    return held | {row["reserved_name"] for row in reserved}


def add(tx: Transaction, found: NewMirroredSubscription) -> Subscription:
    """Insert a subscription from Stripe's item alone, without seatctl's metadata and without invoices."""
    mirror, item = found.subscription, found.item
    inserted = tx.insert(
        "INSERT INTO subscriptions (name, name_key, plan_id, customer_id, stripe_subscription, stripe_item,"
        " status, policy, price_id, currency, unit_amount, collection_method, term_start, term_end,"
        " quantity, capacity, owner_id, auto_approval, cancel_at_period_end, cancel_at, home_ledger,"
        " metadata, pause_collection, created_at)"
        " VALUES (:name, :key, :plan, :customer, :subscription, :item, :status, :policy, :price, :currency,"
        " :amount, :collection, :start, :end, :quantity, :quantity, :owner, :approval, :ends, :cancel_at,"
        " :home, :metadata, :pause, :created)",
        {
            "name": found.name,
            "key": name_key(found.name),
            "plan": found.plan.id,
            "customer": found.customer_id,
            "subscription": mirror.id,
            "item": item.id,
            "status": str(mirror.status),
            "policy": None if found.policy is None else json.dumps(as_fields(found.policy)),
            "price": item.price.id,
            "currency": item.price.currency,
            "amount": item.price.unit_amount or 0,
            "collection": mirror.collection_method,
            "start": format_time(item.period_start),
            "end": format_time(item.period_end),
            "quantity": item.quantity or 0,
            "owner": found.owner_id,
            "approval": json.dumps(auto_approval_fields(found.auto_approval)),
            "ends": int(mirror.cancel_at_period_end),
            "cancel_at": None if mirror.cancel_at is None else format_time(mirror.cancel_at),
            "home": found.home_ledger,
            "metadata": json.dumps(dict(metadata_of(mirror, item))),
            "pause": pause_text(mirror.pause),
            "created": format_time(mirror.created_at),
        },
    )
    # Thousands are added by one sync. An owner has an address besides, which only the row leads to.
    return _added(inserted, found) if found.owner_id is None else subscriptions.by_id(tx, inserted)


def _added(identifier: int, found: NewMirroredSubscription) -> Subscription:
    """The row that was just inserted, as it would be read."""
    mirror, item = found.subscription, found.item
    return Subscription(
        id=identifier,
        name=found.name,
        plan_id=found.plan.id,
        plan_slug=found.plan.slug,
        customer_id=found.customer_id,
        stripe_subscription=mirror.id,
        stripe_item=item.id,
        status=mirror.status,
        capacity=item.quantity or 0,
        assigned=0,
        policy=found.policy,
        currency=item.price.currency,
        unit_amount=item.price.unit_amount or 0,
        term_start=item.period_start,
        term_end=item.period_end,
        owner_id=None,
        owner_email=None,
        auto_approval=found.auto_approval,
        cancel_at=mirror.cancel_at,
        unpaid_since=None,
        home_ledger=found.home_ledger,
        price_id=item.price.id,
        pause=mirror.pause,
    )


def record_added(tx: Transaction, subscription: Subscription) -> None:
    """Record a subscription that was added from Stripe."""
    tx.record("subscription", subscription.id, None, subscriptions.snapshot(subscription))


def remove_item(tx: Transaction, subscription: Subscription, stripe: StripeSubscription) -> Subscription:
    """Set the capacity to 0 after the item was removed in Stripe. People keep their seats."""
    planned = subscriptions.planned(tx, subscription.id)
    tx.execute(
        "UPDATE subscriptions SET capacity = 0, quantity = 0, status = ?, home_ledger = ?,"
        " cancel_at = ?, pause_collection = ? WHERE id = ?",
        (
            str(stripe.status),
            stripe.metadata.get(LEDGER),
            optional_text(stripe.cancel_at),
            pause_text(stripe.pause),
            subscription.id,
        ),
    )
    # A planned capacity would take effect by the clock alone, for seats that nobody pays for.
    subscriptions.delete_planned_capacity(tx, subscription.id)
    after = subscriptions.by_id(tx, subscription.id)
    record_change(tx, subscription, planned, after)
    return after


def replace_item(tx: Transaction, subscription: Subscription, item: StripeItem) -> None:
    """Store that the item of a subscription was replaced by another item of its Stripe subscription."""
    tx.execute("UPDATE subscriptions SET stripe_item = ? WHERE id = ?", (item.id, subscription.id))
    # Recorded as a fact: a transaction with no other change would be rolled back, and the next change would
    # be sent to Stripe for an item that does not exist.
    tx.record(
        "subscription", subscription.id, {"stripe_item": subscription.stripe_item}, {"stripe_item": item.id}
    )
