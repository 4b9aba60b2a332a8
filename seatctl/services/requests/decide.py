"""`requests create`, `approve`, `deny` and `cancel`: each changes requests and seats in one transaction."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from seatctl.errors import BadInput, Code, ExitCode, JsonValue, Refused, refuse
from seatctl.ledger import locks, requests, seats, subscriptions, users
from seatctl.ledger.due_changes import fill_waitlists
from seatctl.ledger.ledger import Ledger, Scope
from seatctl.ledger.request_decisions import decide_by_rules, mail_deciders, put_on_waitlist, take_seat
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.message import Template
from seatctl.models.report import Record, Report, record_of
from seatctl.models.request import RequestStatus, SeatRequest, SeatRequestOptions
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.approval import OPEN, choose, fits, why_chosen
from seatctl.rules.assignment import require_home, require_usable
from seatctl.rules.people import checked_email
from seatctl.rules.permissions import is_self
from seatctl.services.requests import own_requests
from seatctl.services.users.people import require_active_user
from seatctl.services.users.permissions import RoleRequired, allow


def create_request(ledger: Ledger, call: Call, options: SeatRequestOptions) -> Report:
    """Request a seat. The user gets it at once if the subscription approves automatically and has a free one.

    Exits with 10 if the request is on the waitlist, with 0 if it waits for approval.
    Raises UnknownUser, `user_not_active`, UnknownSubscription, RoleRequired, ForeignLedger,
    `subscription_not_active`.
    """
    _check(options, call.now)
    if own_requests.only_requests(ledger):
        return own_requests.create(ledger, call, options)
    # A request for any subscription may take a seat in each of them.
    scope = Scope.WHOLE if options.subscription is None else Scope.SHARED
    with ledger.change(call, scope) as tx:
        if options.create_users:
            locks.lock_users(tx)
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
        return tx.report(result.sentence, [result.row], COLUMNS, unchanged=not result.changed, exit_code=code)


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
            hint="without --subscription, one that does is chosen",
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
    subscription_id = None if subscription is None else subscription.id
    seated: set[int] = set()
    seats.ask_active(tx, user.id, seated)
    earlier = requests.open_of(tx, user.id, subscription_id, tx.call.now)
    for each in fitting:
        if each.id in seated:
            return _already_seated(tx, user, each)
    if earlier is not None and earlier.status is RequestStatus.WAITLISTED:
        return described(tx, earlier, "already requested")
    # An earlier request that waits for approval is decided again: the rules may have changed since.
    new = requests.NewRequest(
        user.id, subscription_id, options.priority, options.note, options.expires_at, options.features
    )
    request = earlier or requests.add(tx, new)
    decision = decide_by_rules(tx, request, user, fitting)
    why = None
    if decision is None and earlier is not None:
        return described(tx, earlier, "already requested")
    if decision is None:
        mail_deciders(tx, request, subscription)
        return described(tx, request)
    if subscription is None and decision.subscription is not None:
        asking = [each for each in fitting if each not in decision.offering]
        why = why_chosen(decision.subscription, decision.offering, options.features, left_out=asking)
    return described(tx, requests.find(tx, request.number, tx.call.now), why=why)


def _already_seated(tx: Transaction, user: User, subscription: Subscription) -> RequestResult:
    url = sign_in_url(tx, subscription.id)
    sentence = f"{user.email} already has a seat in {subscription.name}{f'; sign in: {url}' if url else ''}"
    row = result_row(
        None, "already seated", email=user.email, subscription=subscription.name, sign_in_url=url
    )
    return RequestResult(row, sentence, changed=False)


def approve_requests(
    ledger: Ledger, call: Call, numbers: Sequence[int] | None, subscription: str | None = None
) -> Report:
    """Approve requests: users get the free seats, the others go on the waitlist.

    `numbers` None: every pending request that the actor may decide, only those for `subscription` and for
    any if it is given. Requests for any subscription get their seat in `subscription`. If a single request
    fails, its refusal is raised; of several, the others are approved. Exits with 6 if any failed, else with
    10 if any waits.
    """
    with ledger.change(call, _scope(ledger, numbers, subscription)) as tx:
        if numbers is not None:
            locks.lock_requests(tx, numbers, subscription)
        named = None if subscription is None else subscriptions.find(tx, subscription)

        def approve(request: SeatRequest) -> RequestResult:
            return _approve(tx, ledger, request, named)

        return _decide_each(tx, _numbers(tx, numbers, named), approve, "approved")


def _scope(ledger: Ledger, numbers: Sequence[int] | None, subscription: str | None) -> Scope:
    """Return what an approval locks. A request for any subscription may take a seat in each of them."""
    if subscription is not None:
        return Scope.SHARED
    if numbers is None:
        return Scope.WHOLE
    with ledger.reading() as reader:
        return Scope.WHOLE if requests.are_for_any(reader, numbers) else Scope.SHARED


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
    with ledger.change(call, Scope.WHOLE if numbers is None else Scope.SHARED) as tx:
        locks.lock_requests(tx, numbers or ())

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
    if own_requests.only_requests(ledger):
        return own_requests.cancel(ledger, call, numbers)
    with ledger.change(call, Scope.SHARED) as tx:
        locks.lock_requests(tx, numbers)

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
        return tx.report("no request waits for a decision", (), COLUMNS, unchanged=True)
    seated = fill_waitlists(tx)
    failures = sum(result.row["error"] is not None for result in results)
    waiting = sum(result.row["place"] is not None for result in results)
    summary = results[0].sentence if len(results) == 1 else _summary(len(results), failures, waiting, verb)
    if seated:
        summary += f"; seated {seated} from the waitlist"
    code = ExitCode.PARTIAL if failures else ExitCode.WAITING if waiting else ExitCode.DONE
    unchanged = not (seated or any(result.changed for result in results))
    rows = [result.row for result in results]
    return tx.report(summary, rows, COLUMNS, unchanged=unchanged, exit_code=code)


def _summary(total: int, failures: int, waiting: int, verb: str) -> str:
    parts = [f"{verb} {total - failures} of {total} requests"]
    parts += [f"{waiting} of them on the waitlist"] if waiting else []
    parts += [f"{failures} failed"] if failures else []
    return ", ".join(parts)


MAX_CHARACTERS = 1000
COLUMNS = ("number", "email", "subscription", "status", "place", "result", "error", "sign_in_url")
_KEYS = ("number", "email", "subscription", "status", "place", "why", "result", "error", "sign_in_url")


@dataclass(frozen=True, slots=True)
class RequestResult:
    """The result for one request: the row of the report, and the sentence that describes it."""

    row: Record
    sentence: str
    changed: bool = True
    """False if the request was refused, or was so already."""


def result_row(request: SeatRequest | None, result: str, **values: JsonValue) -> Record:
    """Return the row of a report; `values` replace the request's own."""
    row: dict[str, JsonValue] = dict.fromkeys(_KEYS)
    if request is not None:
        row |= record_of(request, "number email subscription status")
    return {**row, "result": result, **values}


