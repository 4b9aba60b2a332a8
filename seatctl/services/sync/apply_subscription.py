"""One subscription of Stripe taken over: its known pools refreshed, replaced items followed, new ones added.

Each licensed item is a pool of seats; metered items are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.ledger import operations, subscriptions
from seatctl.ledger.mirror import customers, invoices, subscription_updates
from seatctl.ledger.mirror import mirrored_subscriptions as mirrored_pools
from seatctl.ledger.mirror.mirrored_subscriptions import NewMirroredSubscription
from seatctl.ledger.transaction import Journal, Reader, Transaction
from seatctl.models.plan import Plan
from seatctl.models.report import Record
from seatctl.models.stripe_objects import StripeItem, StripePrice, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.adoption import name_from_customer, named_in_metadata, taken_in, unique
from seatctl.rules.item_metadata import OURS, as_known, said_of
from seatctl.rules.metadata import LEDGER, NAME, auto_approval_of
from seatctl.rules.names import name_key
from seatctl.rules.plural import counted
from seatctl.services.subscriptions.snapshot import mirror_update, state_of
from seatctl.services.sync.apply_plans import plan_for
from seatctl.services.sync.apply_settings import owner_said, take_settings

ENDED = frozenset(("canceled", "incomplete_expired"))


def copy(journal: Journal, found: StripeSubscription, now: datetime) -> None:
    """The columns of the known pools that are only a copy of Stripe's, as of `now` (UTC)."""
    known = mirrored_pools.of_stripe(journal, found.id)
    found = as_known(found, known)
    for pool in known:
        item = item_of(pool, found)
        if item is not None and not _is_busy(journal, pool):
            invoices.attach(journal, found.id, pool.id)
            stands = state_of(journal, pool, found, item, now)
            subscription_updates.store_copy(journal, pool, mirror_update(journal, pool, found, item, stands))


@dataclass(frozen=True, slots=True)
class ApplyContext:
    """What is looked up once for all the subscriptions that one transaction takes over."""

    ledger_id: str
    names: set[str]
    """The keys of the names that are taken."""
    known: set[str]
    """The Stripe subscriptions that were pools before."""
    at: datetime
    """When Stripe was read, by its own clock."""
    last: int
    """The newest pool before: what this transaction adds comes after it."""
    plans: dict[str, Plan] = field(default_factory=dict)
    """By product."""

    def plan_for(self, tx: Transaction, price: StripePrice) -> Plan:
        """As `plan_mirroring.plan_for`."""
        if price.product_id not in self.plans:
            self.plans[price.product_id] = plan_for(tx, price)
        return self.plans[price.product_id]


def begin(tx: Transaction, ledger_id: str, at: datetime) -> ApplyContext:
    """Before the first subscription is taken over, when the plans are what Stripe says `at` (UTC)."""
    keys, known = mirrored_pools.taken_name_keys(tx), mirrored_pools.stripe_ids(tx)
    return ApplyContext(ledger_id, keys, known, at, mirrored_pools.last_id(tx))


def has_to_wait(tx: Transaction, found: StripeSubscription, taking: ApplyContext) -> bool:
    """Whether a pool of it has an open operation: its end decides, and what is said here counts after it."""
    known = mirrored_pools.of_stripe(tx, found.id) if found.id in taking.known else []
    return any(_is_busy(tx, pool) for pool in known)


def take(tx: Transaction, found: StripeSubscription, taking: ApplyContext) -> Iterator[Record]:
    """A row for each pool that was added or has changed. `finish` comes after the last one.

    The caller has asked whether it `has_to_wait`.
    """
    known = mirrored_pools.of_stripe(tx, found.id) if found.id in taking.known else []
    licensed = [item for item in found.items if item.licensed]
    if not known and _is_followed(tx, found, taking.ledger_id):
        return
    new = [item for item in licensed if all(item.id != pool.stripe_item for pool in known)]
    followed = _replaced(tx, [pool for pool in known if item_of(pool, found) is None], new, taking)
    found = as_known(
        found,
        [replace(pool, stripe_item=followed[pool.id].id) if pool.id in followed else pool for pool in known],
    )
    for pool in known:
        item = item_of(pool, found) or followed.get(pool.id)
        if pool.id in followed:
            mirrored_pools.replace_item(tx, pool, followed[pool.id])
        yield from _refresh(tx, pool, found, item, taking)
    for item in sorted(new, key=lambda one: one.created):  # the metadata speaks of the oldest
        yield _add(tx, found, item, licensed, taking)


def _replaced(
    tx: Transaction, without: list[Subscription], new: list[StripeItem], taking: ApplyContext
) -> dict[int, StripeItem]:
    """The new items that take the place of those that pools have lost, by pool; taken out of `new`.

    One of the same plan goes first, or people would be moved to another product. So they would where a
    pool was empty before already: what is added later and of another plan is a pool of its own.
    """
    followed: dict[int, StripeItem] = {}
    for alike in (True, False):
        for pool in without:
            fitting = (one for one in new if taking.plan_for(tx, one.price).id == pool.plan_id or not alike)
            item = next(fitting, None)
            if pool.id not in followed and item is not None and (alike or pool.capacity):
                followed[pool.id] = item
                new.remove(item)
    return followed


