"""A request to change a subscription, and the snapshot on which it is decided, from the ledger and Stripe."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from shlex import quote
from typing import TypedDict

from seatctl.billing import endpoints
from seatctl.billing.objects import read_price, read_schedule, read_subscription
from seatctl.billing.port import Billing, MissingInStripe, StripeJson, Write, stripe_now
from seatctl.errors import Code, JsonValue, Refused, SeatctlError, refuse
from seatctl.ledger import operations, plans, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import mirrored_subscriptions, stripe_objects
from seatctl.ledger.mirror.subscription_updates import MirrorUpdate
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call, format_time, parse_time
from seatctl.models.plan import Plan, Policy
from seatctl.models.report import counted
from seatctl.models.role import Action
from seatctl.models.stripe_objects import Kind, Preview, StripeItem, StripePrice, StripeSubscription
from seatctl.models.subscription import Subscription, SubscriptionState, TermContent
from seatctl.rules import hints
from seatctl.rules.assignment import ForeignLedger, require_home
from seatctl.rules.metadata import LEDGER, is_on_item, metadata_of, with_described_item, with_metadata
from seatctl.rules.payment_methods import Accepted
from seatctl.rules.policies import FLEXIBLE, BadPolicy, from_metadata
from seatctl.rules.subscription_changes import Target, require_running
from seatctl.rules.subscription_state import LedgerFacts, read_state, waiting_metadata
from seatctl.rules.tax import NO_LOCATION, address_hint, check_tax
from seatctl.rules.typed_json import stored_as
from seatctl.services.operations.steps import SubscriptionPayload
from seatctl.services.plans.prices import with_amounts
from seatctl.services.plans.spec import require_policy
from seatctl.services.users.permissions import allow


@dataclass(frozen=True, slots=True)
class ChangeRequest:
    """A request to change a subscription: the means to decide on it, and the options of all changes."""

    ledger: Ledger
    billing: Billing
    call: Call
    handle: str
    max_spend: str | None = None
    request_id: str | None = None
    promo: str | None = None
    coupon: str | None = None
    on_account: bool = False
    requested: dict[str, JsonValue] = field(default_factory=dict)
    """What was asked for, in the command's words: another request repeats it if it asks for the same."""
    action: Action = Action.MANAGE_SUBSCRIPTION
    """What the actor must be allowed to do."""

    @property
    def repeated_options(self) -> dict[str, JsonValue]:
        """The options that a repetition of the request must have too."""
        # `on_account` too: a request for an invoice must not be answered with a charge to the card.
        given = {"promo": self.promo, "coupon": self.coupon, "on_account": self.on_account}
        return {name: value for name, value in given.items() if value}

    def asking(
        self, requested: dict[str, JsonValue], action: Action = Action.MANAGE_SUBSCRIPTION
    ) -> ChangeRequest:
        """Return the request with what it asks for."""
        return replace(self, requested=requested, action=action)