def require_short(option: str, text: str | None) -> None:
    """Raise `bad_request` if a text is too long for a mail. `option` is named in it."""
    if text is not None and len(text) > MAX_CHARACTERS:
        raise refuse(
            Code.BAD_REQUEST, f"{option} may have {MAX_CHARACTERS:,} characters at most; it has {len(text):,}"
        )


def homes(tx: Transaction, ledger: Ledger) -> Iterator[Subscription]:
    """Return the subscriptions whose home is this ledger."""
    return (
        subscription
        for subscription in subscriptions.listing(tx, tx.call.now)
        if subscription.home_ledger == ledger.id
    )


def described(
    tx: Transaction, request: SeatRequest, already: str | None = None, *, why: str | None = None
) -> RequestResult:
    """Return the result for a request that was just changed. `why`: why this subscription was chosen.

    `already` is the word for the result if the request was not changed because it was so already.
    """
    number, email, status = request.number, request.email, request.status
    name = request.subscription or "any subscription"
    place = requests.place(tx, number, tx.call.now) if status is RequestStatus.WAITLISTED else None
    seated = status is RequestStatus.APPROVED
    if already:
        states = {
            RequestStatus.PENDING: "already waits for approval",
            RequestStatus.WAITLISTED: f"is already number {place} on the waitlist",
        }
        sentence = f"request {number} of {email} for {name} {states.get(status, f'is already {status}')}"
    else:
        full = "no seat is free"
        sentences = {
            RequestStatus.PENDING: f"made request {number} of {email} for {name}, which waits for approval",
            RequestStatus.WAITLISTED: f"put {email} on the waitlist for {name} as number {place}: {full}",
            RequestStatus.APPROVED: f"approved request {number}: {email} has a seat in {name}",
        }
        sentence = sentences.get(status, f"{status} request {number} of {email} for {name}")
    url = sign_in_url(tx, request.subscription_id) if seated else None
    sentence += f" ({why})" if seated and why else ""
    sentence += f"; sign in: {url}" if url else ""
    result = already or ("seated" if seated else status.value)
    row = result_row(request, result, place=place, why=why if seated else None, sign_in_url=url)
    return RequestResult(row, sentence, changed=already is None)


def sign_in_url(tx: Transaction, subscription_id: int | None) -> str | None:
    """Return where the users of a subscription sign in, if its policy says so."""
    policy = None if subscription_id is None else subscriptions.by_id(tx, subscription_id).policy
    return None if policy is None else policy.sign_in_url
