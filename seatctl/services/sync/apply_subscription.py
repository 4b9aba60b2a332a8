"""Applies one Stripe subscription to facts: updates its subscriptions, follows replaced items, adds new ones.

Each licensed item is a subscription of the ledger; metered items are left alone. In this package the
Stripe subscription is the `mirror`. Its metadata has the name, owner and automatic approval of each
subscription: this is how a rebuilt ledger, or one that is not the home, gets them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.ledger import operations, subscriptions, users
from seatctl.ledger.mirror import customers, invoices, mirrored_subscriptions, subscription_updates
from seatctl.ledger.subscriptions import NewSubscription
from seatctl.ledger.transaction import Journal, Reader, Transaction
from seatctl.models.plan import Plan
from seatctl.models.report import Record, counted
from seatctl.models.stripe_objects import StripeItem, StripePrice, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.adoption import name_from_customer, named_in_metadata, taken_in, unique
from seatctl.rules.emails import check_email
from seatctl.rules.metadata import (
    AUTO_APPROVAL,
    LEDGER,
    NAME,
    OURS,
    OWNER,
    auto_approval_of,
    metadata_of,
    with_described_item,
)
from seatctl.rules.names import name_key
from seatctl.services.subscriptions.snapshot import mirror_update, state_of
from seatctl.services.sync.apply_plans import plan_for

ENDED = frozenset(("canceled", "incomplete_expired"))


def store_copy(journal: Journal, mirror: StripeSubscription, now: datetime) -> None:
    """Store the columns that are only a copy of Stripe's, as of `now` (UTC), of the known subscriptions."""
    known = mirrored_subscriptions.of_stripe(journal, mirror.id)
    mirror = with_described_item(mirror, known)
    for subscription in known:
        item = item_of(subscription, mirror)
        if item is not None and not _has_open_operation(journal, subscription):
            invoices.attach(journal, mirror.id, subscription.id)
            state = state_of(journal, subscription, mirror, item, now)
            update = mirror_update(journal, subscription, mirror, item, state)
            subscription_updates.store_copy(journal, subscription, update)


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """What is looked up once for all the Stripe subscriptions that one transaction applies."""

    ledger_id: str
    names: set[str]
    """The keys of the names that are taken."""
    known: set[str]
    """The ids of the Stripe subscriptions that the ledger had before."""
    at: datetime
    """When Stripe was read, by its own clock."""
    last: int
    """The id of the newest subscription before: this transaction adds those after it."""
    plans: dict[str, Plan] = field(default_factory=dict)
    """By product."""

    def plan_for(self, tx: Transaction, price: StripePrice) -> Plan:
        """As `apply_plans.plan_for`, looked up once per product."""
        if price.product_id not in self.plans:
            self.plans[price.product_id] = plan_for(tx, price)
        return self.plans[price.product_id]


def begin(tx: Transaction, ledger_id: str, at: datetime) -> ApplyContext:
    """The context of a transaction, for Stripe as read `at` (UTC). Apply the plans before."""
    names, known = mirrored_subscriptions.taken_name_keys(tx), mirrored_subscriptions.stripe_ids(tx)
    return ApplyContext(ledger_id, names, known, at, mirrored_subscriptions.last_id(tx))


def must_wait(tx: Transaction, mirror: StripeSubscription, context: ApplyContext) -> bool:
    """Whether it must not be applied yet, because one of its subscriptions has an open operation."""
    known = mirrored_subscriptions.of_stripe(tx, mirror.id) if mirror.id in context.known else []
    return any(_has_open_operation(tx, subscription) for subscription in known)


def apply(tx: Transaction, mirror: StripeSubscription, context: ApplyContext) -> Iterator[Record]:
    """Add or update the subscriptions of a Stripe subscription; a row for each that differs.

    Call `finish` after the last one. A Stripe subscription that `must_wait` must not be applied.
    """
    known = mirrored_subscriptions.of_stripe(tx, mirror.id) if mirror.id in context.known else []
    licensed = [item for item in mirror.items if item.licensed]
    if not known and _has_successor(tx, mirror, context.ledger_id):
        return
    new = [item for item in licensed if all(item.id != one.stripe_item for one in known)]
    lost_item = [subscription for subscription in known if item_of(subscription, mirror) is None]
    replaced = _replacements(tx, lost_item, new, context)
    mirror = with_described_item(
        mirror,
        [replace(one, stripe_item=replaced[one.id].id) if one.id in replaced else one for one in known],
    )
    for subscription in known:
        item = item_of(subscription, mirror) or replaced.get(subscription.id)
        if subscription.id in replaced:
            mirrored_subscriptions.replace_item(tx, subscription, replaced[subscription.id])
        yield from _update(tx, subscription, mirror, item, context)
    for item in sorted(new, key=lambda one: one.created):  # the metadata describes the oldest
        yield _add(tx, mirror, item, licensed, context)