@dataclass(frozen=True, slots=True)
class SubscriptionSnapshot:
    """One subscription, as the ledger and Stripe have it now, and the change for which it was read."""

    change: ChangeRequest
    subscription: Subscription
    mirror: StripeSubscription
    item: StripeItem
    state: SubscriptionState
    stripe_time: datetime
    """When Stripe answered, by Stripe's clock."""
    ended_operations: int
    """How many operations of the subscription had ended. If one more has, the snapshot is out of date."""

    @property
    def billing(self) -> Billing:
        """Stripe, to read more of the subscription."""
        return self.change.billing

    def preview(self, details: dict[str, JsonValue], **extra: JsonValue) -> StripeJson:
        """Return Stripe's preview of the invoice that follows an update with these details."""
        form: dict[str, JsonValue] = {
            "subscription": self.mirror.id,
            "subscription_details": details,
            **extra,
        }
        return self.billing.read(endpoints.preview_invoice(form))

    def require_tax(self, priced: Preview) -> None:
        """Return unless the tax is unknown, of this preview or of all invoices. Raises `tax_unknown`."""
        status = NO_LOCATION if self.mirror.tax_turned_off else priced.tax_status
        check_tax(status, address_hint(self.name))

    @property
    def name(self) -> str:
        """The subscription's name."""
        return self.subscription.name

    @property
    def currency(self) -> str:
        """The currency of the subscription's price."""
        return self.subscription.currency

    @property
    def accepted(self) -> Accepted:
        """The payment methods that its policy takes."""
        return Accepted(self.state.policy.payment_methods, self.currency)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermPayload(SubscriptionPayload):
    """A change of what is paid for."""

    item: str
    """The subscription's item in Stripe."""
    metadata_item: str | None = field(default=None, metadata=stored_as("said_on"))
    """The item whose metadata describes the subscription, None if Stripe's subscription does."""
    held: TermContent | None = None
    """What the item held when the change was decided; None in payloads of earlier versions."""
    now: TermContent
    next: TermContent
    term_start: str
    term_end: str
    """In the written form, UTC."""
    reserved: int | None = None
    """How many of the added seats are reserved for the people of a file."""
    leaving: tuple[int, ...] = ()
    """The users who lose their seats."""
    not_seated: tuple[str, ...] = ()
    """Addresses of the file without a seat in the subscription; they are reported."""

    def update(
        self, form: dict[str, JsonValue], marks: dict[str, JsonValue], metadata: dict[str, JsonValue]
    ) -> Write:
        """Return the update of the Stripe subscription, with `metadata` where its settings are."""
        form = with_metadata(form, self.metadata_item, marks, metadata)
        return endpoints.update_subscription(self.stripe_id, form)

    def waiting_metadata(self, renewed_by: str | None = None) -> dict[str, JsonValue]:
        """The metadata that says what is paid for until the next term begins."""
        return waiting_metadata(
            self.now,
            self.next,
            self.item,
            start=parse_time(self.term_start),
            until=parse_time(self.term_end),
            renewed_by=renewed_by,
        )


class TermFields(TypedDict):
    """The fields of a `TermPayload` that say what changes."""

    subscription: int
    stripe_id: str
    customer: str
    item: str
    metadata_item: str | None
    held: TermContent
    now: TermContent
    next: TermContent
    term_start: str
    term_end: str


def term_fields(snapshot: SubscriptionSnapshot, target: Target) -> TermFields:
    """Return the fields of a change of a subscription to `target`."""
    return {
        "subscription": snapshot.subscription.id,
        "stripe_id": snapshot.mirror.id,
        "customer": snapshot.mirror.customer_id,
        "item": snapshot.item.id,
        "metadata_item": snapshot.item.id if is_on_item(snapshot.mirror, snapshot.item) else None,
        "held": snapshot.state.next,
        "now": target.now,
        "next": target.next,
        "term_start": format_time(snapshot.state.term_start),
        "term_end": format_time(snapshot.state.term_end),
    }


class ItemGone(Refused):
    """The subscription's item was removed in Stripe."""

    kind = Code.ITEM_GONE


def require_unshared(snapshot: SubscriptionSnapshot, action: str) -> None:
    """Raise `shared_subscription` if the Stripe subscription has other items: `action` would affect them."""
    others = [item.id for item in snapshot.mirror.items if item.licensed and item.id != snapshot.item.id]
    if not others:
        return
    with snapshot.change.ledger.reading() as reader:
        names = [item.name for item in mirrored_subscriptions.of_stripe(reader, snapshot.mirror.id)]
    named = ", ".join(name for name in names if name != snapshot.name) or "another item"
    raise refuse(
        Code.SHARED_SUBSCRIPTION,
        f"{snapshot.name} shares its Stripe subscription with {named}; {action} would affect {named} too",
        hint="take its item off the subscription in Stripe's dashboard, then: seatctl sync",
        data={"subscription": snapshot.name, "others": [*others]},
    )


