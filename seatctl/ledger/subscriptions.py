"""Subscriptions: queries by name or Stripe id, and changes. Updates from Stripe are in `mirror/`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger.collection import OWED, read_owed, read_pause
from seatctl.ledger.engines.port import Row
from seatctl.ledger.row_values import stored_policy
from seatctl.ledger.subscription_handles import CONDITION, UnknownSubscription, parameters, unknown_error
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_time, parse_time
from seatctl.models.subscription import AutoApproval, Subscription, SubscriptionStatus
from seatctl.rules.approval_rules import auto_approval_fields, read_auto_approval
from seatctl.rules.names import name_key
from seatctl.rules.policies import as_fields

if TYPE_CHECKING:
    from seatctl.models.stripe_objects import StripeItem, StripeSubscription

# Reads never write: capacity changes that are due and seats whose `until` has passed are counted here,
# although only the next transaction records them.
_SELECT = f"""SELECT s.id, s.name, s.plan_id, p.slug AS plan_slug, s.customer_id, s.stripe_subscription,
    s.stripe_item, s.status, coalesce((SELECT c.seats FROM capacity_changes c
        WHERE c.subscription_id = s.id AND c.applied_at IS NULL AND c.effective_at <= :now
        ORDER BY c.effective_at DESC, c.id DESC LIMIT 1), s.capacity) AS capacity,
    s.assigned - (SELECT count(*) FROM seats t WHERE +t.subscription_id = s.id AND t.revoked_at IS NULL
        AND t.until IS NOT NULL AND t.until <= :now) AS assigned,
    s.policy, s.currency, s.unit_amount, s.term_start, s.term_end, s.owner_id, u.email AS owner_email,
    s.auto_approval, s.cancel_at, s.unpaid_since, s.home_ledger, s.price_id, s.pause_collection,
    {OWED} AS owed
    FROM subscriptions s JOIN plans p ON p.id = s.plan_id LEFT JOIN users u ON u.id = s.owner_id"""

_NEVER = "0000-00-00T00:00:00Z"


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """The values of a purchased subscription."""

    name: str
    plan_id: int
    price_id: str
    customer_id: int
    subscription: StripeSubscription
    item: StripeItem
    capacity: int
    policy: JsonValue
    owner_id: int | None
    home_ledger: str


@dataclass(frozen=True, slots=True)
class NextTerm:
    """Seats and plan (slug) of the next term; the current ones if no change is planned."""

    seats: int
    plan: str


def find(reader: Reader, handle: str, now: datetime | None = None) -> Subscription:
    """Return the subscription with this name, `sub_…` or `si_…`. Raises UnknownSubscription.

    `now` (UTC) counts changes that are due. In a transaction it is not needed: they have been recorded.
    """
    row = reader.row(f"{_SELECT} WHERE {CONDITION}", {**parameters(handle), "now": _time_text(now)})
    if row is None:
        raise unknown_error(reader, handle)
    return _subscription(row)


def by_id(reader: Reader, subscription_id: int, now: datetime | None = None) -> Subscription:
    """Return the subscription with this id of the ledger, which must exist."""
    row = reader.row(f"{_SELECT} WHERE s.id = :id", {"id": subscription_id, "now": _time_text(now)})
    if row is None:
        raise UnknownSubscription(f"there is no subscription with the id {subscription_id}")
    return _subscription(row)


def planned(reader: Reader, subscription_id: int) -> NextTerm:
    """Return seats and plan of the next term, as Stripe's item and its metadata had them when last read."""
    from seatctl.rules.subscription_state import NEXT_PLAN

    row = reader.row(
        "SELECT s.quantity, p.slug AS plan, s.metadata FROM subscriptions s JOIN plans p ON p.id = s.plan_id"
        " WHERE s.id = ?",
        (subscription_id,),
    )
    if row is None:
        raise UnknownSubscription(f"there is no subscription with the id {subscription_id}")
    return NextTerm(row["quantity"], json.loads(row["metadata"]).get(NEXT_PLAN) or row["plan"])


def named(reader: Reader, name: str) -> Subscription | None:
    """Return the subscription with exactly this name, or None."""
    row = reader.row(f"{_SELECT} WHERE s.name_key = :key", {"key": name_key(name), "now": _NEVER})
    return None if row is None else _subscription(row)


def listing(reader: Reader, now: datetime, *, plan: str | None = None) -> Iterator[Subscription]:
    """Yield subscriptions by name; only those of a plan (slug) if given."""
    condition = "WHERE p.slug = :plan" if plan else ""
    query = f"{_SELECT} {condition} ORDER BY s.name_key"
    for row in reader.rows(query, {"plan": plan, "now": _time_text(now)}):
        yield _subscription(row)