def _replacements(
    tx: Transaction, lost_item: list[Subscription], new: list[StripeItem], context: ApplyContext
) -> dict[int, StripeItem]:
    """The new item of each subscription that has lost its item, by subscription; removed from `new`.

    An item of the same plan is chosen first, because otherwise people would get seats of another product.
    For the same reason an item of another plan does not replace the item of a subscription that had no
    seats before: that item becomes a subscription of its own.
    """
    replaced: dict[int, StripeItem] = {}
    for same_plan in (True, False):
        for subscription in lost_item:
            candidates = (
                item
                for item in new
                if not same_plan or context.plan_for(tx, item.price).id == subscription.plan_id
            )
            item = next(candidates, None)
            if subscription.id not in replaced and item is not None and (same_plan or subscription.capacity):
                replaced[subscription.id] = item
                new.remove(item)
    return replaced


def finish(tx: Transaction, context: ApplyContext) -> None:
    """Attach the invoices of the added subscriptions and note what is unpaid, in two statements for all."""
    invoices.attach_to_new(tx, context.last)
    subscription_updates.update_unpaid_since_of_new(tx, context.last)


def _has_successor(reader: Reader, mirror: StripeSubscription, ledger_id: str) -> bool:
    """Whether this contract of ours has ended and a late renewal continues it under the same name."""
    name = named_in_metadata(mirror.metadata.get(NAME))
    if mirror.status not in ENDED or name is None or mirror.metadata.get(LEDGER) != ledger_id:
        return False
    successor = subscriptions.named(reader, name)
    return (
        successor is not None
        and successor.stripe_subscription != mirror.id
        and successor.home_ledger == ledger_id
    )


def _update(
    tx: Transaction,
    subscription: Subscription,
    mirror: StripeSubscription,
    item: StripeItem | None,
    context: ApplyContext,
) -> Iterator[Record]:
    if item is None:
        after = mirrored_subscriptions.remove_item(tx, subscription, mirror)
    else:
        plan_for(tx, item.price)
        state = state_of(tx, subscription, mirror, item, context.at)
        update = mirror_update(tx, subscription, mirror, item, state)
        after = subscription_updates.apply(tx, subscription, update)
    after = _apply_settings(tx, after, mirror, context.names)
    if after != subscription:
        difference = _difference(subscription, after)
        off = "" if item is not None else "taken off its subscription in Stripe: "
        yield sync_row("subscription", after.name, "changed", f"{off}{difference}")


def _add(
    tx: Transaction,
    mirror: StripeSubscription,
    item: StripeItem,
    licensed: list[StripeItem],
    context: ApplyContext,
) -> Record:
    plan = context.plan_for(tx, item.price)
    customer, title, email = customers.name_and_email(tx, mirror.customer_id)
    metadata = metadata_of(mirror, item)
    wanted = named_in_metadata(metadata.get(NAME))
    if wanted is None:
        base = named_in_metadata(mirror.metadata.get(NAME)) or name_from_customer(
            title, email, mirror.customer_id
        )
        wanted = base if len(licensed) == 1 else f"{base}/{plan.slug}"
    name = unique(wanted, taken_in(context.names))
    context.names.add(name_key(name))
    subscription = subscriptions.add(
        tx,
        NewSubscription(
            name=name,
            plan_id=plan.id,
            customer_id=customer,
            mirror=mirror,
            item=item,
            policy=None,
            owner_id=_owner_in_metadata(tx, metadata),
            auto_approval=auto_approval_of(metadata),
            home_ledger=mirror.metadata.get(LEDGER) or None,
        ),
    )
    if any(key.startswith(OURS) for key in metadata):  # else the item tells everything
        state = state_of(tx, subscription, mirror, item, context.at)
        update = mirror_update(tx, subscription, mirror, item, state)
        subscription = subscription_updates.apply_unrecorded(tx, subscription, update)
    subscriptions.record_added(tx, subscription)
    seats, status = counted(subscription.capacity, "seat"), subscription.status.replace("_", " ")
    summary = f"{seats} of {subscription.plan_slug}, {status}"
    return sync_row("subscription", subscription.name, "added", summary)


