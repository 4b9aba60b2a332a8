"""Decisions about requests, with the seats and messages that follow; and new requests that nobody decided on.

A database role that may only request stores its requests undecided, in `new_requests` too: it must not give
itself a seat. Whoever opens the next transaction with the right to do so applies the rules to them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from seatctl.ledger import request_closures, requests, roles, seats, subscriptions, users
from seatctl.ledger.conditions import only_in
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.ledger.undo import held_seats
from seatctl.models.call import format_time
from seatctl.models.message import Template
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.role import Role
from seatctl.models.subscription import Subscription
from seatctl.models.user import User, UserStatus
from seatctl.rules.approval import (
    AUTOMATIC,
    ApprovalOutcome,
    ApprovalVerdict,
    Requester,
    choose,
    decide_automatically,
    fits,
)
from seatctl.rules.permissions import is_address, is_self


def are_new(only: str | None) -> str:
    """Return the FROM clause of the new requests; `only` as in `Transaction.only`."""
    if only is None:
        return "new_requests"
    joined = "new_requests n JOIN requests r ON r.number = n.request"
    return f"{joined} WHERE TRUE{only_in('r.subscription_id', only)}"


def any_new(reader: Reader) -> bool:
    """Return whether there are new requests that nobody has decided on."""
    return reader.exists(are_new(None))


def decide_new(tx: Transaction) -> None:
    """Apply the rules of automatic approval to new requests, or tell the people who decide about them."""
    query = f"SELECT request FROM {are_new(tx.only)} ORDER BY request"
    for number in tx.column(query, {"only": tx.only}):
        tx.execute("DELETE FROM new_requests WHERE request = ?", (number,))
        request = requests.find(tx, number, tx.call.now)
        user = users.find(tx, request.email)
        if request.status is RequestStatus.PENDING and user is not None:
            _decide_new(tx, request, user)


def _decide_new(tx: Transaction, request: SeatRequest, user: User) -> None:
    subscription = None
    if request.subscription_id is not None:
        subscription = subscriptions.by_id(tx, request.subscription_id)
    home = tx.value("SELECT value FROM meta WHERE key = 'ledger_id'")
    listed = subscriptions.listing(tx, tx.call.now) if subscription is None else (subscription,)
    fitting = [each for each in listed if each.home_ledger == home and fits(each, request.features)]
    if user.status is not UserStatus.ACTIVE:
        fitting = []
    for each in fitting:
        if seats.active_id(tx, each.id, user.id) is not None:
            take_seat(tx, request, each, by=AUTOMATIC)
            return
    if decide_by_rules(tx, request, user, fitting) is None:
        mail_deciders(tx, request, subscription)


class RuleDecision(NamedTuple):
    """What the rules decided about a request."""

    subscription: Subscription | None
    """Where the user has a seat now; None: the request is on the waitlist."""
    offering: Sequence[Subscription]
    """The subscriptions whose rules would give a seat."""


def decide_by_rules(
    tx: Transaction, request: SeatRequest, user: User, fitting: Sequence[Subscription]
) -> RuleDecision | None:
    """Decide a request by the rules of the subscriptions that it can get a seat of.

    Returns None if a person has to decide; then nothing was changed.
    """
    outcomes = [(each, apply_rules(tx, user, each, tx.call.now).outcome) for each in fitting]
    offering = [each for each, outcome in outcomes if outcome is ApprovalOutcome.SEAT]
    is_for_any = request.subscription_id is None
    target = choose(offering, request.features) if is_for_any else next(iter(offering), None)
    if target is not None:
        take_seat(tx, request, target, by=AUTOMATIC)
    elif _must_wait(outcomes):
        put_on_waitlist(tx, request, by=AUTOMATIC)
    else:
        return None
    return RuleDecision(target, offering)


def _must_wait(outcomes: Sequence[tuple[Subscription, ApprovalOutcome]]) -> bool:
    """Return whether a rule puts it on the waitlist, and no person could give a free seat instead."""
    could_give = any(each.free and outcome is ApprovalOutcome.ASK for each, outcome in outcomes)
    return not could_give and any(outcome is ApprovalOutcome.WAIT for _, outcome in outcomes)


def apply_rules(reader: Reader, user: User, subscription: Subscription, now: datetime) -> ApprovalVerdict:
    """Return how the subscription's rules decide a request of this user at `now` (UTC)."""
    if not subscription.auto_approval.enabled:  # nothing else is looked at then
        requester = Requester(user.email, user.group, now, 0)
        return decide_automatically(subscription.auto_approval, requester, 0)
    today = requests.approved_automatically(reader, subscription.id, now)
    free = max(0, subscription.free - held_seats.held(reader, subscription.id, format_time(now)))
    return decide_automatically(
        subscription.auto_approval, Requester(user.email, user.group, now, today), free
    )


def take_seat(tx: Transaction, request: SeatRequest, subscription: Subscription, *, by: str | None) -> int:
    """Approve a request, assign a seat to its user, and return how many seats that took.

    The result is 1, or 0 if the user has a seat there already. The caller has checked that a seat is free.
    """
    requests.decide(tx, request.number, RequestStatus.APPROVED, by=by, subscription_id=subscription.id)
    if seats.active_id(tx, subscription.id, request.user_id) is not None:
        return 0
    seat = seats.assign(tx, subscription.id, request.user_id)
    request_closures.approve_seated(tx, subscription.id, request.user_id)
    ids = {"request": request.number, "seat": seat}
    tx.mail(Template.REQUEST_APPROVED, ids, recipient_id=request.user_id)
    return 1


def put_on_waitlist(tx: Transaction, request: SeatRequest, *, by: str) -> None:
    """Put an approved request on the waitlist, and send its user a message."""
    requests.decide(tx, request.number, RequestStatus.WAITLISTED, by=by)
    tx.mail(Template.REQUEST_WAITLISTED, {"request": request.number}, recipient_id=request.user_id)


def mail_deciders(tx: Transaction, request: SeatRequest, subscription: Subscription | None) -> None:
    """Tell the owner and the admins about a request that waits for their decision."""
    ids = {"request": request.number}
    subscription_id = None if subscription is None else subscription.id
    if subscription is not None and subscription.owner_id is not None:
        tx.mail(Template.REQUEST_RECEIVED, ids, recipient_id=subscription.owner_id)
    for actor, role in roles.holders(tx, (Role.ADMIN,), subscription_id):
        owner = subscription.owner_email if subscription is not None else None
        if role is Role.ADMIN and is_address(actor) and not (owner and is_self(actor, owner)):
            tx.mail(Template.REQUEST_RECEIVED, ids, recipient_actor=actor)
