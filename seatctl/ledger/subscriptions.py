"""Subscriptions: queries by name or Stripe id, and changes. Updates from Stripe are in `mirror/`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote
from typing import TYPE_CHECKING

from seatctl.errors import Code, JsonValue, refuse
from seatctl.ledger.collection import OWED, pause_text, read_owed, read_pause
from seatctl.ledger.locks import lock_subscriptions
from seatctl.ledger.row_values import mapper, stored_policy
from seatctl.ledger.subscription_handles import CONDITION, UnknownSubscription, parameters, unknown_error
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_text
from seatctl.models.plan import Policy
from seatctl.models.subscription import AutoApproval, Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.approval import auto_approval_fields, read_auto_approval
from seatctl.rules.metadata import BILLING_MODE, mirrored_metadata
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
    s.auto_approval, s.cancel_at, s.unpaid_since, s.home_ledger, s.price_id, s.pause_collection AS pause,
    {OWED} AS owed
    FROM subscriptions s JOIN plans p ON p.id = s.plan_id LEFT JOIN users u ON u.id = s.owner_id"""

_NEVER = "0000-00-00T00:00:00Z"


@dataclass(frozen=True, slots=True)
class NewSubscription:
    """An item of a Stripe subscription that becomes a subscription of the ledger."""

    name: str
    plan_id: int
    customer_id: int
    mirror: StripeSubscription
    item: StripeItem
    policy: Policy | None
    owner_id: int | None
    home_ledger: str | None
    auto_approval: AutoApproval | None = None


@dataclass(frozen=True, slots=True)
class NextTerm:
    """Seats and plan (slug) of the next term; the current ones if no change is planned."""

    seats: int
    plan: str


def find(reader: Reader, handle: str, now: datetime | None = None) -> Subscription:
    """Return the subscription with this name, `sub_…` or `si_…`. Raises UnknownSubscription.

    `now` (UTC) counts changes that are due. In a transaction it is not needed: they have been recorded.
    """
    if isinstance(reader, Transaction):
        lock_subscriptions(reader, CONDITION, parameters(handle))
    row = reader.row(f"{_SELECT} WHERE {CONDITION}", {**parameters(handle), "now": _time_text(now)})
    if row is None:
        raise unknown_error(reader, handle)
    return _locked(reader, _subscription(row))


def by_id(reader: Reader, subscription_id: int, now: datetime | None = None) -> Subscription:
    """Return the subscription with this id of the ledger, which must exist."""
    if isinstance(reader, Transaction):
        lock_subscriptions(reader, "s.id = :id", {"id": subscription_id})
    row = reader.row(f"{_SELECT} WHERE s.id = :id", {"id": subscription_id, "now": _time_text(now)})
    if row is None:
        raise UnknownSubscription(f"there is no subscription with the id {subscription_id}")
    return _locked(reader, _subscription(row))


def _locked(reader: Reader, subscription: Subscription) -> Subscription:
    if isinstance(reader, Transaction):
        reader.locked.add(subscription.id)
    return subscription


def lock_both(tx: Transaction, first: str, second: str) -> None:
    """Lock the subscriptions that two handles name, before either of them is looked up."""
    other = parameters(second)
    condition = CONDITION.replace(":key", ":other_key").replace(":handle", ":other_handle")
    params = {**parameters(first), **{f"other_{name}": value for name, value in other.items()}}
    lock_subscriptions(tx, f"{CONDITION} OR {condition}", params)


def planned(reader: Reader, subscription_id: int) -> NextTerm:
    """Return seats and plan of the next term, as Stripe's item and its metadata had them when last read.

    A plan that waited for the next term is not planned any more if its item was replaced in Stripe.
    """
    from seatctl.rules.subscription_state import NEXT_PLAN, is_of_item

    row = reader.row(
        "SELECT s.quantity, p.slug AS plan, s.metadata, s.stripe_item FROM subscriptions s"
        " JOIN plans p ON p.id = s.plan_id WHERE s.id = ?",
        (subscription_id,),
    )
    if row is None:
        raise UnknownSubscription(f"there is no subscription with the id {subscription_id}")
    metadata = json.loads(row["metadata"])
    waiting = metadata.get(NEXT_PLAN) if is_of_item(metadata, row["stripe_item"]) else None
    return NextTerm(row["quantity"], waiting or row["plan"])


def billing_mode(reader: Reader, subscription_id: int) -> str | None:
    """Return Stripe's billing mode, `classic` or `flexible`; None if an earlier version has read it."""
    for row in reader.rows("SELECT metadata FROM subscriptions WHERE id = ?", (subscription_id,)):
        mode: str | None = json.loads(row["metadata"]).get(BILLING_MODE)
        return mode
    return None


