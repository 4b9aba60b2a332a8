"""What a change of a running subscription is decided on: the ledger's row and Stripe's own word, read now."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from seatctl.billing import endpoints
from seatctl.billing.objects import read_subscription
from seatctl.billing.port import Billing
from seatctl.ledger import operations, plans, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import Seen
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.plan import Plan, Policy
from seatctl.models.role import Action
from seatctl.models.standing import Standing
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import require_home
from seatctl.rules.changing import require_running
from seatctl.rules.metadata import LEDGER
from seatctl.rules.policies import FLEXIBLE, BadPolicy, from_metadata
from seatctl.rules.standing import Known, standing
from seatctl.services.permissions import allow
from seatctl.services.plans import require_policy


@dataclass(frozen=True, slots=True)
class Gathered:
    """A subscription as the ledger and Stripe have it, and how it stands."""

    pool: Subscription
    mirror: StripeSubscription
    item: StripeItem
    standing: Standing
    at: datetime
    operation: int
    """The last operation of the subscription when this was read: a later one has changed what was read."""


def gather(ledger: Ledger, billing: Billing, call: Call, handle: str, action: Action) -> Gathered:
    """As `look`, of a subscription that is running. Raises NotRunning and PlanWithoutPolicy too."""
    found = look(ledger, billing, call, handle, action)
    _require_policy(ledger, found.pool, found.mirror)
    require_running(found.standing)
    return found


def look(ledger: Ledger, billing: Billing, call: Call, handle: str, action: Action) -> Gathered:
    """Read what a change of money is decided on, and check who asks and whose subscription it is.

    Raises UnknownSubscription, RoleRequired, ForeignLedger (Stripe's own metadata decides).
    """
    with ledger.reading() as reader:
        pool = subscriptions.find(reader, handle, call.now)
        allow(reader, call.actor, action, pool)
        last = operations.latest_of(reader, pool.id)
    mirror = at_home(ledger, billing, pool)
    item, stands = stand(ledger, pool, mirror, call)
    return Gathered(pool, mirror, item, stands, call.now, last)


def at_home(ledger: Ledger, billing: Billing, pool: Subscription) -> StripeSubscription:
    """The subscription as Stripe has it. Raises ForeignLedger: the mirror may not know yet who adopted it."""
    require_home(pool, ledger.id)
    mirror = read_subscription(billing.read(endpoints.subscription(pool.stripe_subscription)))
    require_home(_with_home(pool, mirror), ledger.id)
    return mirror


def _require_policy(ledger: Ledger, pool: Subscription, mirror: StripeSubscription) -> None:
    """One bought elsewhere is changed under its plan's policy, and not at all while that has none."""
    if policy_of(mirror, pool) is None:
        with ledger.reading() as reader:
            require_policy(plans.find(reader, pool.plan_slug))


def _with_home(pool: Subscription, mirror: StripeSubscription) -> Subscription:
    return replace(pool, home_ledger=mirror.metadata.get(LEDGER) or None)


def stand(
    ledger: Ledger, pool: Subscription, mirror: StripeSubscription, call: Call
) -> tuple[StripeItem, Standing]:
    """The subscription's item, and how it stands at the call's moment."""
    item = next((one for one in mirror.items if one.id == pool.stripe_item), mirror.items[0])
    with ledger.reading() as reader:
        return item, stand_of(reader, pool, mirror, item, call.now)


def stand_of(
    reader: Reader, pool: Subscription, mirror: StripeSubscription, item: StripeItem, now: datetime
) -> Standing:
    """How the pool of this item stands at `now` (UTC)."""
    plan = plan_of(reader, item.price.product_id)
    known = Known(
        name=pool.name,
        policy=policy_of(mirror, pool) or (plan.policy if plan is not None else None) or FLEXIBLE,
        plan_of_item=plan.slug if plan is not None else pool.plan_slug,
        assigned=pool.assigned,
    )
    return standing(known, mirror, item, now)


def policy_of(mirror: StripeSubscription, pool: Subscription) -> Policy | None:
    """The policy of the running term: Stripe's metadata, else the ledger's; None for one bought elsewhere.

    Metadata that was edited by hand into what cannot be says nothing.
    """
    try:
        return from_metadata(mirror.metadata) or pool.policy
    except BadPolicy:
        return pool.policy


def plan_of(reader: Reader, product_id: str) -> Plan | None:
    """The plan of a Stripe product, None where the ledger has none."""
    try:
        return plans.find(reader, product_id)
    except plans.UnknownPlan:
        return None


def seen(
    reader: Reader, pool: Subscription, mirror: StripeSubscription, item: StripeItem, stands: Standing
) -> Seen:
    """What `ledger.mirror.refresh` takes over."""
    try:
        plan_id = plans.find(reader, stands.now.plan).id
    except plans.UnknownPlan:
        plan_id = pool.plan_id
    same = stands.now.price_id == item.price.id
    amount = item.price.unit_amount if same and item.price.unit_amount is not None else pool.unit_amount
    return Seen(mirror, item, stands, plan_id, amount, policy_of(mirror, pool))