def require_unscheduled(snapshot: SubscriptionSnapshot) -> None:
    """Raise `managed_by_schedule` if a schedule manages the Stripe subscription."""
    schedule = snapshot.mirror.schedule
    if schedule is not None and not snapshot.mirror.status.is_over:
        following = _next_phase(snapshot, schedule)
        what = "Its next phase" if following is None else following.told
        raise refuse(
            Code.MANAGED_BY_SCHEDULE,
            f"{snapshot.name} is managed by the schedule {schedule} in Stripe. {what}"
            " would overwrite the change, so nothing was changed",
            hint="release the schedule in Stripe's dashboard, then run the same command again",
            data={
                "subscription": snapshot.name,
                "schedule": schedule,
                "next_phase": None if following is None else format_time(following.at),
                "next_seats": None if following is None else following.seats,
            },
        )


@dataclass(frozen=True, slots=True)
class _NextPhase:
    at: datetime
    seats: int | None
    """None: the schedule ends the subscription."""

    @property
    def told(self) -> str:
        does = "ends it" if self.seats is None else f"sets {counted(self.seats, 'seat')}"
        return f"On {self.at:%Y-%m-%d} its next phase {does}, which"


def _next_phase(snapshot: SubscriptionSnapshot, schedule: str) -> _NextPhase | None:
    """Return what the schedule does next, None if that cannot be read: the key may lack the right."""
    try:
        read = read_schedule(snapshot.billing.read(endpoints.subscription_schedule(schedule)))
    except SeatctlError:
        return None
    for phase in read.phases:
        if phase.start > snapshot.stripe_time:
            return _NextPhase(phase.start, phase.seats)
    return _NextPhase(read.phases[-1].end, None) if read.cancels and read.phases else None


def read_running(change: ChangeRequest) -> SubscriptionSnapshot:
    """Like `read_snapshot`, for a subscription that must run. Raises what the checks raise too."""
    snapshot = read_snapshot(change)
    require_unscheduled(snapshot)
    check_running(snapshot)
    return snapshot


def check_running(snapshot: SubscriptionSnapshot) -> None:
    """Raise NotRunning, or `plan_without_policy` if nothing says under which policy it is changed.

    A subscription that was bought elsewhere is changed under the policy of its plan.
    """
    if policy_of(snapshot.mirror, snapshot.item, snapshot.subscription) is None:
        with snapshot.change.ledger.reading() as reader:
            require_policy(plans.find(reader, snapshot.subscription.plan_slug))
    require_running(snapshot.state)


def read_snapshot(change: ChangeRequest) -> SubscriptionSnapshot:
    """Read a subscription before a change of it, and check that the actor may make the change.

    Raises UnknownSubscription, RoleRequired, ForeignLedger (Stripe's metadata decides).
    """
    ledger = change.ledger
    with ledger.reading() as reader:
        subscription = find_subscription(reader, change)
        ended = operations.ended_of(reader, subscription.id)
    mirror = read_home_subscription(ledger, change.billing, subscription)
    at = stripe_now(change.billing, change.call)
    item, state = item_and_state(ledger, subscription, mirror, at)
    return SubscriptionSnapshot(change, subscription, mirror, item, state, at, ended)


def find_subscription(reader: Reader, change: ChangeRequest) -> Subscription:
    """Return the subscription in the ledger. Raises UnknownSubscription, RoleRequired."""
    subscription = subscriptions.find(reader, change.handle, change.call.now)
    allow(reader, change.call.actor, change.action, subscription)
    return subscription


def read_home_subscription(
    ledger: Ledger, billing: Billing, subscription: Subscription
) -> StripeSubscription:
    """Read the Stripe subscription. Raises ForeignLedger if another ledger has adopted it.

    The mirror may not know of the adoption yet, so Stripe's metadata is checked too.
    """
    require_home(subscription, ledger.id)
    try:
        mirror = read_subscription(billing.read(endpoints.subscription(subscription.stripe_subscription)))
    except MissingInStripe as missing:
        if subscription.status.is_over:
            missing.hint = _buy_again_hint(subscription)  # the ledger knows that it has ended
        raise
    try:
        require_home(replace(subscription, home_ledger=mirror.metadata.get(LEDGER) or None), ledger.id)
    except ForeignLedger as error:
        # `ledger adopt` reads the mirror, which learns of the adoption only by a sync.
        take_back = f"seatctl ledger adopt {quote(subscription.name)}"
        error.hint = (
            f"another ledger adopted it since the last sync: seatctl sync; to take it back, then: {take_back}"
        )
        raise
    with ledger.reading() as reader:
        mirror = with_amounts(reader, mirror)
        return with_described_item(mirror, mirrored_subscriptions.of_stripe(reader, mirror.id))


