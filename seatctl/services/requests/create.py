"""`requests create`: request a seat, and take it in the same transaction if the rules approve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from seatctl.errors import Code, ExitCode, refuse
from seatctl.ledger import requests, roles, seats, subscriptions, users
from seatctl.ledger.due_changes import take_seat
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.message import Template
from seatctl.models.report import Report
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.role import Action, Role
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.approval import AUTOMATIC, ApprovalOutcome, choose, fits, why_chosen
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.people import checked_email
from seatctl.rules.permissions import is_address, is_self
from seatctl.services.requests.auto_approval import apply_rules
from seatctl.services.requests.outcome import (
    RequestResult,
    described,
    homes,
    put_on_waitlist,
    report,
    require_short,
    result_row,
    sign_in_url,
)
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import RoleRequired, allow


@dataclass(frozen=True, slots=True)
class SeatRequestOptions:
    """A new request; `subscription` None: any subscription with these features. `expires_at` is UTC."""

    email: str
    subscription: str | None = None
    note: str | None = None
    priority: int = 0
    expires_at: datetime | None = None
    features: tuple[str, ...] = ()
    create_users: bool = False
    """Add the user if the e-mail is not a user yet; the actor needs the role to manage users."""


def create_request(ledger: Ledger, call: Call, options: SeatRequestOptions) -> Report:
    """Request a seat. The user gets it at once if the subscription approves automatically and has a free one.

    Exits with 10 if the request is on the waitlist, with 0 if it waits for approval.
    Raises UnknownUser, `user_not_active`, UnknownSubscription, RoleRequired, ForeignLedger,
    `subscription_not_active`.
    """
    _check(options, call.now)
    with ledger.change(call) as tx:
        subscription = None if options.subscription is None else subscriptions.find(tx, options.subscription)
        if not is_self(call.actor, options.email):
            allow(tx, call.actor, Action.REQUEST, subscription)
        elif options.priority > 0:
            _allow_priority(tx, subscription)
        user = _user(tx, options)
        require_active_user(user)
        if subscription is not None:
            require_home(subscription, ledger.id)
            require_usable(subscription)
            _require_features(subscription, options.features)
        result = _request(tx, ledger, user, subscription, options)
        code = ExitCode.WAITING if result.row["place"] else ExitCode.DONE
        return report(tx, [result], result.sentence, code, unchanged=not result.changed)


def _allow_priority(tx: Transaction, subscription: Subscription | None) -> None:
    """Users may not put themselves before others on the waitlist. Raises RoleRequired."""
    try:
        allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)
    except RoleRequired as error:
        error.message = f"{tx.call.actor} may not request a seat for themselves with a --priority above 0"
        raise


def _user(tx: Transaction, options: SeatRequestOptions) -> User:
    """Return the user who needs the seat. Raises UnknownUser, with both ways to add the user."""
    if options.create_users and users.find(tx, options.email) is None:
        allow(tx, tx.call.actor, Action.MANAGE_USERS)
        return users.add(tx, checked_email(options.email))
    try:
        return users.require(tx, options.email)
    except users.UnknownUser as unknown:
        unknown.hint = f"{unknown.hint}; --create-users adds the user"
        raise


def _check(options: SeatRequestOptions, now: datetime) -> None:
    if options.expires_at is not None and options.expires_at <= now:
        raise refuse(
            Code.BAD_REQUEST,
            "--expires is in the past",
            hint="use --expires with a later time",
        )
    require_short("--note", options.note)
    if not all(name.strip() for name in options.features):
        raise refuse(
            Code.BAD_REQUEST,
            "--feature needs the name of a feature",
            hint="to see the features of a plan: seatctl plans show PLAN",
        )


def _require_features(subscription: Subscription, features: Sequence[str]) -> None:
    missing = [name for name in features if not fits(subscription, (name,))]
    if missing:
        raise refuse(
            Code.BAD_REQUEST,
            f"a seat in {subscription.name} does not grant {', '.join(missing)}",
            hint="leave out --subscription: then a subscription that does is chosen",
            data={"subscription": subscription.name, "features": [*missing]},
        )


def _request(
    tx: Transaction,
    ledger: Ledger,
    user: User,
    subscription: Subscription | None,
    options: SeatRequestOptions,
) -> RequestResult:
    fitting = (
        [subscription]
        if subscription is not None
        else [each for each in homes(tx, ledger) if fits(each, options.features)]
    )
    for each in fitting:
        if seats.active_id(tx, each.id, user.id) is not None:
            return _already_seated(tx, user, each)
    subscription_id = None if subscription is None else subscription.id
    earlier = requests.open_of(tx, user.id, subscription_id, tx.call.now)
    if earlier is not None and earlier.status is RequestStatus.WAITLISTED:
        return described(tx, earlier, "already requested")
    # An earlier request that waits for approval is decided again: the rules may have changed since.
    new = requests.NewRequest(
        user.id, subscription_id, options.priority, options.note, options.expires_at, options.features
    )
    request = earlier or requests.add(tx, new)
    outcomes = [(each, apply_rules(tx, user, each, tx.call.now).outcome) for each in fitting]
    offering = [each for each, outcome in outcomes if outcome is ApprovalOutcome.SEAT]
    target = choose(offering, options.features) if subscription is None else next(iter(offering), None)
    why = None
    if target is not None:
        take_seat(tx, request, target, by=AUTOMATIC)
        if subscription is None:
            asking = [each for each, outcome in outcomes if outcome is not ApprovalOutcome.SEAT]
            why = why_chosen(target, offering, options.features, left_out=asking)
    elif _must_wait(outcomes):
        put_on_waitlist(tx, request, by=AUTOMATIC)
    elif earlier is None:
        _mail_deciders(tx, request, subscription)
    else:
        return described(tx, earlier, "already requested")
    return described(tx, requests.find(tx, request.number, tx.call.now), why=why)


def _already_seated(tx: Transaction, user: User, subscription: Subscription) -> RequestResult:
    url = sign_in_url(tx, subscription.id)
    sentence = f"{user.email} already has a seat in {subscription.name}{f'; sign in: {url}' if url else ''}"
    row = result_row(
        None, "already seated", email=user.email, subscription=subscription.name, sign_in_url=url
    )
    return RequestResult(row, sentence, changed=False)


def _must_wait(outcomes: Sequence[tuple[Subscription, ApprovalOutcome]]) -> bool:
    """Whether a rule puts the request on the waitlist, and no person could give a free seat instead."""
    could_give = any(each.free and outcome is ApprovalOutcome.ASK for each, outcome in outcomes)
    return not could_give and any(outcome is ApprovalOutcome.WAIT for _, outcome in outcomes)


def _mail_deciders(tx: Transaction, request: SeatRequest, subscription: Subscription | None) -> None:
    """Tell the owner and the admins about a request that waits for their decision."""
    ids = {"request": request.number}
    subscription_id = None if subscription is None else subscription.id
    if subscription is not None and subscription.owner_id is not None:
        tx.mail(Template.REQUEST_RECEIVED, ids, recipient_id=subscription.owner_id)
    for actor, role in roles.holders(tx, (Role.ADMIN,), subscription_id):
        owner = subscription.owner_email if subscription is not None else None
        if role is Role.ADMIN and is_address(actor) and not (owner and is_self(actor, owner)):
            tx.mail(Template.REQUEST_RECEIVED, ids, recipient_actor=actor)
