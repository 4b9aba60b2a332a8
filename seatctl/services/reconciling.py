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
from seatctl.ledger import leaving, mirrored_pools, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.mirrored import Gone, Kind, Stored
from seatctl.models.report import Record, Report
from seatctl.models.stripe_objects import StripeSubscription
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import in_packs
from seatctl.services.gathering import stand_of
from seatctl.services.pool_mirroring import ENDED, item_of
from seatctl.services.stripe_reading import reading
from seatctl.services.syncing import follow

COLUMNS = ("name", "stripe_seats", "capacity", "assigned", "drift", "repair")
_SAFE = frozenset(("capacity", "status", "unknown", "item_gone"))


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
    said = f"{drifts} drifts" if drifts else "Stripe, ledger and seats agree"
    return Report(
        None,
        call.dry_run,
        f"{repaired}{said}",
        tuple(sorted(rows, key=lambda row: (row["drift"] is None, str(row["name"])))),
        ExitCode.NO if check and drifts else ExitCode.DONE,
        columns=COLUMNS,
        data={"drifts": drifts, "fixed": fixed},
    )


def _in_stripe(ledger: Ledger, billing: Billing, call: Call) -> dict[str, StripeSubscription | None]:
    """What runs in Stripe, and what the ledger knows besides; None for what Stripe does not have."""
    found: dict[str, StripeSubscription | None] = {}
    for raw in billing.every(Read("/v1/subscriptions", {})):
        try:
            one = read_subscription(raw)
        except UnreadableObject:
            continue  # `sync` counts and shows it
        found[one.id] = one
    with ledger.reading() as reader:
        known = {pool.stripe_subscription for pool in subscriptions.listing(reader, call.now)}
    missing = sorted(known - set(found))
    with reading(billing) as stripe:
        for answer in stripe.objects((Kind.SUBSCRIPTION, one) for one in missing):
            if isinstance(answer, Stored):
                found[answer.id] = read_subscription(answer.data)
            elif isinstance(answer, Gone):
                found[answer.id] = None
    return found


def _rows(ledger: Ledger, found: Mapping[str, StripeSubscription | None], call: Call) -> Iterator[Record]:
    with ledger.reading() as reader:
        pools = list(subscriptions.listing(reader, call.now))
        for pool in pools:
            yield _judged(reader, pool, found.get(pool.stripe_subscription), call)
        known = {pool.stripe_item for pool in pools}
        for one in found.values():
            if one is not None and one.status.value not in ENDED:
                yield from _unknown(reader, one, known)


def _judged(reader: Reader, pool: Subscription, found: StripeSubscription | None, call: Call) -> Record:
    item = None if found is None else item_of(pool, found)
    seats = None
    if found is not None and item is not None:
        seats = stand_of(reader, pool, found, item, call.now).now.seats
    row: dict[str, JsonValue] = {
        "name": pool.name,
        "stripe_subscription": pool.stripe_subscription,
        "stripe_seats": seats,
        "capacity": pool.capacity,
        "assigned": pool.assigned,
        "last_assigned": [],
    }
    if found is None:
        return {**row, "drift": "missing", "repair": f"seatctl subs show {quote(pool.name)}"}
    if item is None and pool.capacity:
        return {**row, "drift": "item_gone", "repair": "seatctl sync"}
    if found.status is not pool.status:
        return {**row, "drift": "status", "repair": "seatctl sync"}
    if seats is not None and seats != pool.capacity:
        return {**row, "drift": "capacity", "repair": "seatctl sync"}
    over = pool.assigned - pool.capacity
    if over > 0 and pool.status.value not in ENDED:
        last = leaving.assigned_last(reader, pool.id, over)
        name = quote(pool.name)
        buy = in_packs(replace(pool, assigned=0), over)
        repair = f"seatctl subs add-seats {name} {buy}, or seatctl seats revoke {name} {' '.join(last)}"
        return {**row, "drift": "over_assigned", "repair": repair, "last_assigned": [*last]}
    return {**row, "drift": None, "repair": None}


def _unknown(reader: Reader, found: StripeSubscription, known: set[str]) -> Iterator[Record]:
    """Licensed items that no pool is: bought elsewhere since the last sync."""
    if mirrored_pools.of_stripe(reader, found.id):
        return
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
                "repair": "seatctl sync",
            }