def item_and_state(
    ledger: Ledger, subscription: Subscription, mirror: StripeSubscription, at: datetime
) -> tuple[StripeItem, SubscriptionState]:
    """Return the subscription's item and its state at a moment of Stripe's time."""
    with ledger.reading() as reader:
        item = item_of(reader, subscription, mirror)
        return item, state_of(reader, subscription, mirror, item, at)


def item_of(reader: Reader, subscription: Subscription, mirror: StripeSubscription) -> StripeItem:
    """Return the subscription's item, or the one unclaimed item that replaced it.

    Raises ItemGone if neither exists: the items of other subscriptions are not this one's.
    """
    own = next((item for item in mirror.items if item.id == subscription.stripe_item), None)
    if own is not None:
        return own
    others = {item.stripe_item for item in mirrored_subscriptions.of_stripe(reader, mirror.id)}
    unclaimed = [item for item in mirror.items if item.licensed and item.id not in others]
    if len(unclaimed) != 1:
        raise ItemGone(
            f"{subscription.name} has no item in Stripe any more, so there is nothing to change",
            hint="seatctl sync" if subscription.capacity else _buy_again_hint(subscription),
            data={"subscription": subscription.name},
        )
    return unclaimed[0]


def _buy_again_hint(subscription: Subscription) -> str:
    return f"to buy seats again: {hints.buy(subscription.plan_slug)}"


def has_item(mirror: StripeSubscription, item: JsonValue) -> bool:
    """Whether the Stripe subscription still has this item. It may have been removed in the dashboard."""
    return any(each.id == item for each in mirror.items)


def state_of(
    reader: Reader, subscription: Subscription, mirror: StripeSubscription, item: StripeItem, now: datetime
) -> SubscriptionState:
    """The state of the subscription of this item at `now` (UTC)."""
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
    return read_state(facts, mirror, item, now)


def policy_of(mirror: StripeSubscription, item: StripeItem, subscription: Subscription) -> Policy | None:
    """Return the policy of the running term: from Stripe's metadata, else from the ledger.

    None for a subscription bought outside seatctl. Metadata that was edited by hand and is not valid is
    ignored.
    """
    try:
        return from_metadata(metadata_of(mirror, item)) or subscription.policy
    except BadPolicy:
        return subscription.policy


def plan_of(reader: Reader, handle: str) -> Plan | None:
    """Return a plan by its name or its Stripe product, None if the ledger has none."""
    try:
        return plans.find(reader, handle)
    except plans.UnknownPlan:
        return None


def mirror_update(
    reader: Reader,
    subscription: Subscription,
    mirror: StripeSubscription,
    item: StripeItem,
    state: SubscriptionState,
) -> MirrorUpdate:
    """Return the update that `ledger.mirror.refresh` stores."""
    plan = plan_of(reader, state.now.plan)
    plan_id = subscription.plan_id if plan is None else plan.id
    price: StripePrice | None = item.price
    if state.now.price_id != item.price.id:  # a change waits; its price may be unknown
        mirrored = stripe_objects.get(reader, state.now.price_id)
        price = None if mirrored is None or mirrored.kind is not Kind.PRICE else read_price(mirrored.data)
    amount = subscription.unit_amount if price is None or price.unit_amount is None else price.unit_amount
    agreed = policy_of(mirror, item, subscription) is not None
    return MirrorUpdate(mirror, item, state, plan_id, amount, state.policy if agreed else None)
