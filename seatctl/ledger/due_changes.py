"""Changes that fall due by time alone: planned capacities, expired seats and requests, waitlists.

Every transaction records them first, so that it decides on the state of now. Reads compute the same state
from the clock and write nothing.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

from seatctl.ledger import request_closures, request_decisions, requests, roles, seats, subscriptions
from seatctl.ledger.conditions import flag, only_in
from seatctl.ledger.locks import WAITS, lock_requests
from seatctl.ledger.subscription_handles import IS_RUNNING
from seatctl.ledger.transaction import Transaction
from seatctl.ledger.undo import held_seats
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.subscription import Subscription
from seatctl.rules.approval import AUTOMATIC, ApprovalOutcome, Requester, decide_automatically
from seatctl.rules.permissions import actor_key

_DUE_CAPACITY = "capacity_changes WHERE applied_at IS NULL AND effective_at <= :now"

_WITH_FREE_SEATS = f"""SELECT id FROM subscriptions WHERE capacity > assigned
    AND {IS_RUNNING}
    AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id'){{only}} ORDER BY id"""

_FITS = f"""subscriptions s WHERE s.capacity > s.assigned AND s.{IS_RUNNING}
    AND s.home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id')
    AND EXISTS (SELECT 1 FROM requests r JOIN users u ON u.id = r.user_id
        WHERE r.status = 'waitlisted' AND u.status = 'active'
        AND (r.subscription_id = s.id OR r.subscription_id IS NULL)
        AND s.capacity - s.assigned > coalesce((SELECT sum(h.seats) FROM held_seats h
            WHERE h.subscription_id = s.id AND h.until > :now), 0)
            + CASE WHEN r.decided_by = '{AUTOMATIC}' AND r.subscription_id IS NOT NULL
                THEN coalesce(CAST(json_extract(s.auto_approval, '$.keep_free') AS BIGINT), 0) ELSE 0 END
        AND (r.subscription_id IS NOT NULL OR NOT EXISTS (SELECT 1 FROM json_each(r.features) AS wanted
            WHERE wanted.value NOT IN (SELECT offered.value
                FROM json_each(coalesce(json_extract(s.policy, '$.features'), '[]')) AS offered))))"""
"""A subscription with a free seat for somebody who waits. If they wait for any subscription, the rules of
automatic approval may still refuse it."""

_WAITS = f"EXISTS (SELECT 1 FROM {WAITS})"

_HOLDS = "EXISTS (SELECT 1 FROM held_seats)"


@cache
def _beginning(only: str | None) -> str:
    """Return the first query of a transaction; `only` as in `Transaction.only`."""
    there = only_in("subscription_id", only)
    is_due = f"""EXISTS (SELECT 1 FROM {_DUE_CAPACITY}{there})
        OR EXISTS (SELECT 1 FROM seats WHERE {seats.HAS_EXPIRED}{there})
        OR EXISTS (SELECT 1 FROM requests WHERE {request_closures.HAS_EXPIRED}{there})
        OR EXISTS (SELECT 1 FROM {request_closures.OF_THE_ENDED}{only_in("r.subscription_id", only)})
        OR EXISTS (SELECT 1 FROM {request_decisions.are_new(only)})
        OR {_WAITS} AND EXISTS (SELECT 1 FROM {_FITS}{only_in("s.id", only)})"""
    return f"""SELECT (SELECT value FROM meta WHERE key = 'ledger_id') AS ledger_id,
        {flag(_HOLDS)} AS holds, {flag(_WAITS)} AS waits, {flag(is_due)} AS is_due,
        {roles.OF_ACTOR} AS roles"""


class Beginning(NamedTuple):
    """What a transaction that changes facts asks first, in one statement."""

    ledger_id: str | None
    """The id of the ledger; another one if a restore has replaced it."""
    is_due: bool
    """Whether anything has fallen due that has to be recorded before the change: see `settle`."""


def begin(tx: Transaction) -> Beginning:
    """Read what is due, the actor's roles, and whether to look for held seats and waiting requests."""
    params = {"now": tx.now, "actor": actor_key(tx.call.actor), "only": tx.only}
    row = tx.row(_beginning(tx.only), params)
    if row is None:
        raise LookupError("the beginning of a transaction has no row")
    tx.may_hold, tx.may_wait, tx.actor_roles = row["holds"] == 1, row["waits"] == 1, row["roles"]
    return Beginning(row["ledger_id"], row["is_due"] == 1)


