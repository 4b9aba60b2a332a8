"""`reconcile`: compares the seats paid for in Stripe, the ledger's capacity and the assigned seats.

It reads what runs in Stripe and changes nothing. Each drift comes with its repair. The safe repairs make the
ledger agree with Stripe; people decide who loses a seat and whether seats are bought. An object that cannot
be read counts as a drift.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from shlex import quote

from seatctl.billing.objects import UnreadableObject, read_subscription
from seatctl.billing.port import Billing, Read, stripe_now
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import departures, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.report import Record, Report, counted, record_of
from seatctl.models.stripe_objects import (
    Gone,
    Kind,
    MirroredObject,
    StripeItem,
    StripeSubscription,
    Unreadable,
)
from seatctl.models.subscription import Subscription
from seatctl.rules.metadata import with_described_item
from seatctl.rules.payment_states import hint_of, is_cut_off, unpaid_trouble
from seatctl.services.subscriptions.snapshot import state_of
from seatctl.services.sync.apply import item_of, own_marks
from seatctl.services.sync.reader import parallel_reader
from seatctl.services.sync.sync import sync_objects

COLUMNS = ("name", "stripe_seats", "capacity", "assigned", "drift", "reason", "repair")
_FIX = "seatctl reconcile --fix"
"""For drifts without an event: `seatctl sync` alone would not read these objects again."""
_SYNC = "seatctl sync"
_READ_ALL = "seatctl sync --full"
_UNREADABLE = "unreadable"
_OVER_ASSIGNED = "over_assigned"

InStripe = Mapping[str, StripeSubscription | Gone | Unreadable]


def reconcile(ledger: Ledger, billing: Billing, call: Call, *, check: bool, fix: bool) -> Report:
    """A row for each subscription, drifts first. With `fix`, repair the safe ones and compare again.

    The exit code is 7 if an object could not be read, and with `check` also if a drift remains.
    """
    rows = _compared(ledger, billing, call)
    fixed = 0
    wrong = [row for row in rows if row["repair"] == _FIX] if fix and not call.dry_run else []
    if wrong:
        sync_objects(ledger, billing, call, [(Kind(str(row["kind"])), _id(row)) for row in wrong])
        # What still differs was not repaired by reading it again, and would not be by a second time.
        rows = [
            {**row, "repair": _READ_ALL} if row["repair"] == _FIX else row
            for row in _compared(ledger, billing, call)
        ]
        remaining = {_id(row) for row in rows if row["drift"] not in (None, _OVER_ASSIGNED)}
        fixed = sum(_id(row) not in remaining for row in wrong)
    drifts = sum(row["drift"] is not None for row in rows)
    unreadable = sum(row["drift"] == _UNREADABLE for row in rows)
    return Report(
        None,
        call.dry_run,
        _summary(fixed, drifts, unreadable),
        tuple(sorted(rows, key=lambda row: (row["drift"] is None, str(row["name"])))),
        ExitCode.NO if unreadable or (check and drifts) else ExitCode.DONE,
        columns=COLUMNS,
        data={"drifts": drifts, "fixed": fixed, "unreadable": unreadable},
    )


def _summary(fixed: int, drifts: int, unreadable: int) -> str:
    repaired = f"{fixed} repaired; " if fixed else ""
    unread = f"{counted(unreadable, 'object')} in Stripe could not be read; " if unreadable else ""
    others = drifts - unreadable
    if others:
        return f"{repaired}{unread}{counted(others, 'drift')}"
    return f"{repaired}{unread}{'everything else agrees' if unread else 'Stripe, ledger and seats agree'}"


def _id(row: Record) -> str:
    """The Stripe id of the object that a row is about."""
    return str(row["stripe_subscription"] or row["name"])


def _compared(ledger: Ledger, billing: Billing, call: Call) -> list[Record]:
    """Stripe and the ledger as they are now: a row for each subscription and for each unknown object."""
    in_stripe = _in_stripe(ledger, billing, call)
    return [
        *_rows(ledger, in_stripe, call, stripe_now(billing, call)),
        *_skipped_rows(ledger, billing, in_stripe),
    ]


def _in_stripe(ledger: Ledger, billing: Billing, call: Call) -> InStripe:
    """Everything that runs in Stripe, and whatever else the ledger has."""
    in_stripe: dict[str, StripeSubscription | Gone | Unreadable] = {}
    for raw in billing.every(Read("/v1/subscriptions", {})):
        try:
            one = read_subscription(raw)
        except UnreadableObject as error:
            name = str(raw.get("id"))
            in_stripe[name] = Unreadable(Kind.SUBSCRIPTION, name, error.message)
        else:
            in_stripe[one.id] = one
    with ledger.reading() as reader:
        known = {subscription.stripe_subscription for subscription in subscriptions.listing(reader, call.now)}
    missing = sorted(known - set(in_stripe))
    with parallel_reader(billing) as stripe:
        for answer in stripe.objects((Kind.SUBSCRIPTION, one) for one in missing):
            if isinstance(answer, MirroredObject):
                in_stripe[answer.id] = read_subscription(answer.data)
            elif isinstance(answer, Gone | Unreadable):
                in_stripe[answer.id] = answer
    return in_stripe


def _rows(ledger: Ledger, in_stripe: InStripe, call: Call, at: datetime) -> Iterator[Record]:
    with ledger.reading() as reader:
        all_subscriptions = list(subscriptions.listing(reader, call.now))
        sharing: dict[str, list[Subscription]] = {}
        for subscription in sorted(all_subscriptions, key=lambda one: one.id):
            sharing.setdefault(subscription.stripe_subscription, []).append(subscription)
        for subscription in all_subscriptions:
            one = in_stripe.get(subscription.stripe_subscription)
            if isinstance(one, StripeSubscription):
                one = with_described_item(one, sharing[subscription.stripe_subscription])
            row = _row(reader, subscription, one, at)
            if row["repair"] == _FIX and operations.of_subscription(reader, subscription.id) is not None:
                row = {**row, "repair": _SYNC}  # a sync finishes its open operation first
            yield row
        known = {subscription.stripe_subscription for subscription in all_subscriptions}
        items = {subscription.stripe_item for subscription in all_subscriptions}
        skipped = {one.id: one for one in sync_state.skipped(reader)}
        own = own_marks(reader, ledger.id)
        for one in in_stripe.values():
            if isinstance(one, StripeSubscription):
                if not one.status.is_over and not own.is_of_failed_purchase(one):
                    yield from _unknown_rows(
                        one, items, skipped.get(one.id), under_way=own.is_unfinished(one)
                    )
            elif isinstance(one, Unreadable) and one.id not in known:
                yield _unreadable_row(one)


def _skipped_rows(ledger: Ledger, billing: Billing, in_stripe: InStripe) -> Iterator[Record]:
    """Rows for objects that earlier syncs skipped, other than the subscriptions that were compared."""
    with ledger.reading() as reader:
        skipped = [(one.kind, one.id) for one in sync_state.skipped(reader) if one.id not in in_stripe]
    if not skipped:
        return
    with parallel_reader(billing) as stripe:
        kinds = {identifier: kind for kind, identifier in skipped}
        unreadable = {one.id: one for one in stripe.objects(skipped) if isinstance(one, Unreadable)}
    for identifier, kind in kinds.items():
        if identifier in unreadable:
            yield _unreadable_row(unreadable[identifier])
        else:  # it is readable now, or deleted
            yield {**_empty_row(kind, identifier), "drift": "not_mirrored", "reason": None, "repair": _FIX}


def _unreadable_row(one: Unreadable) -> Record:
    return {**_empty_row(one.kind, one.id), **_cannot_be_read(one.reason)}


def _cannot_be_read(reason: str) -> Record:
    repair = f"{_READ_ALL}, once it is corrected in Stripe or seatctl is newer"
    return {"drift": _UNREADABLE, "reason": reason, "repair": repair}


def _empty_row(kind: Kind, identifier: str) -> Record:
    """A row about an object in Stripe, before the ledger's facts are filled in."""
    return {
        "name": identifier,
        "kind": str(kind),
        "stripe_subscription": identifier if kind is Kind.SUBSCRIPTION else None,
        "stripe_seats": None,
        "capacity": None,
        "assigned": None,
        "last_assigned": [],
    }


