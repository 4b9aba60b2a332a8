"""Deciding requests: several in one transaction, a seat taken in it for each that gets one."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from seatctl.errors import BadInput, Code, ExitCode, Refused, refuse
from seatctl.ledger import requests, seats, subscriptions, users
from seatctl.ledger.due_changes import fill_waitlists, take_seat
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.rules.approval import OPEN, choose, why_chosen
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.permissions import is_self
from seatctl.services.requests.outcome import RequestResult, described, homes, report, require_short, wait
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import RoleRequired, allow


def approve_requests(
    ledger: Ledger, call: Call, numbers: Sequence[int] | None, subscription: str | None = None
) -> Report:
    """Approve, and seat whoever a seat is free for; the others go on the waitlist.

    `numbers` None: every pending one that the actor may decide, of `subscription` where it is named. For
    those who asked for any it says where to seat them. One that fails alone is raised; of several the
    rest is done. Exit 6 if any failed, else 10 if any waits, else 0.
    """
    with ledger.change(call) as tx:
        named = None if subscription is None else subscriptions.find(tx, subscription)

        def approve(request: SeatRequest) -> RequestResult:
            return _approve(tx, ledger, request, named)

        return _decided(tx, _numbers(tx, numbers, named), approve, "approved")


def _approve(
    tx: Transaction, ledger: Ledger, request: SeatRequest, named: Subscription | None
) -> RequestResult:
    call = tx.call
    subscription, why = _pool_of(tx, ledger, request, named)
    if request.status is RequestStatus.APPROVED:
        return described(tx, request, "already approved")
    _require_open(request)
    require_active_user(users.require(tx, request.email))
    if subscription is not None:
        require_usable(subscription)
        if subscription.free or seats.active_id(tx, subscription.id, request.user_id) is not None:
            take_seat(tx, request, subscription, by=call.actor)
            return described(tx, requests.find(tx, request.number, call.now), why=why)
    if request.status is RequestStatus.PENDING:
        wait(tx, request, by=call.actor)
    return described(tx, requests.find(tx, request.number, call.now))


def _pool_of(
    tx: Transaction, ledger: Ledger, request: SeatRequest, named: Subscription | None
) -> tuple[Subscription | None, str | None]:
    """Where the request's seat is to be, and why there if nobody named it; the actor may decide there.

    None: anywhere, but nothing is free.
    """
    if request.subscription_id is not None:
        subscription = subscriptions.by_id(tx, request.subscription_id)
        if named is not None and named.id != subscription.id:
            raise refuse(
                Code.BAD_REQUEST,
                f"request {request.number} is for {subscription.name}, not for {named.name}",
                hint=f"seatctl requests approve {request.number}",
            )
    elif named is not None:
        subscription = named
    else:
        allow(tx, tx.call.actor, Action.DECIDE_REQUESTS)
        pools = list(homes(tx, ledger))
        chosen = choose(pools, request.features)
        return chosen, None if chosen is None else why_chosen(chosen, pools, request.features)
    allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)
    require_home(subscription, ledger.id)
    return subscription, None


def _numbers(
    tx: Transaction, numbers: Sequence[int] | None, subscription: Subscription | None
) -> Sequence[int]:
    """Those named, or all pending ones of the subscription and for any, in the order of the waitlist."""
    if numbers is not None:
        return numbers
    now = tx.now
    pending = [
        request
        for request in requests.listing(tx, requests.RequestFilter(now, status=RequestStatus.PENDING))
        if subscription is None or request.subscription_id in {subscription.id, None}
    ]
    pending.sort(key=lambda request: (-request.priority, request.number))
    decidable = [request.number for request in pending if _may_decide(tx, request)]
    if pending and not decidable:
        _allow_deciding(tx, pending[0])  # raises: "all" of a viewer is not "none"
    return decidable


def _may_decide(tx: Transaction, request: SeatRequest) -> bool:
    try:
        _allow_deciding(tx, request)
    except RoleRequired:
        return False
    return True


def deny_requests(ledger: Ledger, call: Call, numbers: Sequence[int] | None, reason: str | None) -> Report:
    """Deny; `numbers` None: every pending one that the actor may decide.

    One that fails alone is raised; of several the rest is done (exit 6). Raises `bad_request`.
    """
    require_short("a reason", reason)
    with ledger.change(call) as tx:

        def deny(request: SeatRequest) -> RequestResult:
            _allow_deciding(tx, request)
            if request.status is RequestStatus.DENIED:
                return described(tx, request, "already denied")
            _require_open(request)
            requests.decide(tx, request.number, RequestStatus.DENIED, by=call.actor, reason=reason)
            tx.mail("request_denied", {"request": request.number}, recipient_id=request.user_id)
            return described(tx, requests.find(tx, request.number, call.now))

        return _decided(tx, _numbers(tx, numbers, None), deny, "denied")


def cancel_requests(ledger: Ledger, call: Call, numbers: Sequence[int]) -> Report:
    """Take requests back: one's own, or anybody's for those who may decide them."""
    with ledger.change(call) as tx:

        def cancel(request: SeatRequest) -> RequestResult:
            if not is_self(call.actor, request.email):
                _allow_deciding(tx, request)
            if request.status is RequestStatus.CANCELED:
                return described(tx, request, "already canceled")
            _require_open(request)
            requests.decide(tx, request.number, RequestStatus.CANCELED, by=call.actor)
            return described(tx, requests.find(tx, request.number, call.now))

        return _decided(tx, numbers, cancel, "canceled")


def _allow_deciding(tx: Transaction, request: SeatRequest) -> None:
    subscription = (
        None if request.subscription_id is None else subscriptions.by_id(tx, request.subscription_id)
    )
    allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)


def _require_open(request: SeatRequest) -> None:
    if request.status in OPEN:
        return
    where = f" --subscription {shlex.quote(request.subscription)}" if request.subscription else ""
    raise refuse(
        Code.REQUEST_CLOSED,
        f"request {request.number} is {request.status} already",
        hint=f"a new one: seatctl requests create {request.email}{where}",
        data={"request": request.number, "status": request.status.value},
    )


def _decided(
    tx: Transaction, numbers: Sequence[int], decide: Callable[[SeatRequest], RequestResult], verb: str
) -> Report:
    """Decide each in turn. What is raised for a single one is a row of several; a wrong role stops all."""
    done: list[RequestResult] = []
    for number in dict.fromkeys(numbers):
        request: SeatRequest | None = None
        try:
            request = requests.find(tx, number, tx.call.now)
            done.append(decide(request))
        except (Refused, BadInput, requests.UnknownRequest) as error:
            if len(set(numbers)) == 1:
                raise
            email, where = (request.email, request.subscription) if request else ("", None)
            done.append(RequestResult(request, email, where, "failed", error.message, None, error, number))
    if not done:
        return report(tx, [], "no request awaits a decision", ExitCode.DONE)
    moved_up = fill_waitlists(tx)
    failed = sum(one.error is not None for one in done)
    waits = sum(one.place is not None and one.error is None for one in done)
    summary = done[0].sentence if len(done) == 1 else _sentence(len(done), failed, waits, verb)
    if moved_up:
        summary += f"; {moved_up} from the waitlist seated"
    tx.summarise(summary)
    code = ExitCode.PARTIAL if failed else ExitCode.WAITING if waits else ExitCode.DONE
    return report(tx, done, summary, code)


def _sentence(total: int, failed: int, waits: int, verb: str) -> str:
    parts = [f"{total - failed} of {total} {verb}"]
    parts += [f"{waits} of them on the waitlist"] if waits else []
    parts += [f"{failed} failed"] if failed else []
    return ", ".join(parts)
