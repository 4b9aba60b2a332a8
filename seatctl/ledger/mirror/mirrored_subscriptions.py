"""Subscriptions found in Stripe by a sync: lookup by Stripe id, adding, and changes of their items."""

from __future__ import annotations

import json
from datetime import datetime

from seatctl.ledger import subscriptions
from seatctl.ledger.collection import pause_text
from seatctl.ledger.mirror.subscription_updates import record_change
from seatctl.ledger.operations import IS_OPEN
from seatctl.ledger.subscription_handles import IS_RUNNING
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import format_time, optional_text
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.metadata import BILLING_MODE, LEDGER
from seatctl.rules.subscription_state import PAID_UNTIL


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


def with_due_change(reader: Reader, now: datetime) -> list[str]:
    """Return the Stripe subscriptions with a planned change that is due: Stripe sends no event for it."""
    return reader.column(
        "SELECT DISTINCT stripe_subscription FROM subscriptions WHERE term_end <= :now"
        f" AND {IS_RUNNING} AND json_extract(metadata, :paid_until) IS NOT NULL"
        " ORDER BY stripe_subscription",
        {"now": format_time(now), "paid_until": f"$.{PAID_UNTIL}"},
    )


def billing_modes(reader: Reader) -> dict[str, str | None]:
    """Return Stripe's billing mode of each Stripe subscription; None if an earlier version has read it."""
    rows = reader.rows("SELECT stripe_subscription, metadata FROM subscriptions ORDER BY id")
    return {row["stripe_subscription"]: json.loads(row["metadata"]).get(BILLING_MODE) for row in rows}


def taken_name_keys(reader: Reader) -> set[str]:
    """Return the keys of all taken names: those of subscriptions and of unfinished purchases."""
    held = {row["name_key"] for row in reader.rows("SELECT name_key FROM subscriptions")}
    reserved = reader.rows(
        f"SELECT reserved_name FROM operations WHERE {IS_OPEN} AND reserved_name IS NOT NULL"
    )
    return held | {row["reserved_name"] for row in reserved}


def remove_item(tx: Transaction, subscription: Subscription, stripe: StripeSubscription) -> Subscription:
    """Set the capacity to 0 after the item was removed in Stripe. People keep their seats."""
    planned = subscriptions.planned(tx, subscription.id)
    tx.update_row(
        "subscriptions",
        subscription.id,
        {
            "capacity": 0,
            "quantity": 0,
            "status": str(stripe.status),
            "home_ledger": stripe.metadata.get(LEDGER),
            "cancel_at": optional_text(stripe.cancel_at),
            "pause_collection": pause_text(stripe.pause),
        },
    )
    # A planned capacity would take effect by the clock alone, for seats that nobody pays for.
    subscriptions.delete_planned_capacity(tx, subscription.id)
    after = subscriptions.by_id(tx, subscription.id)
    record_change(tx, subscription, planned, after)
    return after
