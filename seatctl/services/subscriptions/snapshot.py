"""What a change of a running subscription is decided on: the ledger's row and Stripe's own word, read now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from shlex import quote

from seatctl.billing import endpoints
from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import read_price, read_subscription
from seatctl.billing.port import Billing, MissingInStripe
from seatctl.errors import Code, JsonValue, Refused, refuse
from seatctl.ledger import operations, plans, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import mirrored_subscriptions, stripe_objects
from seatctl.ledger.mirror.subscription_updates import MirrorUpdate
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.mirror import Kind
from seatctl.models.plan import Plan, Policy
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeItem, StripePrice, StripeSubscription
from seatctl.models.subscription import Subscription, SubscriptionStatus
from seatctl.models.subscription_state import SubscriptionState
from seatctl.rules import hints
from seatctl.rules.assignment import ForeignLedger, require_home
from seatctl.rules.item_metadata import as_known, is_on_item, said_of
from seatctl.rules.metadata import LEDGER
from seatctl.rules.policies import FLEXIBLE, BadPolicy, from_metadata
from seatctl.rules.subscription_changes import require_running
from seatctl.rules.subscription_state import LedgerFacts, standing
from seatctl.rules.term_content import side_fields
from seatctl.services.plans.edit import require_policy
from seatctl.services.users.permissions import allow


def metadata_item(mirror: StripeSubscription, item: StripeItem) -> str | None:
    """The item, where what is said of its pool is kept there and not on the subscription."""
    return item.id if is_on_item(mirror, item) else None


@dataclass(frozen=True, slots=True)
class SubscriptionSnapshot:
    """A subscription as the ledger and Stripe have it, and how it stands."""

    subscription: Subscription
    mirror: StripeSubscription
    item: StripeItem
    state: SubscriptionState
    stripe_time: datetime
    """When Stripe said so, by its own clock."""
    last_operation: int
    """The last operation of the subscription when this was read: a later one has changed what was read."""
    read_at: datetime
    """The machine's time (UTC) at which the ledger told `pool`."""

    @property
    def payload_fields(self) -> dict[str, JsonValue]:
        """Where an operation finds it in Stripe, for its payload."""
        return {
            "subscription": self.subscription.id,
            "stripe_id": self.mirror.id,
            "item": self.item.id,
            "said_on": metadata_item(self.mirror, self.item),
            "held": side_fields(self.state.next),
        }


class ItemGone(Refused):
    """What the subscription was in Stripe is not there any more."""

    kind = Code.ITEM_GONE


def require_unshared(ledger: Ledger, snapshot: SubscriptionSnapshot, action: str) -> None:
    """Raise `shared_subscription` if the Stripe subscription has other items, which `action` would affect."""
    others = [item.id for item in snapshot.mirror.items if item.licensed and item.id != snapshot.item.id]
    if not others:
        return
    with ledger.reading() as reader:
        names = [item.name for item in mirrored_subscriptions.of_stripe(reader, snapshot.mirror.id)]
    named = ", ".join(name for name in names if name != snapshot.subscription.name) or "another item"
    raise refuse(
        Code.SHARED_SUBSCRIPTION,
        f"{snapshot.subscription.name} shares its Stripe subscription with {named}; {action} would affect"
        f" {named} too",
        hint="take its item off the subscription in Stripe's dashboard, then: seatctl sync",
        data={"subscription": snapshot.subscription.name, "others": [*others]},
    )


_ENDED = frozenset((SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED))


def require_unscheduled(snapshot: SubscriptionSnapshot) -> None:
    """Raise `managed_by_schedule` if Stripe's subscription has a schedule."""
    schedule = snapshot.mirror.schedule
    if schedule is not None and snapshot.mirror.status not in _ENDED:
        raise refuse(
            Code.MANAGED_BY_SCHEDULE,
            f"{snapshot.subscription.name} is managed by the schedule {schedule} in Stripe, whose next phase"
            " would overwrite a change; nothing was changed",
            hint="release the schedule in Stripe's dashboard, then run the same command again",
            data={"subscription": snapshot.subscription.name, "schedule": schedule},
        )


def read_running(
    ledger: Ledger, billing: Billing, call: Call, handle: str, action: Action
) -> SubscriptionSnapshot:
    """As `look`, of a subscription that is running. Raises NotRunning and `plan_without_policy` too."""
    snapshot = read_changeable(ledger, billing, call, handle, action)
    _require_policy(ledger, snapshot.subscription, snapshot.mirror, snapshot.item)
    require_running(snapshot.state)
    return snapshot


def read_changeable(
    ledger: Ledger, billing: Billing, call: Call, handle: str, action: Action
) -> SubscriptionSnapshot:
    """Read what a change of money is decided on, and check who asks and whose subscription it is.

    Raises UnknownSubscription, RoleRequired, ForeignLedger (Stripe's own metadata decides), and
    `managed_by_schedule`.
    """
    snapshot = read_snapshot(ledger, billing, call, handle, action)
    require_unscheduled(snapshot)
    return snapshot


def read_snapshot(
    ledger: Ledger, billing: Billing, call: Call, handle: str, action: Action
) -> SubscriptionSnapshot:
    """As `look`, of what is not changed itself: who pays for it is no matter of its schedule."""
    with ledger.reading() as reader:
        subscription = subscriptions.find(reader, handle, call.now)
        allow(reader, call.actor, action, subscription)
        last = operations.latest_of(reader, subscription.id)
    mirror = read_home_subscription(ledger, billing, subscription)
    at = stripe_now(billing, call)
    item, state = item_and_state(ledger, subscription, mirror, at)
    return SubscriptionSnapshot(subscription, mirror, item, state, at, last, call.now)