def settle(tx: Transaction) -> None:
    """Record everything that has fallen due by the time of the transaction."""
    apply_capacity_changes(tx)
    seats.expire(tx)
    request_closures.expire(tx)
    request_closures.deny_for_ended_subscriptions(tx)
    request_decisions.decide_new(tx)
    fill_waitlists(tx)


def apply_capacity_changes(tx: Transaction) -> None:
    """Apply planned capacities that are due, oldest first."""
    due = list(
        tx.rows(
            f"SELECT id, subscription_id, seats FROM {_DUE_CAPACITY}{only_in('subscription_id', tx.only)}"
            " ORDER BY effective_at, id",
            {"now": tx.now, "only": tx.only},
        )
    )
    for change_id, subscription, capacity in (tuple(row) for row in due):
        before = tx.count("SELECT capacity FROM subscriptions WHERE id = ?", (subscription,))
        tx.execute("UPDATE capacity_changes SET applied_at = ? WHERE id = ?", (tx.now, change_id))
        tx.execute("UPDATE subscriptions SET capacity = ? WHERE id = ?", (capacity, subscription))
        tx.record("subscription", subscription, {"capacity": before}, {"capacity": capacity})


def fill_waitlists(tx: Transaction) -> int:
    """Give free seats to the waitlists, except held ones (`undo/held_seats.py`); return how many."""
    held_seats.update(tx)
    if not tx.may_wait or (tx.is_shared and not tx.freed):
        return 0
    query = _WITH_FREE_SEATS.format(only=only_in("id", tx.only))
    rows = tx.rows(query, {"only": tx.only})
    free = [row["id"] for row in rows if not tx.is_shared or row["id"] in tx.locked]
    return sum(_fill(tx, subscriptions.by_id(tx, subscription)) for subscription in free)


def waitlist_note(tx: Transaction, moved_up: int) -> str:
    """Return the end of a summary after seats were freed: who moved up, or how long the waitlist waits."""
    if moved_up:
        return f"; seated {moved_up:,} from the waitlist"
    until = held_seats.held_until(tx) if tx.may_wait and requests.anybody_waits(tx) else None
    return "" if until is None else f"; the waitlist moves up after {until}"


def _fill(tx: Transaction, subscription: Subscription) -> int:
    """Assign free seats in the order of the waitlist. A request that does not fit keeps its place."""
    free, seated = max(0, subscription.free - held_seats.held(tx, subscription.id, tx.now)), 0
    for request in list(requests.waiting(tx, subscription.id)):
        if not free:
            break
        for_any = request.subscription_id is None
        if for_any and _is_taken(tx, request):
            continue
        if not (
            _suits(tx, request, subscription, free) if for_any else free > _kept_free(request, subscription)
        ):
            continue
        # A request for any subscription is decided now, by this subscription's rules; others were decided
        # before.
        by = AUTOMATIC if for_any and request.decided_by == AUTOMATIC else None
        taken = request_decisions.take_seat(tx, request, subscription, by=by)
        free -= taken
        seated += taken
    return seated


def _is_taken(tx: Transaction, request: SeatRequest) -> bool:
    """Lock a request for any subscription; return whether another client has closed it by now."""
    if not tx.is_shared:
        return False
    lock_requests(tx, [request.number])
    return requests.find(tx, request.number, tx.call.now).status is not RequestStatus.WAITLISTED


def _kept_free(request: SeatRequest, subscription: Subscription) -> int:
    """Return how many free seats are kept from requests that were approved automatically."""
    return subscription.auto_approval.keep_free if request.decided_by == AUTOMATIC else 0


def _suits(tx: Transaction, request: SeatRequest, subscription: Subscription, free: int) -> bool:
    """Return whether a request for any subscription can have a seat of this one.

    The seat must have the requested features. A request that a person approved may take any seat; one that
    was approved by the rules of another subscription has to fit the rules of this one.
    """
    offered = subscription.policy.features if subscription.policy else ()
    if not set(request.features) <= set(offered):
        return False
    if request.decided_by != AUTOMATIC:
        return True
    group = tx.value("SELECT group_name FROM users WHERE id = ?", (request.user_id,))
    today = requests.approved_automatically(tx, subscription.id, tx.call.now)
    requester = Requester(request.email, None if group is None else str(group), tx.call.now, today)
    return decide_automatically(subscription.auto_approval, requester, free).outcome is ApprovalOutcome.SEAT