def _row(
    reader: Reader,
    subscription: Subscription,
    in_stripe: StripeSubscription | Gone | Unreadable | None,
    at: datetime,
) -> Record:
    item = item_of(subscription, in_stripe) if isinstance(in_stripe, StripeSubscription) else None
    seats = None
    if isinstance(in_stripe, StripeSubscription) and item is not None:
        seats = state_of(reader, subscription, in_stripe, item, at).now.seats
    row: dict[str, JsonValue] = {
        **_empty_row(Kind.SUBSCRIPTION, subscription.stripe_subscription),
        "stripe_seats": seats,
        **record_of(subscription, "name capacity assigned"),
    }
    if isinstance(in_stripe, Unreadable):
        return {**row, **_cannot_be_read(in_stripe.reason)}
    drift = _drift(subscription, in_stripe, item, seats)
    if drift is not None:
        return {**row, "drift": drift, "reason": None, "repair": _FIX}
    over = subscription.assigned - subscription.capacity
    trouble = unpaid_trouble(subscription, at)
    if over <= 0 or subscription.status.is_over:
        # Both sides agree, so it is not a drift; but a payment is in trouble, and the row says so.
        if trouble is None:
            return {**row, "drift": None, "reason": None, "repair": None}
        return {**row, "drift": None, "reason": trouble.message, "repair": hint_of(trouble)}
    last = departures.assigned_last(reader, subscription.id, over)
    name = quote(subscription.name)
    reason, repair = None, f"seatctl seats revoke {name} {' '.join(last)}"
    if item is None:
        reason = "it was taken off its subscription in Stripe; no seats can be added to it"
    elif trouble is None and not is_cut_off(subscription, at):
        buy = subscription.in_packs(over)
        repair = f"seatctl subs add-seats {name} {buy}, or {repair}"
    return {**row, "drift": _OVER_ASSIGNED, "reason": reason, "repair": repair, "last_assigned": [*last]}


