"""`reconcile`: seats paid for in Stripe, capacity in the ledger, seats assigned; each drift with its repair.

It reads what runs in Stripe and changes nothing. The safe repairs bring the ledger to what Stripe says;
who gives up a seat, or whether more are bought, is for people to decide. An object that cannot be read
agrees with nothing: it is a row, and the answer is no.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from shlex import quote

from seatctl.billing.clock import stripe_now
from seatctl.billing.objects import UnreadableObject, read_subscription
from seatctl.billing.port import Billing, Read
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import departures, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.mirror import sync_state
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.mirror import Gone, Kind, MirroredObject, Unreadable
from seatctl.models.report import Record, Report
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import in_packs
from seatctl.rules.item_metadata import as_known
from seatctl.rules.payment_states import hint_of, is_cut_off, unpaid_trouble
from seatctl.rules.plural import counted
from seatctl.services.subscriptions.snapshot import state_of
from seatctl.services.sync.apply_changes import made_here
from seatctl.services.sync.apply_subscription import ENDED, item_of
from seatctl.services.sync.reader import reading
from seatctl.services.sync.sync import follow

COLUMNS = ("name", "stripe_seats", "capacity", "assigned", "drift", "reason", "repair")
_FIX = "seatctl reconcile --fix"
"""For what no event tells of: `seatctl sync` alone would not look at it."""
_SYNC = "seatctl sync"
_READ_ALL = "seatctl sync --full"
_UNREADABLE = "unreadable"
_OVER_ASSIGNED = "over_assigned"

InStripe = Mapping[str, StripeSubscription | Gone | Unreadable]


def reconcile(ledger: Ledger, billing: Billing, call: Call, *, check: bool, fix: bool) -> Report:
    """A row for each pool, drifts first. With `fix` the safe ones are repaired, and it is looked again.

    The exit code is 7 if an object could not be read, and with `check` also if a drift is left.
    """
    rows = _compared(ledger, billing, call)
    fixed = 0
    wrong = [row for row in rows if row["repair"] == _FIX] if fix and not call.dry_run else []
    if wrong:
        follow(ledger, billing, call, [(Kind(str(row["kind"])), _id(row)) for row in wrong])
        # What is still the same was not repaired by this, and would not be by doing it again.
        rows = [
            {**row, "repair": _READ_ALL} if row["repair"] == _FIX else row
            for row in _compared(ledger, billing, call)
        ]
        left = {_id(row) for row in rows if row["drift"] not in (None, _OVER_ASSIGNED)}
        fixed = sum(_id(row) not in left for row in wrong)
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
    """The Stripe id of what a row is about."""
    return str(row["stripe_subscription"] or row["name"])


def _compared(ledger: Ledger, billing: Billing, call: Call) -> list[Record]:
    """Stripe and the ledger as they are now, a row for each pool and for what is not one."""
    found = _in_stripe(ledger, billing, call)
    return [*_rows(ledger, found, call, stripe_now(billing, call)), *_skipped(ledger, billing, found)]


def _in_stripe(ledger: Ledger, billing: Billing, call: Call) -> InStripe:
    """What runs in Stripe, and what the ledger knows besides."""
    found: dict[str, StripeSubscription | Gone | Unreadable] = {}
    for raw in billing.every(Read("/v1/subscriptions", {})):
        try:
            one = read_subscription(raw)
        except UnreadableObject as error:
            name = str(raw.get("id"))
            found[name] = Unreadable(Kind.SUBSCRIPTION, name, error.message)
        else:
            found[one.id] = one
    with ledger.reading() as reader:
        known = {subscription.stripe_subscription for subscription in subscriptions.listing(reader, call.now)}
    missing = sorted(known - set(found))
    with reading(billing) as stripe:
        for answer in stripe.objects((Kind.SUBSCRIPTION, one) for one in missing):
            if isinstance(answer, MirroredObject):
                found[answer.id] = read_subscription(answer.data)
            elif isinstance(answer, Gone | Unreadable):
                found[answer.id] = answer
    return found


def _rows(ledger: Ledger, found: InStripe, call: Call, at: datetime) -> Iterator[Record]:
    with ledger.reading() as reader:
        pools = list(subscriptions.listing(reader, call.now))
        together: dict[str, list[Subscription]] = {}
        for subscription in sorted(pools, key=lambda one: one.id):
            together.setdefault(subscription.stripe_subscription, []).append(subscription)
        for subscription in pools:
            one = found.get(subscription.stripe_subscription)
            if isinstance(one, StripeSubscription):
                one = as_known(one, together[subscription.stripe_subscription])
            row = _judged(reader, subscription, one, at)
            if row["repair"] == _FIX and operations.of_subscription(reader, subscription.id) is not None:
                row = {**row, "repair": _SYNC}  # its unfinished operation comes first
            yield row
        of_pools = {subscription.stripe_subscription for subscription in pools}
        items = {subscription.stripe_item for subscription in pools}
        skipped = {one.id: one for one in sync_state.skipped(reader)}
        made = made_here(reader, ledger.id)
        for one in found.values():
            if isinstance(one, StripeSubscription):
                if one.status.value not in ENDED and not made.come_to_nothing(one):
                    yield from _unknown(one, items, skipped.get(one.id), under_way=made.is_under_way(one))
            elif isinstance(one, Unreadable) and one.id not in of_pools:
                yield _unread(one)


def _skipped(ledger: Ledger, billing: Billing, found: InStripe) -> Iterator[Record]:
    """What the last syncs could not read, besides the subscriptions that were compared."""
    with ledger.reading() as reader:
        noted = [(one.kind, one.id) for one in sync_state.skipped(reader) if one.id not in found]
    if not noted:
        return
    with reading(billing) as stripe:
        kinds = {identifier: kind for kind, identifier in noted}
        still = {one.id: one for one in stripe.objects(noted) if isinstance(one, Unreadable)}
    for identifier, kind in kinds.items():
        if identifier in still:
            yield _unread(still[identifier])
        else:  # it can be read by now, or is gone
            yield {**_row_of(kind, identifier), "drift": "not_mirrored", "reason": None, "repair": _FIX}


def _unread(one: Unreadable) -> Record:
    return {**_row_of(one.kind, one.id), **_cannot_be_read(one.reason)}


def _cannot_be_read(reason: str) -> Record:
    repair = f"{_READ_ALL}, once it is corrected in Stripe or seatctl is newer"
    return {"drift": _UNREADABLE, "reason": reason, "repair": repair}


def _row_of(kind: Kind, identifier: str) -> Record:
    """The beginning of a row about what is not a pool."""
    return {
        "name": identifier,
        "kind": str(kind),
        "stripe_subscription": identifier if kind is Kind.SUBSCRIPTION else None,
        "stripe_seats": None,
        "capacity": None,
        "assigned": None,
        "last_assigned": [],
    }


def _judged(
    reader: Reader,
    subscription: Subscription,
    found: StripeSubscription | Gone | Unreadable | None,
    at: datetime,
) -> Record:
    item = item_of(subscription, found) if isinstance(found, StripeSubscription) else None
    seats = None
    if isinstance(found, StripeSubscription) and item is not None:
        seats = state_of(reader, subscription, found, item, at).now.seats
    row: dict[str, JsonValue] = {
        "name": subscription.name,
        "kind": str(Kind.SUBSCRIPTION),
        "stripe_subscription": subscription.stripe_subscription,
        "stripe_seats": seats,
        "capacity": subscription.capacity,
        "assigned": subscription.assigned,
        "last_assigned": [],
    }
    if isinstance(found, Unreadable):
        return {**row, **_cannot_be_read(found.reason)}
    drift = _drift(subscription, found, item, seats)
    if drift is not None:
        return {**row, "drift": drift, "reason": None, "repair": _FIX}
    over = subscription.assigned - subscription.capacity
    trouble = unpaid_trouble(subscription, at)
    if over <= 0 or subscription.status.value in ENDED:
        # Both say the same, and it is still not as it should be: not a drift, and no reason to say nothing.
        if trouble is None:
            return {**row, "drift": None, "reason": None, "repair": None}
        return {**row, "drift": None, "reason": trouble.message, "repair": hint_of(trouble)}
    last = departures.assigned_last(reader, subscription.id, over)
    name = quote(subscription.name)
    reason, repair = None, f"seatctl seats revoke {name} {' '.join(last)}"
    if item is None:
        reason = "it was taken off its subscription in Stripe; no seats can be added to it"
    elif trouble is None and not is_cut_off(subscription, at):
        buy = in_packs(replace(subscription, assigned=0), over)
        repair = f"seatctl subs add-seats {name} {buy}, or {repair}"
    return {**row, "drift": _OVER_ASSIGNED, "reason": reason, "repair": repair, "last_assigned": [*last]}


def _drift(
    subscription: Subscription,
    found: StripeSubscription | Gone | None,
    item: StripeItem | None,
    seats: int | None,
) -> str | None:
    """In what the ledger differs from Stripe."""
    if not isinstance(found, StripeSubscription):
        return "missing" if subscription.status.value not in ENDED else None
    if item is None and subscription.capacity:
        return "item_gone"
    if found.status is not subscription.status:
        return "status"
    if found.pause != subscription.pause:
        return "collection"
    return "capacity" if seats is not None and seats != subscription.capacity else None


def _unknown(
    found: StripeSubscription, known: set[str], skipped: Unreadable | None, *, under_way: bool
) -> Iterator[Record]:
    """Licensed items that no pool is: bought elsewhere since the last sync, or by an unfinished operation.

    `skipped`: a sync has tried to make pools of it, and could not.
    """
    for item in found.items:
        if item.licensed and item.id not in known:
            row = {**_row_of(Kind.SUBSCRIPTION, found.id), "stripe_seats": item.quantity}
            if skipped is not None:
                yield {**row, **_cannot_be_read(skipped.reason)}
            else:
                yield {**row, "drift": "unknown", "reason": None, "repair": _SYNC if under_way else _FIX}