def finish(tx: Transaction, taking: ApplyContext) -> None:
    """Give the pools that were added their invoices, and note what is owed for them: of all at once."""
    invoices.attach_to_new(tx, taking.last)
    subscription_updates.update_unpaid_since_of_new(tx, taking.last)


def _is_followed(reader: Reader, found: StripeSubscription, ledger_id: str) -> bool:
    """Whether a contract of ours ended and a renewal that was paid late began it anew under its name."""
    name = named_in_metadata(found.metadata.get(NAME))
    if found.status not in ENDED or name is None or found.metadata.get(LEDGER) != ledger_id:
        return False
    pool = subscriptions.named(reader, name)
    return pool is not None and pool.stripe_subscription != found.id and pool.home_ledger == ledger_id


def _refresh(
    tx: Transaction,
    pool: Subscription,
    found: StripeSubscription,
    item: StripeItem | None,
    taking: ApplyContext,
) -> Iterator[Record]:
    if item is None:
        after = mirrored_pools.remove_item(tx, pool, found)
    else:
        plan_for(tx, item.price)
        stands = state_of(tx, pool, found, item, taking.at)
        after = subscription_updates.apply(tx, pool, mirror_update(tx, pool, found, item, stands))
    after = take_settings(tx, after, found, taking.names)
    if after != pool:
        yield {
            "kind": "subscription",
            "name": after.name,
            "result": "changed",
            "summary": _difference(pool, after) if item is not None else _taken_off(pool, after),
            "error": None,
        }


def _add(
    tx: Transaction,
    found: StripeSubscription,
    item: StripeItem,
    licensed: list[StripeItem],
    taking: ApplyContext,
) -> Record:
    plan = taking.plan_for(tx, item.price)
    customer, title, email = customers.name_and_email(tx, found.customer_id)
    said = said_of(found, item)
    wanted = named_in_metadata(said.get(NAME))
    if wanted is None:
        base = named_in_metadata(found.metadata.get(NAME)) or name_from_customer(
            title, email, found.customer_id
        )
        # Each licensed item of a subscription with several is a pool of its own.
        wanted = base if len(licensed) == 1 else f"{base}/{plan.slug}"
    name = unique(wanted, taken_in(taking.names))
    taking.names.add(name_key(name))
    added = mirrored_pools.add(
        tx,
        NewMirroredSubscription(
            name=name,
            plan=plan,
            customer_id=customer,
            subscription=found,
            item=item,
            policy=None,
            owner_id=owner_said(tx, said),
            auto_approval=auto_approval_of(said),
            home_ledger=found.metadata.get(LEDGER) or None,
        ),
    )
    pool = added  # of one made elsewhere, its item says all there is to know
    if any(key.startswith(OURS) for key in said):
        stands = state_of(tx, added, found, item, taking.at)
        pool = subscription_updates.apply_unrecorded(tx, added, mirror_update(tx, added, found, item, stands))
    mirrored_pools.record_added(tx, pool)
    return {
        "kind": "subscription",
        "name": pool.name,
        "result": "added",
        "summary": f"{counted(pool.capacity, 'seat')} of {pool.plan_slug}, {pool.status.replace('_', ' ')}",
        "error": None,
    }


def _taken_off(before: Subscription, after: Subscription) -> str:
    """The change of a pool whose item is gone; what helps is said by what needs seats of it."""
    return f"taken off its subscription in Stripe: {_difference(before, after)}"


def _difference(before: Subscription, after: Subscription) -> str:
    """What a person would notice."""
    pairs = [
        ("name", before.name, after.name),
        ("status", before.status, after.status),
        ("seats", before.capacity, after.capacity),
        ("plan", before.plan_slug, after.plan_slug),
        ("collection", _collects(before), _collects(after)),
        ("term end", f"{before.term_end:%Y-%m-%d}", f"{after.term_end:%Y-%m-%d}"),
    ]
    changed = [f"{what} {was} → {now}" for what, was, now in pairs if was != now]
    return ", ".join(changed) or "details changed"


def _collects(pool: Subscription) -> str:
    """Whether its invoices are collected, as a person would say it."""
    if pool.pause is None:
        return "on"
    until = pool.pause.resumes_at
    return "paused" if until is None else f"paused until {until:%Y-%m-%d}"


def item_of(pool: Subscription, found: StripeSubscription) -> StripeItem | None:
    """The item that a pool is, None where it was taken off the subscription."""
    return next((item for item in found.items if item.id == pool.stripe_item), None)


def _is_busy(reader: Reader, pool: Subscription) -> bool:
    """One with an open operation is left alone: its own end takes Stripe's word over."""
    return operations.of_subscription(reader, pool.id) is not None