def read_home_subscription(
    ledger: Ledger, billing: Billing, subscription: Subscription
) -> StripeSubscription:
    """The subscription as Stripe has it. Raises ForeignLedger: the mirror may not know yet who adopted it."""
    require_home(subscription, ledger.id)
    try:
        mirror = read_subscription(billing.read(endpoints.subscription(subscription.stripe_subscription)))
    except MissingInStripe as missing:
        if subscription.status in _ENDED:
            missing.hint = _buy_again_hint(subscription)  # it was ended here already
        raise
    try:
        require_home(_with_home(subscription, mirror), ledger.id)
    except ForeignLedger as error:
        # `ledger adopt` goes by the mirror, which does not know yet that there is anything to adopt.
        take_back = f"seatctl ledger adopt {quote(subscription.name)}"
        error.hint = f"it was adopted since the last sync: seatctl sync; to take it back, then: {take_back}"
        raise
    with ledger.reading() as reader:
        return as_known(mirror, mirrored_subscriptions.of_stripe(reader, mirror.id))


def _require_policy(
    ledger: Ledger, subscription: Subscription, mirror: StripeSubscription, item: StripeItem
) -> None:
    """One bought elsewhere is changed under its plan's policy, and not at all while that has none."""
    if policy_of(mirror, item, subscription) is None:
        with ledger.reading() as reader:
            require_policy(plans.find(reader, subscription.plan_slug))


def _with_home(subscription: Subscription, mirror: StripeSubscription) -> Subscription:
    return replace(subscription, home_ledger=mirror.metadata.get(LEDGER) or None)


def item_and_state(
    ledger: Ledger, subscription: Subscription, mirror: StripeSubscription, at: datetime
) -> tuple[StripeItem, SubscriptionState]:
    """The subscription's item, and how it stands at that moment of Stripe's time."""
    with ledger.reading() as reader:
        item = item_of(reader, subscription, mirror)
        return item, state_of(reader, subscription, mirror, item, at)


def item_of(reader: Reader, subscription: Subscription, mirror: StripeSubscription) -> StripeItem:
    """The pool's item, or the one in its place. Raises ItemGone: another pool's is not its own."""
    own = next((one for one in mirror.items if one.id == subscription.stripe_item), None)
    if own is not None:
        return own
    others = {one.stripe_item for one in mirrored_subscriptions.of_stripe(reader, mirror.id)}
    unclaimed = [one for one in mirror.items if one.licensed and one.id not in others]
    if len(unclaimed) != 1:
        raise ItemGone(
            f"{subscription.name} was taken off its subscription in Stripe; there is nothing to change",
            hint="seatctl sync" if subscription.capacity else _buy_again_hint(subscription),
            data={"subscription": subscription.name},
        )
    return unclaimed[0]


def _buy_again_hint(subscription: Subscription) -> str:
    return f"to buy seats again: {hints.buy(subscription.plan_slug)}"


def has_item(mirror: StripeSubscription, item: JsonValue) -> bool:
    """Whether the subscription still has this item; the dashboard may have taken it off or replaced it."""
    return any(one.id == item for one in mirror.items)


def state_of(
    reader: Reader, subscription: Subscription, mirror: StripeSubscription, item: StripeItem, now: datetime
) -> SubscriptionState:
    """How the pool of this item stands at `now` (UTC)."""
    plan = plan_of(reader, item.price.product_id)
    facts = LedgerFacts(
        name=subscription.name,
        policy=policy_of(mirror, item, subscription)
        or (plan.policy if plan is not None else None)
        or FLEXIBLE,
        plan_of_item=plan.slug if plan is not None else subscription.plan_slug,
        assigned=subscription.assigned,
        owed=subscription.owed,
    )
    return standing(facts, mirror, item, now)


def policy_of(mirror: StripeSubscription, item: StripeItem, subscription: Subscription) -> Policy | None:
    """The policy of the running term: Stripe's metadata, else the ledger's; None for one bought elsewhere.

    Metadata that was edited by hand into what cannot be says nothing.
    """
    try:
        return from_metadata(said_of(mirror, item)) or subscription.policy
    except BadPolicy:
        return subscription.policy


def _price(reader: Reader, price_id: str) -> StripePrice | None:
    """A price that the mirror holds: while a change waits, that of what is paid for is not the item's."""
    mirrored = stripe_objects.get(reader, price_id)
    return None if mirrored is None or mirrored.kind is not Kind.PRICE else read_price(mirrored.data)


def plan_of(reader: Reader, product_id: str) -> Plan | None:
    """The plan of a Stripe product, None where the ledger has none."""
    try:
        return plans.find(reader, product_id)
    except plans.UnknownPlan:
        return None


def mirror_update(
    reader: Reader,
    subscription: Subscription,
    mirror: StripeSubscription,
    item: StripeItem,
    state: SubscriptionState,
) -> MirrorUpdate:
    """What `ledger.mirror.refresh` takes over."""
    try:
        plan_id = plans.find(reader, state.now.plan).id
    except plans.UnknownPlan:
        plan_id = subscription.plan_id
    price = item.price if state.now.price_id == item.price.id else _price(reader, state.now.price_id)
    amount = subscription.unit_amount if price is None or price.unit_amount is None else price.unit_amount
    agreed = policy_of(mirror, item, subscription) is not None
    return MirrorUpdate(mirror, item, state, plan_id, amount, state.policy if agreed else None)
