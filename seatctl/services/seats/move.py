"""Moving people between subscriptions, handing a seat on, reclaiming idle seats: one transaction each."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from seatctl.errors import Code, ExitCode, JsonValue, UsageError, refuse
from seatctl.ledger import request_closures, seat_moves, seats, staging, subscriptions, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call, format_time
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User, UserStatus
from seatctl.rules.assignment import require_home, require_usable, seats_to_take, shortage
from seatctl.rules.revocations import RevocationCount, RevocationLimit
from seatctl.rules.revocations import check as check_revocations
from seatctl.services.users.people import People, require_active, require_good, require_known, stage
from seatctl.services.users.permissions import allow

_MOVE_COLUMNS = ("line", "email", "result", "error")
_SWAP_COLUMNS = ("email", "result")
_RECLAIM_COLUMNS = ("email", "why", "assigned_at", "last_active", "result")

_WARNING_HOLDS = timedelta(days=30)
"""Beyond its grace: who is still idle then is warned anew, since the first one is forgotten."""


def move_seats(ledger: Ledger, call: Call, old: str, new: str, people: People) -> Report:
    """Give people a seat of `new` for theirs of `old`, ending when that would have ended.

    Raises `bad_rows` and its like, `not_seated`, NoSeatsLeft, `over_assigned`, `subscription_not_active`,
    ForeignLedger.
    """
    stage(ledger, people)
    with ledger.change(call) as tx:
        source, target = _pool(tx, ledger, call, old), _pool(tx, ledger, call, new)
        if source.id == target.id:
            raise UsageError(f"{old} and {new} are the same subscription", hint="name two of them")
        require_usable(target)
        staging.set_verdicts(tx)
        require_known(tx, people)
        require_active(tx, people)
        needed = seat_moves.mark_moves(tx, source.id, target.id)
        _require_seated(tx, people, source)
        bad = require_good(tx, people)
        if needed > target.free and target.assigned <= target.capacity:
            without: list[dict[str, JsonValue]] = [
                {**row} for row in seat_moves.rows_without_seat(tx, target.free)
            ]
            raise shortage(target, needed, without, tx.call.now)
        seats_to_take(target, needed, fill=False)
        moved = seat_moves.move(tx, source.id, target.id)
        request_closures.approve_seated(tx, target.id)
        rows = tx.report_rows(partial(staging.results, tx))
        said = f"{moved:,} moved from {source.name} to {target.name}" if moved else "nothing to do"
        said += f"; {bad:,} bad rows left out" if bad else ""
        said += waitlist_note(tx, fill_waitlists(tx))
        tx.summarise(said)
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=said,
            rows=rows,
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            undo=tx.undo,
            columns=_MOVE_COLUMNS if people.source is not None else _MOVE_COLUMNS[1:],
            data={"from": source.name, "to": target.name, "moved": moved},
        )


def _require_seated(tx: Transaction, people: People, source: Subscription) -> None:
    """As an argument somebody without a seat is refused; as a row it is bad."""
    if people.source is not None or people.skip_bad:
        return
    rows = staging.bad_rows(tx)
    unseated = [row["email"] for row in rows if isinstance(row, dict) and "no seat in" in str(row["error"])]
    if unseated:
        have = "has" if len(unseated) == 1 else "have"
        raise refuse(
            Code.NOT_SEATED,
            f"{', '.join(map(str, unseated))} {have} no seat in {source.name}",
            hint=f"seatctl seats list {shlex.quote(source.name)}",
            data={"subscription": source.name, "emails": unseated},
        )


def swap_seats(ledger: Ledger, call: Call, name: str, old: str, new: str) -> Report:
    """Give the seat of one user to another, ending when it would have ended; even where no seat is free.

    Raises UnknownUser, `not_seated`, `already_seated`, `user_not_active`, `over_assigned`,
    `subscription_not_active`.
    """
    with ledger.change(call) as tx:
        subscription = _pool(tx, ledger, call, name)
        leaving, coming = users.require(tx, old), users.require(tx, new)
        seat = seats.active_id(tx, subscription.id, leaving.id)
        there = seats.active_id(tx, subscription.id, coming.id) is not None
        if seat is None and there and leaving.id != coming.id:
            return Report(
                None, call.dry_run, f"{coming.email} sits in {subscription.name} already; nothing to do"
            )
        _require_swap(subscription, leaving, coming, seated=seat is not None, there=there)
        until = seat_moves.until_of(tx, subscription.id, leaving.id)
        seats.revoke_users(tx, subscription.id, [leaving.id])
        after = seats.assign(tx, subscription.id, coming.id, until)
        tx.mail("seat_assigned", {"seat": after}, recipient_id=coming.id)
        request_closures.approve_seated(tx, subscription.id)
        said = f"the seat of {leaving.email} in {subscription.name} is {coming.email}'s now"
        tx.summarise(said)
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=said,
            rows=[
                {"email": leaving.email, "result": seats.REVOKED, "error": None},
                {"email": coming.email, "result": seats.SEATED, "error": None},
            ],
            undo=tx.undo,
            columns=_SWAP_COLUMNS,
            data={"subscription": subscription.name},
        )


def _require_swap(
    subscription: Subscription, leaving: User, coming: User, *, seated: bool, there: bool
) -> None:
    if not seated:
        raise refuse(
            Code.NOT_SEATED,
            f"{leaving.email} has no seat in {subscription.name}",
            hint=f"seatctl seats list {shlex.quote(subscription.name)}",
            data={"subscription": subscription.name, "emails": [leaving.email]},
        )
    if there:
        raise refuse(
            Code.ALREADY_SEATED,
            f"{coming.email} sits in {subscription.name} already",
            hint=shlex.join(["seatctl", "seats", "revoke", subscription.name, leaving.email]),
            data={"subscription": subscription.name, "email": coming.email},
        )
    if coming.status is not UserStatus.ACTIVE:
        back = "reactivate" if coming.status is UserStatus.SUSPENDED else "add"
        raise refuse(
            Code.USER_NOT_ACTIVE,
            f"{coming.email} is {coming.status}",
            hint=f"seatctl users {back} {coming.email}",
            data={"emails": [coming.email], "status": coming.status.value},
        )
    require_usable(subscription)
    if subscription.assigned > subscription.capacity:
        seats_to_take(subscription, 1, fill=False)


@dataclass(frozen=True, slots=True)
class ReclaimOptions:
    """Which seats are idle, in days; None where that does not count. `grace` is days after a warning."""

    max_revoke: RevocationLimit
    unclaimed: int | None = None
    inactive: int | None = None
    suspended: bool = False
    grace: timedelta | None = None


def reclaim_seats(ledger: Ledger, call: Call, name: str, how: ReclaimOptions) -> Report:
    """Give back idle seats of who is not exempt; with a grace, warn first and revoke later runs.

    Raises `max_revoke_exceeded`, ForeignLedger, RoleRequired.
    """
    if how.grace is not None and not call.notify:
        raise UsageError("--grace warns by mail, and --no-notify forbids that", hint="leave one of them out")
    with ledger.change(call) as tx:
        subscription = _pool(tx, ledger, call, name)
        idle = seat_moves.Idle(
            unclaimed_since=_days_before(call, how.unclaimed),
            inactive_since=_days_before(call, how.inactive),
            suspended=how.suspended,
        )
        grace = how.grace or timedelta()
        seat_moves.stage_idle(tx, subscription.id, idle, format_time(call.now - grace - _WARNING_HOLDS))
        warned = 0
        if how.grace is not None:
            warned = seat_moves.warn_idle(tx, format_time(call.now + grace))
        due = None if how.grace is None else format_time(call.now - grace)
        leaving = seat_moves.choose_idle(tx, due)
        check_revocations(
            how.max_revoke,
            [RevocationCount(subscription.name, subscription.assigned, leaving)],
            "--dry-run --max-revoke 100%",
        )
        seat_moves.revoke_idle(tx)
        rows = tx.report_rows(partial(seat_moves.idle_rows, tx))
        moved_up = fill_waitlists(tx)
        said = _reclaimed_sentence(subscription, leaving, warned) + waitlist_note(tx, moved_up)
        tx.summarise(said)
        data: dict[str, JsonValue] = {"subscription": subscription.name, "revoked": leaving, "warned": warned}
        return Report(tx.run, call.dry_run, said, rows, undo=tx.undo, columns=_RECLAIM_COLUMNS, data=data)


def _reclaimed_sentence(subscription: Subscription, leaving: int, warned: int) -> str:
    parts = [f"{leaving:,} revoked; what is billed does not change"] if leaving else []
    parts += [f"{warned:,} warned"] if warned else []
    return f"{subscription.name}: {', '.join(parts)}" if parts else "nothing to do"


def _days_before(call: Call, days: int | None) -> str | None:
    return None if days is None else format_time(call.now - timedelta(days=days))


def _pool(tx: Transaction, ledger: Ledger, call: Call, name: str) -> Subscription:
    """The subscription, which the actor may fill and this ledger keeps."""
    subscription = subscriptions.find(tx, name)
    allow(tx, call.actor, Action.ASSIGN, subscription)
    require_home(subscription, ledger.id)
    return subscription
