"""Asking for a seat: one transaction, in which it is taken where the rules say so."""

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
from seatctl.models.report import Report
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.role import Action, Role
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.approval import AUTOMATIC, ApprovalOutcome, choose, fits, why_chosen
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.people import checked_email
from seatctl.rules.permissions import is_address, is_self
from seatctl.services.requests.auto_approval import automatic
from seatctl.services.requests.outcome import (
    RequestResult,
    described,
    homes,
    report,
    require_short,
    sign_in_url,
    wait,
)
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import RoleRequired, allow


@dataclass(frozen=True, slots=True)
class SeatRequestOptions:
    """What somebody asks for; `subscription` None: any with these features. `expires_at` is UTC."""

    email: str
    subscription: str | None = None
    note: str | None = None
    priority: int = 0
    expires_at: datetime | None = None
    features: tuple[str, ...] = ()
    create_users: bool = False
    """Make the user where there is none; needs the role for it."""


def create_request(ledger: Ledger, call: Call, wish: SeatRequestOptions) -> Report:
    """Ask for a seat. Seated at once where the subscription approves automatically and a seat is free.

    Exit 10 with the place where the request waits for a seat; awaiting approval is 0.
    Raises UnknownUser, `user_not_active`, UnknownSubscription, RoleRequired, ForeignLedger,
    `subscription_not_active`.
    """
    _check(wish, call.now)
    with ledger.change(call) as tx:
        subscription = None if wish.subscription is None else subscriptions.find(tx, wish.subscription)
        if not is_self(call.actor, wish.email):
            allow(tx, call.actor, Action.REQUEST, subscription)
        elif wish.priority > 0:
            _allow_priority(tx, subscription)
        user = _user(tx, wish)
        require_active_user(user)
        if subscription is not None:
            require_home(subscription, ledger.id)
            require_usable(subscription)
            _require_features(subscription, wish.features)
        done = _ask(tx, ledger, user, subscription, wish)
        tx.summarise(done.sentence)
        return report(tx, [done], done.sentence, ExitCode.WAITING if done.place else ExitCode.DONE)


def _allow_priority(tx: Transaction, subscription: Subscription | None) -> None:
    """To go before others is not for oneself to say. Raises RoleRequired."""
    try:
        allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)
    except RoleRequired as error:
        error.message = f"{tx.call.actor} may not go before others on the waitlist: no --priority above 0"
        raise


def _user(tx: Transaction, wish: SeatRequestOptions) -> User:
    """Who asks. Raises UnknownUser with both ways to make the user known."""
    if wish.create_users and users.find(tx, wish.email) is None:
        allow(tx, tx.call.actor, Action.MANAGE_USERS)
        return users.add(tx, checked_email(wish.email))
    try:
        return users.require(tx, wish.email)
    except users.UnknownUser as unknown:
        unknown.hint = f"{unknown.hint}; --create-users adds the user"
        raise


def _check(wish: SeatRequestOptions, now: datetime) -> None:
    if wish.expires_at is not None and wish.expires_at <= now:
        raise refuse(
            Code.BAD_REQUEST,
            "a request cannot expire before it is made",
            hint="use --expires with a later time",
        )
    require_short("a note", wish.note)
    if not all(name.strip() for name in wish.features):
        raise refuse(
            Code.BAD_REQUEST,
            "a feature has a name",
            hint="to see what its seats grant: seatctl plans show PLAN",
        )


def _require_features(subscription: Subscription, wanted: Sequence[str]) -> None:
    missing = [name for name in wanted if not fits(subscription, (name,))]
    if missing:
        raise refuse(
            Code.BAD_REQUEST,
            f"a seat in {subscription.name} does not grant {', '.join(missing)}",
            hint="without --subscription one is chosen that does",
            data={"subscription": subscription.name, "features": [*missing]},
        )


def _ask(
    tx: Transaction, ledger: Ledger, user: User, subscription: Subscription | None, wish: SeatRequestOptions
) -> RequestResult:
    fitting = (
        [subscription]
        if subscription is not None
        else [p for p in homes(tx, ledger) if fits(p, wish.features)]
    )
    if sits := next((one for one in fitting if seats.active_id(tx, one.id, user.id) is not None), None):
        page = sign_in_url(tx, sits.id)
        said = f"{user.email} sits in {sits.name} already{f'; sign in: {page}' if page else ''}"
        return RequestResult(None, user.email, sits.name, "already seated", said, sign_in_url=page)
    subscription_id = None if subscription is None else subscription.id
    earlier = requests.open_of(tx, user.id, subscription_id, tx.call.now)
    if earlier is not None and earlier.status is RequestStatus.WAITLISTED:
        return described(tx, earlier, "already requested")
    # One that awaits approval may have become one that a rule decides: who asks again is judged again.
    asked = earlier or requests.add(
        tx,
        requests.NewRequest(
            user.id, subscription_id, wish.priority, wish.note, wish.expires_at, wish.features
        ),
    )
    by_rule = [(one, automatic(tx, user, one, tx.call.now).outcome) for one in fitting]
    offering = [one for one, outcome in by_rule if outcome is ApprovalOutcome.SEAT]
    target = choose(offering, wish.features) if subscription is None else next(iter(offering), None)
    why = None
    if target is not None:
        take_seat(tx, asked, target, by=AUTOMATIC)
        if subscription is None:
            asking = [one for one, outcome in by_rule if outcome is not ApprovalOutcome.SEAT]
            why = why_chosen(target, offering, wish.features, left_out=asking)
    elif _waits(by_rule):
        wait(tx, asked, by=AUTOMATIC)
    elif earlier is None:
        _tell_deciders(tx, asked, subscription)
    else:
        return described(tx, earlier, "already requested")
    return described(tx, requests.find(tx, asked.number, tx.call.now), why=why)


def _waits(by_rule: Sequence[tuple[Subscription, ApprovalOutcome]]) -> bool:
    """Whether a rule says to wait, and there is no seat that a person could give meanwhile."""
    could_give = any(one.free and outcome is ApprovalOutcome.ASK for one, outcome in by_rule)
    return not could_give and any(outcome is ApprovalOutcome.WAIT for _, outcome in by_rule)


def _tell_deciders(tx: Transaction, request: SeatRequest, subscription: Subscription | None) -> None:
    """The owner and the admins hear of a request that awaits them."""
    ids = {"request": request.number}
    subscription_id = None if subscription is None else subscription.id
    if subscription is not None and subscription.owner_id is not None:
        tx.mail("request_received", ids, recipient_id=subscription.owner_id)
    for actor, role in roles.holders(tx, (Role.ADMIN,), subscription_id):
        owner = subscription.owner_email if subscription is not None else None
        if role is Role.ADMIN and is_address(actor) and not (owner and is_self(actor, owner)):
            tx.mail("request_received", ids, recipient_actor=actor)