def sync_row(kind: str, name: str, result: str, summary: str) -> Record:
    """Return the row of an object in the report of a sync."""
    return {"kind": str(kind), "name": name, "result": result, "summary": summary, "error": None}


def _difference(before: Subscription, after: Subscription) -> str:
    """What a person would notice."""
    pairs = [
        ("name", before.name, after.name),
        ("status", before.status, after.status),
        ("seats", before.capacity, after.capacity),
        ("plan", before.plan_slug, after.plan_slug),
        ("collection", _collection(before), _collection(after)),
        ("term end", f"{before.term_end:%Y-%m-%d}", f"{after.term_end:%Y-%m-%d}"),
    ]
    changed = [f"{what} {was} → {now}" for what, was, now in pairs if was != now]
    return ", ".join(changed) or "details changed"


def _collection(subscription: Subscription) -> str:
    """Whether Stripe collects its invoices, for people: on, paused, or paused until a day."""
    if subscription.pause is None:
        return "on"
    until = subscription.pause.resumes_at
    return "paused" if until is None else f"paused until {until:%Y-%m-%d}"


def item_of(subscription: Subscription, mirror: StripeSubscription) -> StripeItem | None:
    """The item of a subscription, None if it was removed from the Stripe subscription."""
    return next((item for item in mirror.items if item.id == subscription.stripe_item), None)


def _has_open_operation(reader: Reader, subscription: Subscription) -> bool:
    """Whether it has an open operation, whose own end applies what Stripe has."""
    return operations.of_subscription(reader, subscription.id) is not None


def _owner_in_metadata(tx: Transaction, metadata: Mapping[str, str]) -> int | None:
    """The user whom the metadata names as the owner, added if unknown; None if it names nobody."""
    email = metadata.get(OWNER)
    if not email or check_email(email):
        return None
    known = users.find(tx, email)
    return (known or users.add(tx, email)).id


def _apply_settings(
    tx: Transaction, subscription: Subscription, mirror: StripeSubscription, names: set[str]
) -> Subscription:
    """Record what the metadata changes, and return the subscription with it. `names`: keys that are taken."""
    item = item_of(subscription, mirror)
    if item is None:
        return subscription
    metadata = metadata_of(mirror, item)
    subscription = _apply_name(tx, subscription, metadata, names)
    if not _is_earlier_email(tx, subscription, metadata.get(OWNER)):
        owner = _owner_in_metadata(tx, metadata)
        if owner is not None and owner != subscription.owner_id:
            subscription = subscriptions.set_owner(tx, subscription, owner, metadata[OWNER])
    rules = auto_approval_of(metadata)
    if AUTO_APPROVAL in metadata and rules != subscription.auto_approval:
        subscription = subscriptions.set_auto_approval(tx, subscription, rules)
    return subscription


def _is_earlier_email(tx: Transaction, subscription: Subscription, email: str | None) -> bool:
    """Whether Stripe still has an e-mail that the owner had before it was changed in this ledger."""
    return (
        subscription.owner_id is not None
        and bool(email)
        and users.had_email(tx, subscription.owner_id, email or "")
    )


def _apply_name(
    tx: Transaction, subscription: Subscription, metadata: Mapping[str, str], names: set[str]
) -> Subscription:
    wanted = named_in_metadata(metadata.get(NAME))
    if wanted is None or wanted == subscription.name or _is_numbered(subscription.name, wanted):
        return subscription
    names.discard(name_key(subscription.name))
    name = unique(wanted, taken_in(names))
    names.add(name_key(name))
    return subscriptions.rename(tx, subscription, name)


def _is_numbered(name: str, wanted: str) -> bool:
    """Whether `name` is `wanted` with a number, added because another subscription had that name."""
    suffix = name.removeprefix(wanted)
    return suffix != name and suffix.startswith("-") and suffix[1:].isdigit()
