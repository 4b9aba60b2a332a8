"""`reconcile`: seats paid for in Stripe, capacity in the ledger, seats assigned; each drift with its repair.

It reads what runs in Stripe and changes nothing. The safe repairs bring the ledger to what Stripe says;
who gives up a seat, or whether more are bought, is for people to decide.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from shlex import quote

from seatctl.billing.objects import UnreadableObject, read_subscription
from seatctl.billing.port import Billing, Read
from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger import leaving, operations, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.mirrored import Gone, Kind, Stored, Unreadable
from seatctl.models.report import Record, Report
from seatctl.models.stripe_objects import StripeItem, StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import in_packs
from seatctl.rules.wording import counted
from seatctl.services.gathering import stand_of
from seatctl.services.pool_mirroring import ENDED, item_of
from seatctl.services.stripe_reading import reading
from seatctl.services.syncing import follow

COLUMNS = ("name", "stripe_seats", "capacity", "assigned", "drift", "repair")
_SAFE = frozenset(("capacity", "status", "unknown", "item_gone", "missing"))
_FIX = "seatctl reconcile --fix"
"""`seatctl sync` alone repairs only what an event tells of."""
_SYNC = "seatctl sync"

InStripe = Mapping[str, StripeSubscription | Gone | Unreadable]


def reconcile(ledger: Ledger, billing: Billing, call: Call, *, check: bool, fix: bool) -> Report:
    """A row for each pool, drifts first. With `fix` the safe ones are repaired, and it is looked again.

    With `check` the exit code is 7 where a drift is left.
    """
    found = _in_stripe(ledger, billing, call)
    rows = list(_rows(ledger, found, call))
    fixed = 0
    if fix and not call.dry_run:
        wrong = [str(row["stripe_subscription"]) for row in rows if row["drift"] in _SAFE]
        if wrong:
            follow(ledger, billing, call, [(Kind.SUBSCRIPTION, one) for one in wrong])
            rows, before = list(_rows(ledger, found, call)), len(wrong)
            fixed = before - sum(row["drift"] in _SAFE for row in rows)
    drifts = sum(row["drift"] is not None for row in rows)
    repaired = f"{fixed} repaired; " if fixed else ""
    said = counted(drifts, "drift") if drifts else "Stripe, ledger and seats agree"
    return Report(
        None,
        call.dry_run,
        f"{repaired}{said}",
        tuple(sorted(rows, key=lambda row: (row["drift"] is None, str(row["name"])))),
        ExitCode.NO if check and drifts else ExitCode.DONE,
        columns=COLUMNS,
        data={"drifts": drifts, "fixed": fixed},
    )


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
        known = {pool.stripe_subscription for pool in subscriptions.listing(reader, call.now)}
    missing = sorted(known - set(found))
    with reading(billing) as stripe:
        for answer in stripe.objects((Kind.SUBSCRIPTION, one) for one in missing):
            if isinstance(answer, Stored):
                found[answer.id] = read_subscription(answer.data)
            elif isinstance(answer, Gone | Unreadable):
                found[answer.id] = answer
    return found


def _rows(ledger: Ledger, found: InStripe, call: Call) -> Iterator[Record]:
    with ledger.reading() as reader:
        pools = list(subscriptions.listing(reader, call.now))
        for pool in pools:
            row = _judged(reader, pool, found.get(pool.stripe_subscription), call)
            if row["drift"] in _SAFE and operations.of_subscription(reader, pool.id) is not None:
                row = {**row, "repair": _SYNC}  # its unfinished operation comes first
            yield row
        known = {pool.stripe_item for pool in pools}
        for one in found.values():
            if isinstance(one, StripeSubscription) and one.status.value not in ENDED:
                yield from _unknown(one, known)


def _judged(
    reader: Reader, pool: Subscription, found: StripeSubscription | Gone | Unreadable | None, call: Call
) -> Record:
    item = item_of(pool, found) if isinstance(found, StripeSubscription) else None
    seats = None
    if isinstance(found, StripeSubscription) and item is not None:
        seats = stand_of(reader, pool, found, item, call.now).now.seats
    row: dict[str, JsonValue] = {
        "name": pool.name,
        "stripe_subscription": pool.stripe_subscription,
        "stripe_seats": seats,
        "capacity": pool.capacity,
        "assigned": pool.assigned,
        "last_assigned": [],
    }
    drift = _drift(pool, found, item, seats)
    if drift is not None:
        return {**row, "drift": drift, "repair": _FIX if drift in _SAFE else f"{_SYNC} tells why"}
    over = pool.assigned - pool.capacity
    if over <= 0 or pool.status.value in ENDED:
        return {**row, "drift": None, "repair": None}
    last = leaving.assigned_last(reader, pool.id, over)
    name = quote(pool.name)
    buy = in_packs(replace(pool, assigned=0), over)
    repair = f"seatctl subs add-seats {name} {buy}, or seatctl seats revoke {name} {' '.join(last)}"
    return {**row, "drift": "over_assigned", "repair": repair, "last_assigned": [*last]}


def _drift(
    pool: Subscription,
    found: StripeSubscription | Gone | Unreadable | None,
    item: StripeItem | None,
    seats: int | None,
) -> str | None:
    """In what the ledger differs from Stripe."""
    if isinstance(found, Unreadable):
        return "unreadable"
    if not isinstance(found, StripeSubscription):
        return "missing" if pool.status.value not in ENDED else None
    if item is None and pool.capacity:
        return "item_gone"
    if found.status is not pool.status:
        return "status"
    return "capacity" if seats is not None and seats != pool.capacity else None


def _unknown(found: StripeSubscription, known: set[str]) -> Iterator[Record]:
    """Licensed items that no pool is: bought elsewhere since the last sync."""
    for item in found.items:
        if item.licensed and item.id not in known:
            yield {
                "name": found.id,
                "stripe_subscription": found.id,
                "stripe_seats": item.quantity,
                "capacity": None,
                "assigned": None,
                "last_assigned": [],
                "drift": "unknown",
                "repair": _FIX,
            }