def named(reader: Reader, name: str) -> Subscription | None:
    """Return the subscription with exactly this name, or None."""
    row = reader.row(f"{_SELECT} WHERE s.name_key = :key", {"key": name_key(name), "now": _NEVER})
    return None if row is None else _subscription(row)


def require_free_name(reader: Reader, name: str, excluding: Subscription | None = None) -> None:
    """Raise `name_taken` if a subscription other than `excluding` has the name."""
    taken = named(reader, name)
    if taken is not None and (excluding is None or taken.id != excluding.id):
        raise refuse(
            Code.NAME_TAKEN,
            f"there is already a subscription {taken.name}",
            hint=f"seatctl subs show {quote(taken.name)}, or buy with another --name",
            data={"subscription": taken.name},
        )


def listing(reader: Reader, now: datetime, *, plan: str | None = None) -> Iterator[Subscription]:
    """Yield subscriptions by name; only those of a plan (slug) if given."""
    condition = "WHERE p.slug = :plan" if plan else ""
    query = f"{_SELECT} {condition} ORDER BY s.name_key"
    for row in reader.rows(query, {"plan": plan, "now": _time_text(now)}):
        yield _subscription(row)


def add(tx: Transaction, new: NewSubscription) -> Subscription:
    """Insert a subscription as Stripe has its item. The caller records it, once its state is known."""
    mirror, item = new.mirror, new.item
    added = tx.insert_row(
        "subscriptions",
        {
            "name": new.name,
            "name_key": name_key(new.name),
            "plan_id": new.plan_id,
            "customer_id": new.customer_id,
            "stripe_subscription": mirror.id,
            "stripe_item": item.id,
            "status": str(mirror.status),
            "policy": None if new.policy is None else json.dumps(as_fields(new.policy)),
            "price_id": item.price.id,
            "currency": item.price.currency,
            "unit_amount": item.price.unit_amount or 0,
            "collection_method": mirror.collection_method,
            "term_start": format_time(item.period_start),
            "term_end": format_time(item.period_end),
            "quantity": item.quantity or 0,
            "capacity": item.quantity or 0,
            "owner_id": new.owner_id,
            "auto_approval": _auto_approval_text(new.auto_approval) if new.auto_approval else "{}",
            "cancel_at_period_end": int(mirror.cancel_at_period_end),
            "cancel_at": optional_text(mirror.cancel_at),
            "home_ledger": new.home_ledger,
            "metadata": json.dumps(mirrored_metadata(mirror, item)),
            "pause_collection": pause_text(mirror.pause),
            "created_at": format_time(mirror.created_at),
        },
    )
    return by_id(tx, added)


def record_added(tx: Transaction, subscription: Subscription) -> None:
    """Record a new subscription."""
    tx.record("subscription", subscription.id, None, snapshot(subscription))


def rename(tx: Transaction, subscription: Subscription, name: str) -> Subscription:
    """Change the name. The caller has checked in this transaction that the new name is free."""
    tx.update_row("subscriptions", subscription.id, {"name": name, "name_key": name_key(name)})
    return _recorded(tx, subscription, replace(subscription, name=name))


def set_auto_approval(tx: Transaction, subscription: Subscription, rules: AutoApproval) -> Subscription:
    """Change automatic approval and its rules."""
    tx.update_row("subscriptions", subscription.id, {"auto_approval": _auto_approval_text(rules)})
    return _recorded(tx, subscription, replace(subscription, auto_approval=rules))


def set_owner(tx: Transaction, subscription: Subscription, owner_id: int, email: str) -> Subscription:
    """Change the owner."""
    tx.update_row("subscriptions", subscription.id, {"owner_id": owner_id})
    return _recorded(tx, subscription, replace(subscription, owner_id=owner_id, owner_email=email))


def end(tx: Transaction, subscription: Subscription) -> Subscription:
    """Mark a subscription that Stripe no longer has as canceled, and delete its planned capacity."""
    tx.update_row("subscriptions", subscription.id, {"status": SubscriptionStatus.CANCELED.value})
    delete_planned_capacity(tx, subscription.id)
    return _recorded(tx, subscription, replace(subscription, status=SubscriptionStatus.CANCELED))


def _recorded(tx: Transaction, before: Subscription, after: Subscription) -> Subscription:
    tx.record("subscription", before.id, snapshot(before), snapshot(after))
    return after


def _auto_approval_text(rules: AutoApproval) -> str:
    return json.dumps(auto_approval_fields(rules))


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


_subscription = mapper(
    Subscription,
    policy=stored_policy,
    auto_approval=lambda text: read_auto_approval(json.loads(text)),
    pause=read_pause,
    owed=read_owed,
)
