"""`requests approve`, `deny` and `cancel`: several requests and their seats in one transaction."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from seatctl.errors import BadInput, Code, ExitCode, Refused, refuse
from seatctl.ledger import requests, seats, subscriptions, users
from seatctl.ledger.due_changes import fill_waitlists, take_seat
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.message import Template
from seatctl.models.report import Report
from seatctl.models.request import RequestStatus, SeatRequest
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.rules.approval import OPEN, choose, why_chosen
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.permissions import is_self
from seatctl.services.requests.outcome import (
    RequestResult,
    described,
    homes,
    put_on_waitlist,
    report,
    require_short,
    result_row,
)
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import RoleRequired, allow


def approve_requests(
    ledger: Ledger, call: Call, numbers: Sequence[int] | None, subscription: str | None = None
) -> Report:
    """Approve requests: users get the free seats, the others go on the waitlist.

    `numbers` None: every pending request that the actor may decide, only those for `subscription` and for
    any if it is given. Requests for any subscription get their seat in `subscription`. If a single request
    fails, its refusal is raised; of several, the others are approved. Exits with 6 if any failed, else with
    10 if any waits.
    """
    with ledger.change(call) as tx:
        named = None if subscription is None else subscriptions.find(tx, subscription)

        def approve(request: SeatRequest) -> RequestResult:
            return _approve(tx, ledger, request, named)

        return _decide_each(tx, _numbers(tx, numbers, named), approve, "approved")


def _approve(
    tx: Transaction, ledger: Ledger, request: SeatRequest, named: Subscription | None
) -> RequestResult:
    call = tx.call
    subscription, why = _choose_subscription(tx, ledger, request, named)
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
        put_on_waitlist(tx, request, by=call.actor)
    return described(tx, requests.find(tx, request.number, call.now))


def _choose_subscription(
    tx: Transaction, ledger: Ledger, request: SeatRequest, named: Subscription | None
) -> tuple[Subscription | None, str | None]:
    """Return the subscription for the request's seat, and why it was chosen if nobody named it.

    None if the request is for any subscription and none has a free seat. Raises RoleRequired unless the
    actor may decide requests there, ForeignLedger, `bad_request`.
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
        candidates = list(homes(tx, ledger))
        chosen = choose(candidates, request.features)
        return chosen, None if chosen is None else why_chosen(chosen, candidates, request.features)
    allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)
    require_home(subscription, ledger.id)
    return subscription, None


def _numbers(
    tx: Transaction, numbers: Sequence[int] | None, subscription: Subscription | None
) -> Sequence[int]:
    """Return `numbers`, or those of all pending requests for the subscription or any, in waitlist order."""
    if numbers is not None:
        return numbers
    pending = [
        request
        for request in requests.listing(tx, requests.RequestFilter(tx.now, status=RequestStatus.PENDING))
        if subscription is None or request.subscription_id in {subscription.id, None}
    ]
    pending.sort(key=lambda request: (-request.priority, request.number))
    decidable = [request.number for request in pending if _may_decide(tx, request)]
    if pending and not decidable:
        _allow_deciding(tx, pending[0])  # raises: otherwise --all would report success to a viewer
    return decidable


def _may_decide(tx: Transaction, request: SeatRequest) -> bool:
    try:
        _allow_deciding(tx, request)
    except RoleRequired:
        return False
    return True


def deny_requests(ledger: Ledger, call: Call, numbers: Sequence[int] | None, reason: str | None) -> Report:
    """Deny requests; `numbers` None: every pending request that the actor may decide.

    If a single request fails, its refusal is raised; of several, the others are denied (exit 6). Raises
    `bad_request`.
    """
    require_short("--reason", reason)
    with ledger.change(call) as tx:

        def deny(request: SeatRequest) -> RequestResult:
            _allow_deciding(tx, request)
            if request.status is RequestStatus.DENIED:
                return described(tx, request, "already denied")
            _require_open(request)
            requests.decide(tx, request.number, RequestStatus.DENIED, by=call.actor, reason=reason)
            tx.mail(Template.REQUEST_DENIED, {"request": request.number}, recipient_id=request.user_id)
            return described(tx, requests.find(tx, request.number, call.now))

        return _decide_each(tx, _numbers(tx, numbers, None), deny, "denied")


def cancel_requests(ledger: Ledger, call: Call, numbers: Sequence[int]) -> Report:
    """Cancel requests: the actor's own, or those of others if the actor may decide them."""
    with ledger.change(call) as tx:

        def cancel(request: SeatRequest) -> RequestResult:
            if not is_self(call.actor, request.email):
                _allow_deciding(tx, request)
            if request.status is RequestStatus.CANCELED:
                return described(tx, request, "already canceled")
            _require_open(request)
            requests.decide(tx, request.number, RequestStatus.CANCELED, by=call.actor)
            return described(tx, requests.find(tx, request.number, call.now))

        return _decide_each(tx, numbers, cancel, "canceled")


def _allow_deciding(tx: Transaction, request: SeatRequest) -> None:
    subscription = (
        None if request.subscription_id is None else subscriptions.by_id(tx, request.subscription_id)
    )
    allow(tx, tx.call.actor, Action.DECIDE_REQUESTS, subscription)


def _require_open(request: SeatRequest) -> None:
    if request.status in OPEN:
        return
    option = f" --subscription {shlex.quote(request.subscription)}" if request.subscription else ""
    raise refuse(
        Code.REQUEST_CLOSED,
        f"request {request.number} is already {request.status}",
        hint=f"for a new one: seatctl requests create {request.email}{option}",
        data={"request": request.number, "status": request.status.value},
    )


def _decide_each(
    tx: Transaction, numbers: Sequence[int], decide: Callable[[SeatRequest], RequestResult], verb: str
) -> Report:
    """Decide each request in turn. Of several, a refusal becomes a row; a missing role stops all."""
    results: list[RequestResult] = []
    for number in dict.fromkeys(numbers):
        request: SeatRequest | None = None
        try:
            request = requests.find(tx, number, tx.call.now)
            results.append(decide(request))
        except (Refused, BadInput, requests.UnknownRequest) as error:
            if len(set(numbers)) == 1:
                raise
            row = result_row(request, "failed", number=number, error=error.message)
            results.append(RequestResult(row, error.message, changed=False))
    if not results:
        return report(tx, [], "no request waits for a decision", ExitCode.DONE, unchanged=True)
    seated = fill_waitlists(tx)
    failures = sum(result.row["error"] is not None for result in results)
    waiting = sum(result.row["place"] is not None for result in results)
    summary = results[0].sentence if len(results) == 1 else _summary(len(results), failures, waiting, verb)
    if seated:
        summary += f"; seated {seated} from the waitlist"
    code = ExitCode.PARTIAL if failures else ExitCode.WAITING if waiting else ExitCode.DONE
    unchanged = not (seated or any(result.changed for result in results))
    return report(tx, results, summary, code, unchanged=unchanged)


def _summary(total: int, failures: int, waiting: int, verb: str) -> str:
    parts = [f"{verb} {total - failures} of {total} requests"]
    parts += [f"{waiting} of them on the waitlist"] if waiting else []
    parts += [f"{failures} failed"] if failures else []
    return ", ".join(parts)