def _drift(
    subscription: Subscription,
    in_stripe: StripeSubscription | Gone | None,
    item: StripeItem | None,
    seats: int | None,
) -> str | None:
    """What differs between the ledger and Stripe, None if nothing does."""
    if not isinstance(in_stripe, StripeSubscription):
        return None if subscription.status.is_over else "missing"
    if item is None and subscription.capacity:
        return "item_gone"
    if in_stripe.status is not subscription.status:
        return "status"
    if in_stripe.pause != subscription.pause:
        return "collection"
    return "capacity" if seats is not None and seats != subscription.capacity else None


def _unknown_rows(
    in_stripe: StripeSubscription, known: set[str], skipped: Unreadable | None, *, under_way: bool
) -> Iterator[Record]:
    """Rows for licensed items without a subscription: bought elsewhere, or by an open operation.

    `skipped`: set if a sync could not read the Stripe subscription.
    """
    for item in in_stripe.items:
        if item.licensed and item.id not in known:
            row = {**_empty_row(Kind.SUBSCRIPTION, in_stripe.id), "stripe_seats": item.quantity}
            if skipped is not None:
                yield {**row, **_cannot_be_read(skipped.reason)}
            else:
                yield {**row, "drift": "unknown", "reason": None, "repair": _SYNC if under_way else _FIX}