def add(tx: Transaction, bought: NewSubscription) -> Subscription:
    """Insert and record a purchased subscription."""
    mirror, item = bought.subscription, bought.item
    inserted = tx.insert(
        "INSERT INTO subscriptions (name, name_key, plan_id, customer_id, stripe_subscription, stripe_item,"
        " status, policy, price_id, currency, unit_amount, collection_method, term_start, term_end,"
        " quantity, capacity, owner_id, cancel_at_period_end, cancel_at, home_ledger, metadata, created_at)"
        " VALUES (:name, :key, :plan, :customer, :subscription, :item, :status, :policy, :price, :currency,"
        " :amount, :collection, :start, :end, :quantity, :capacity, :owner, :ends, :cancel_at, :home,"
        " :metadata, :created)",
        {
            "name": bought.name,
            "key": name_key(bought.name),
            "plan": bought.plan_id,
            "customer": bought.customer_id,
            "subscription": mirror.id,
            "item": item.id,
            "status": str(mirror.status),
            "policy": json.dumps(bought.policy),
            "price": bought.price_id,
            "currency": item.price.currency,
            "amount": item.price.unit_amount,
            "collection": mirror.collection_method,
            "start": format_time(item.period_start),
            "end": format_time(item.period_end),
            "quantity": item.quantity,
            "capacity": bought.capacity,
            "owner": bought.owner_id,
            "ends": int(mirror.cancel_at_period_end),
            "cancel_at": None if mirror.cancel_at is None else format_time(mirror.cancel_at),
            "home": bought.home_ledger,
            "metadata": json.dumps(dict(mirror.metadata)),
            "created": format_time(mirror.created_at),
        },
    )
    added = by_id(tx, inserted)
    tx.record("subscription", added.id, None, snapshot(added))
    return added


def rename(tx: Transaction, subscription: Subscription, name: str) -> Subscription:
    """Change the name. The caller has checked in this transaction that the new name is free."""
    after = replace(subscription, name=name)
    tx.execute(
        "UPDATE subscriptions SET name = ?, name_key = ? WHERE id = ?",
        (name, name_key(name), subscription.id),
    )
    tx.record("subscription", subscription.id, snapshot(subscription), snapshot(after))
    return after


def set_auto_approval(tx: Transaction, subscription: Subscription, rules: AutoApproval) -> Subscription:
    """Change automatic approval and its rules."""
    after = replace(subscription, auto_approval=rules)
    tx.execute(
        "UPDATE subscriptions SET auto_approval = ? WHERE id = ?",
        (json.dumps(auto_approval_fields(rules)), subscription.id),
    )
    tx.record("subscription", subscription.id, snapshot(subscription), snapshot(after))
    return after


def set_owner(tx: Transaction, subscription: Subscription, owner_id: int, email: str) -> Subscription:
    """Change the owner."""
    after = replace(subscription, owner_id=owner_id, owner_email=email)
    tx.execute("UPDATE subscriptions SET owner_id = ? WHERE id = ?", (owner_id, subscription.id))
    tx.record("subscription", subscription.id, snapshot(subscription), snapshot(after))
    return after


def end(tx: Transaction, subscription: Subscription) -> Subscription:
    """Mark a subscription that Stripe no longer has as canceled, and delete its planned capacity."""
    after = replace(subscription, status=SubscriptionStatus.CANCELED)
    tx.execute("UPDATE subscriptions SET status = ? WHERE id = ?", (str(after.status), subscription.id))
    delete_planned_capacity(tx, subscription.id)
    tx.record("subscription", subscription.id, snapshot(subscription), snapshot(after))
    return after


def delete_planned_capacity(tx: Transaction, subscription_id: int) -> None:
    """Delete the capacity that is planned for the next term, if any."""
    tx.execute(
        "DELETE FROM capacity_changes WHERE subscription_id = ? AND applied_at IS NULL", (subscription_id,)
    )


def snapshot(subscription: Subscription) -> dict[str, JsonValue]:
    """Return the subscription as the audit records it."""
    return {
        "name": subscription.name,
        "plan": subscription.plan_slug,
        "stripe_subscription": subscription.stripe_subscription,
        "status": str(subscription.status),
        "capacity": subscription.capacity,
        "unit_amount": subscription.unit_amount,
        "currency": subscription.currency,
        "term_start": format_time(subscription.term_start),
        "term_end": format_time(subscription.term_end),
        "owner_id": subscription.owner_id,
        "auto_approval": auto_approval_fields(subscription.auto_approval),
        "policy": None if subscription.policy is None else as_fields(subscription.policy),
    }


def _time_text(now: datetime | None) -> str:
    return _NEVER if now is None else format_time(now)


def _subscription(row: Row) -> Subscription:
    return Subscription(
        id=row["id"],
        name=row["name"],
        plan_id=row["plan_id"],
        plan_slug=row["plan_slug"],
        customer_id=row["customer_id"],
        stripe_subscription=row["stripe_subscription"],
        stripe_item=row["stripe_item"],
        status=SubscriptionStatus(row["status"]),
        capacity=row["capacity"],
        assigned=row["assigned"],
        policy=stored_policy(row["policy"]),
        currency=row["currency"],
        unit_amount=row["unit_amount"],
        term_start=parse_time(row["term_start"]),
        term_end=parse_time(row["term_end"]),
        owner_id=row["owner_id"],
        owner_email=row["owner_email"],
        auto_approval=read_auto_approval(json.loads(row["auto_approval"])),
        cancel_at=optional_time(row["cancel_at"]),
        unpaid_since=optional_time(row["unpaid_since"]),
        home_ledger=row["home_ledger"],
        price_id=row["price_id"],
        pause=read_pause(row["pause_collection"]),
        owed=read_owed(row["owed"]),
    )
