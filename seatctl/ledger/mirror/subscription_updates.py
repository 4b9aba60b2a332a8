"""What Stripe says of a known subscription, taken over into the ledger; the audit gets what people notice.

Capacity, status, plan, name and calendar are facts; the rest of the row is a copy and not audited.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from seatctl.errors import JsonValue
from seatctl.ledger import subscriptions
from seatctl.ledger.collection import UNSETTLED, pause_text
from seatctl.ledger.transaction import Journal, Transaction
from seatctl.models.call import format_time
from seatctl.models.plan import Policy
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules.item_metadata import said_of
from seatctl.rules.metadata import LEDGER
from seatctl.rules.policies import as_fields
from seatctl.rules.subscription_state import PAID_UNTIL, RENEWED

_COPY = """UPDATE subscriptions SET stripe_subscription = :stripe_id, stripe_item = :item,
    price_id = :price, currency = :currency, collection_method = :collection, quantity = :quantity,
    cancel_at_period_end = :ends, home_ledger = :home, metadata = :metadata WHERE id = :pool"""

# On account an invoice is owed from its due date on, which may lie ahead: whoever reads compares it with
# the clock, so that nothing has to be synced for it. By card it is owed from the moment it was finalized,
# but only while Stripe calls the subscription past due: an open one may just be waiting for a bank.
# One that was written off is owed by nobody. While Stripe calls the subscription past due it goes on
# counting, because the term that it was for is still not paid.
# A renewal that is not paid for takes nothing from the term that was: it is owed from that one's end on.
_UNPAID = f"""UPDATE subscriptions SET unpaid_since = owed.since FROM (
        SELECT s.id, (SELECT min(CASE WHEN i.due_date IS NULL THEN i.finalized_at
            WHEN i.stripe_id = json_extract(s.metadata, :renewed_by)
            THEN max(i.due_date, coalesce(json_extract(s.metadata, :paid_until), ''))
            ELSE i.due_date END) FROM invoices i
            WHERE (i.subscription_id = s.id OR i.stripe_subscription = s.stripe_subscription)
            AND i.{UNSETTLED} AND i.amount_remaining > 0 AND (i.status = 'open' AND i.due_date IS NOT NULL
                OR i.status IN ('open', 'uncollectible')
                AND coalesce(:status, s.status) = 'past_due')) AS since
        FROM subscriptions s WHERE s.id BETWEEN :first AND :last) AS owed
    WHERE owed.id = subscriptions.id AND subscriptions.unpaid_since IS NOT owed.since"""  # noqa: S608 - ours
_NO_LAST = 2**63 - 1
_UNPAID_PATHS = {"renewed_by": f"$.{RENEWED}", "paid_until": f"$.{PAID_UNTIL}"}


@dataclass(frozen=True, slots=True)
class MirrorUpdate:
    """A subscription as Stripe has it at one moment, and how it stands."""

    subscription: StripeSubscription
    item: StripeItem
    standing: SubscriptionState
    plan_id: int
    unit_amount: int
    """Minor units per seat of what is paid for now."""
    policy: Policy | None
    """None: it was bought elsewhere, under none; nothing may be bought on it until it has one."""


def apply(tx: Transaction, subscription: Subscription, seen: MirrorUpdate) -> Subscription:
    """Take over what Stripe says; the subscription as it is now. Recorded only where a fact differs."""
    planned = subscriptions.planned(tx, subscription.id)
    after = apply_unrecorded(tx, subscription, seen)
    was, became = facts(subscription, planned), facts(after, subscriptions.planned(tx, subscription.id))
    if was != became:
        tx.record("subscription", subscription.id, was, became)
    return after


def apply_unrecorded(tx: Transaction, subscription: Subscription, seen: MirrorUpdate) -> Subscription:
    """Take over what Stripe says, without telling the audit; the subscription as it is now."""
    store_copy(tx, subscription, seen)
    mirror, now = seen.subscription, seen.standing
    tx.execute(
        "UPDATE subscriptions SET status = :status, plan_id = :plan, policy = :policy,"
        " unit_amount = :amount, term_start = :start, term_end = :end, capacity = :capacity,"
        " cancel_at = :cancel_at, pause_collection = :pause WHERE id = :pool",
        {
            "status": str(mirror.status),
            "plan": seen.plan_id,
            "policy": None if seen.policy is None else json.dumps(as_fields(seen.policy)),
            "amount": seen.unit_amount,
            "start": format_time(now.term_start),
            "end": format_time(now.term_end),
            "capacity": now.now.seats,
            "cancel_at": None if mirror.cancel_at is None else format_time(mirror.cancel_at),
            "pause": pause_text(mirror.pause),
            "pool": subscription.id,
        },
    )
    _plan_capacity(tx, subscription.id, now)
    return subscriptions.by_id(tx, subscription.id)


def store_copy(journal: Journal, subscription: Subscription, seen: MirrorUpdate) -> None:
    """The columns that are only a copy of Stripe's: nobody's decision, so no fact of the audit."""
    mirror = seen.subscription
    journal.execute(
        _COPY,
        {
            # A renewal that was paid after its contract had ended is a new subscription in Stripe.
            "stripe_id": mirror.id,
            "item": seen.item.id,
            "price": seen.standing.now.price_id,
            "currency": seen.item.price.currency,
            "collection": mirror.collection_method,
            "quantity": seen.standing.next.seats,
            "ends": int(mirror.cancel_at_period_end),
            "home": mirror.metadata.get(LEDGER),
            "metadata": json.dumps(dict(said_of(mirror, seen.item))),
            "pool": subscription.id,
        },
    )
    update_unpaid_since(journal, subscription.id, mirror)


def update_unpaid_since(journal: Journal, subscription_id: int, mirror: StripeSubscription) -> None:
    """Since when (on account: from when on) the oldest unpaid invoice is owed; the grace runs from there.

    The invoices and the metadata were written before.
    """
    _update_unpaid_since(journal, subscription_id, subscription_id, str(mirror.status))


def update_unpaid_since_of_all(journal: Journal) -> None:
    """As `note_unpaid`, of every subscription: an invoice of our own changes without its subscription."""
    update_unpaid_since_of_new(journal, 0)


def update_unpaid_since_of_new(journal: Journal, after: int) -> None:
    """As `note_unpaid`, of every subscription that is newer than the one with the id `after`."""
    _update_unpaid_since(journal, after + 1, _NO_LAST, None)


def _update_unpaid_since(journal: Journal, first: int, last: int, status: str | None) -> None:
    journal.execute(_UNPAID, {"first": first, "last": last, "status": status, **_UNPAID_PATHS})


def facts(subscription: Subscription, planned: subscriptions.NextTerm) -> dict[str, JsonValue]:
    """What the audit compares: what waits for the renewal is a decision too."""
    cancel = None if subscription.cancel_at is None else format_time(subscription.cancel_at)
    waits: dict[str, JsonValue] = {"next_seats": planned.seats, "next_plan": planned.plan}
    pause: dict[str, JsonValue] = {"pause_collection": pause_text(subscription.pause)}
    return {**subscriptions.snapshot(subscription), "cancel_at": cancel, **waits, **pause}


def _plan_capacity(tx: Transaction, subscription: int, standing: SubscriptionState) -> None:
    """The capacity that begins with the next term, in place of what was planned before."""
    tx.execute(
        "DELETE FROM capacity_changes WHERE subscription_id = ? AND applied_at IS NULL", (subscription,)
    )
    if standing.next.seats != standing.now.seats:
        tx.insert(
            "INSERT INTO capacity_changes (subscription_id, effective_at, seats) VALUES (?, ?, ?)",
            (subscription, format_time(standing.term_end), standing.next.seats),
        )
