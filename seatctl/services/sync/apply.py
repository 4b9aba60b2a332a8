"""Applies what a sync has stored in the mirror to facts, in one transaction: plans first, then subscriptions.

The caller holds the money lock: an operation of this ledger that ends meanwhile would be overwritten with an
older copy.

Each licensed item of a Stripe subscription is a subscription of the ledger; metered items are left alone. In
this package the Stripe subscription is the `mirror`. Its metadata has the name, owner and automatic approval
of each subscription: this is how a rebuilt ledger, or one that is not the home, gets them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from seatctl.billing.objects import UnreadableObject, read_price, read_product, read_subscription
from seatctl.ledger import operations, plans, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import (
    customers,
    invoices,
    mirrored_subscriptions,
    stripe_objects,
    subscription_updates,
)
from seatctl.ledger.subscriptions import NewSubscription
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.operation import OperationState
from seatctl.models.plan import Plan
from seatctl.models.report import Record, counted
from seatctl.models.stripe_objects import (
    Kind,
    StripeItem,
    StripePrice,
    StripeProduct,
    StripeSubscription,
    Unreadable,
)
from seatctl.models.subscription import Subscription
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.adoption import (
    as_in_stripe,
    name_from_customer,
    named_in_metadata,
    new_plan,
    taken_in,
    unique,
)
from seatctl.rules.emails import check_email
from seatctl.rules.metadata import (
    AUTO_APPROVAL,
    LEDGER,
    NAME,
    OPERATION,
    OURS,
    OWNER,
    auto_approval_of,
    metadata_of,
    with_described_item,
)
from seatctl.rules.names import name_key
from seatctl.services.plans.prices import with_amounts
from seatctl.services.subscriptions.snapshot import mirror_update, state_of


@dataclass(slots=True)
class AppliedChanges:
    """What became of the subscriptions that were read."""

    rows: list[Record] = field(default_factory=list)
    plans: int = 0
    """How many plans were added or changed."""
    skipped: list[Unreadable] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    """The Stripe ids that need not wait in the mirror any longer."""


def apply_changes(ledger: Ledger, call: Call, deleted: list[str], at: datetime) -> AppliedChanges:
    """Apply everything that waits in the mirror, as Stripe had it `at` (UTC, Stripe's time).

    `deleted`: products that Stripe has deleted.
    """
    with ledger.reading() as reader:
        # Running ones first, then by age: earlier ones get names without a number.
        waiting = stripe_objects.waiting_subscriptions(reader)
        own = own_marks(reader, ledger.id)
        reserved = [operation.reserved_name or "" for operation in operations.unfinished(reader)]
    editing = frozenset(name.removeprefix("plan:") for name in reserved if name.startswith("plan:"))
    _store_copies(ledger, at, waiting)
    applied = AppliedChanges()
    with ledger.change(call) as tx:
        applied.plans = _apply_plans(tx, deleted, editing)
        context = _ApplyContext(ledger.id, mirrored_subscriptions.taken_name_keys(tx), at)
        stored = mirrored_subscriptions.stripe_ids(tx)
        for mirror in _read(tx, waiting):
            known = mirrored_subscriptions.of_stripe(tx, mirror.id) if mirror.id in stored else []
            if any(_has_open_operation(tx, subscription) for subscription in known):
                continue  # it keeps waiting, so that nothing is lost if the operation fails
            if own.is_unfinished(mirror) or own.is_of_failed_purchase(mirror):
                applied.done.append(mirror.id)
                continue
            try:
                applied.rows.extend(_apply(tx, mirror, known, context))
            except UnreadableObject as error:
                applied.skipped.append(Unreadable(Kind.SUBSCRIPTION, mirror.id, error.message))
            applied.done.append(mirror.id)
        if context.added:  # two statements for all
            invoices.attach_to_new(tx, context.added)
            subscription_updates.update_unpaid_since_of_new(tx, context.added)
        tx.summarise("applied what has changed in Stripe")
    with ledger.journal() as journal:
        subscription_updates.update_unpaid_since_of_all(journal)
    return applied


@dataclass(frozen=True, slots=True)
class OwnMarks:
    """The marks in Stripe's metadata of this ledger's operations that have added no subscription."""

    unfinished: frozenset[str]
    failed: frozenset[str]

    def is_unfinished(self, mirror: StripeSubscription) -> bool:
        """Whether the end of its own operation adds it to the ledger, and not a sync."""
        return mirror.metadata.get(OPERATION) in self.unfinished

    def is_of_failed_purchase(self, mirror: StripeSubscription) -> bool:
        """Whether a failed purchase left it unpaid or canceled. A running one is billed, and counts."""
        return mirror.metadata.get(OPERATION) in self.failed and (
            mirror.status.is_over or mirror.status is SubscriptionStatus.INCOMPLETE
        )


def own_marks(reader: Reader, ledger_id: str) -> OwnMarks:
    """The marks of operations whose Stripe subscriptions a sync must not add."""
    unfinished = [operation.id for operation in operations.unfinished(reader)]
    failed = operations.ids(reader, ("buy", "checkout"), OperationState.FAILED)
    return OwnMarks(_marks(ledger_id, unfinished), _marks(ledger_id, failed))


def _marks(ledger_id: str, operation_ids: Iterable[int]) -> frozenset[str]:
    return frozenset(f"{ledger_id}:{operation_id}" for operation_id in operation_ids)


def _read(reader: Reader, waiting: list[str]) -> Iterator[StripeSubscription]:
    stored = stripe_objects.by_ids(reader, waiting)
    return (with_amounts(reader, read_subscription(one.data)) for one in stored)


def _store_copies(ledger: Ledger, at: datetime, waiting: list[str]) -> None:
    """Store the columns that are only a copy of Stripe's; they are not facts, so the audit skips them."""
    with ledger.journal() as journal:
        stored = mirrored_subscriptions.stripe_ids(journal)
        for mirror in _read(journal, [identifier for identifier in waiting if identifier in stored]):
            known = mirrored_subscriptions.of_stripe(journal, mirror.id)
            described = with_described_item(mirror, known)
            for subscription in known:
                item = item_of(subscription, described)
                if item is not None and not _has_open_operation(journal, subscription):
                    invoices.attach(journal, mirror.id, subscription.id)
                    state = state_of(journal, subscription, described, item, at)
                    update = mirror_update(journal, subscription, described, item, state)
                    subscription_updates.store_copy(journal, subscription, update)


@dataclass(frozen=True, slots=True)
class _ApplyContext:
    """What is looked up once for all the Stripe subscriptions that one transaction applies."""

    ledger_id: str
    names: set[str]
    """The keys of the names that are taken."""
    at: datetime
    """When Stripe was read, by its own clock."""
    added: list[int] = field(default_factory=list)
    """The ids of the subscriptions that this transaction has added."""
    plans: dict[str, Plan] = field(default_factory=dict)
    """By product."""

    def plan_for(self, tx: Transaction, price: StripePrice) -> Plan:
        """Return the plan of a price as `_plan_for`, looked up once per product."""
        if price.product_id not in self.plans:
            self.plans[price.product_id] = _plan_for(tx, price)
        return self.plans[price.product_id]


def _apply(
    tx: Transaction, mirror: StripeSubscription, known: Sequence[Subscription], context: _ApplyContext
) -> Iterator[Record]:
    """Add or update the subscriptions of a Stripe subscription; a row for each that differs.

    `known` are those that the ledger has; none of them has an open operation.
    """
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
        yield from _update(tx, subscription, mirror, item, context)
    for item in sorted(new, key=lambda one: one.created):  # the metadata describes the oldest
        yield _add(tx, mirror, item, licensed, context)


def _replacements(
    tx: Transaction, lost_item: list[Subscription], new: list[StripeItem], context: _ApplyContext
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


def _has_successor(reader: Reader, mirror: StripeSubscription, ledger_id: str) -> bool:
    """Whether this contract of ours has ended and a late renewal continues it under the same name."""
    name = named_in_metadata(mirror.metadata.get(NAME))
    if not mirror.status.is_over or name is None or mirror.metadata.get(LEDGER) != ledger_id:
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
    context: _ApplyContext,
) -> Iterator[Record]:
    if item is None:
        after = mirrored_subscriptions.remove_item(tx, subscription, mirror)
    else:
        context.plan_for(tx, item.price)
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
    context: _ApplyContext,
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
    context.added.append(subscription.id)
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


def products_not_stored(reader: Reader) -> list[str]:
    """The products of plans on sale that the mirror does not have: deleted in Stripe, or not read yet."""
    sold = [plan.product_id for plan in plans.listing(reader, archived=False)]
    return [product for product in sold if stripe_objects.get(reader, product) is None]


def _apply_plans(tx: Transaction, deleted: Iterable[str], editing: frozenset[str]) -> int:
    """Make every plan what its product is in Stripe; return how many were added or changed.

    `deleted`: products that Stripe has deleted; their plans are no longer sold. `editing`: the slugs of plans
    with an open operation, whose own end applies what Stripe has.
    """
    count = 0
    for stored in stripe_objects.listing(tx, Kind.PRODUCT):
        product = read_product(stored.data)
        plan = _plan_of_product(tx, product.id)
        prices = _prices(tx, product.id)
        if plan is None:
            added = new_plan(product, prices, lambda slug: plans.exists(tx, slug) or slug in editing)
            count += int(added is not None and plans.add(tx, added) is not None)
        elif plan.slug not in editing:
            count += int(_save(tx, plan, as_in_stripe(plan, product, prices)))
    for product_id in deleted:
        plan = _plan_of_product(tx, product_id)
        if plan is not None and plan.slug not in editing:
            count += int(_save(tx, plan, replace(plan, active=False)))
    return count


def _plan_for(tx: Transaction, price: StripePrice) -> Plan:
    """The plan of a price that bills a subscription; added if its product is not sold any more."""
    plan = _plan_of_product(tx, price.product_id)
    if plan is not None:
        return plan
    stored = stripe_objects.get(tx, price.product_id)
    product = (
        StripeProduct(price.product_id, price.lookup_key or price.product_id, False, None, {})
        if stored is None
        else read_product(stored.data)
    )
    # If the prices of the product are not stored, this price alone says how the plan is billed.
    prices = [one for one in _prices(tx, product.id) if one.usage_type == "licensed"] or [price]
    added = new_plan(product, prices, lambda slug: plans.exists(tx, slug), in_use=True)
    if added is None:
        added = new_plan(product, [price], lambda slug: plans.exists(tx, slug), in_use=True)
    if added is None:
        raise UnreadableObject(f"price {price.id} is not a recurring price")
    return plans.add(tx, added)


def _plan_of_product(reader: Reader, product_id: str) -> Plan | None:
    """The plan of a product, or None."""
    try:
        return plans.find(reader, product_id)
    except plans.UnknownPlan:
        return None


def _prices(reader: Reader, product_id: str) -> list[StripePrice]:
    return [read_price(stored.data) for stored in stripe_objects.prices_of(reader, product_id)]


def _save(tx: Transaction, before: Plan, after: Plan) -> bool:
    plans.save(tx, before, after)
    return before != after
