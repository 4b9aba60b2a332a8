"""`seats assign`, `revoke`, `move`, `swap` and `reclaim`: each changes seats in one transaction.

`rules/assignment.py` decides, `ledger/seats.py` writes.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from seatctl.errors import Code, ExitCode, JsonValue, SeatctlError, UsageError, refuse
from seatctl.ledger import locks, request_closures, seats, subscriptions, users
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.incoming import seat_changes, staging, user_import
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger, Scope
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call, format_time
from seatctl.models.message import Template
from seatctl.models.report import Report, counted, unchanged_report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import User
from seatctl.rules.assignment import (
    NoSeatsLeft,
    RevocationCount,
    RevocationLimit,
    check_revocations,
    require_home,
    require_usable,
    seats_to_take,
    shortage,
)
from seatctl.services.users.people import (
    People,
    require_active,
    require_active_user,
    require_good,
    require_known,
    stage,
)
from seatctl.services.users.permissions import allow

COLUMNS = ("line", "email", "result", "error")

_NOT_SEATED = (RowVerdict.BAD, RowVerdict.SUSPENDED, RowVerdict.REMOVED)
"""The verdicts on rows that cannot get a seat."""


def assign_seats(
    ledger: Ledger, call: Call, name: str, people: People, *, create_users: bool = False, fill: bool = False
) -> Report:
    """Assign seats of a subscription to people. Those who have a seat in it keep it; that is not an error.

    `create_users`: unknown people become users. `fill`: if seats are missing, as many people as fit get one.
    Raises `bad_rows` before any refusal about seats; NoSeatsLeft, `over_assigned`,
    `subscription_not_active`, ForeignLedger.
    """
    staged = stage(ledger, people)
    with ledger.change(call, Scope.SHARED) as tx:
        if create_users:
            locks.lock_users(tx)
        subscription = assignable(tx, ledger, name)
        require_usable(subscription)
        staging.set_verdicts(tx, staged)
        if create_users:
            user_import.mark_undone(tx)
        seat_changes.mark_seated(tx, subscription.id)
        tally, bad = staging.tally(tx, tx.now), 0
        if create_users and (tally.result(user_import.ADDED) or tally.verdict(RowVerdict.UNKNOWN)):
            allow(tx, call.actor, Action.MANAGE_USERS)
        if tally.past or tally.verdict(*_NOT_SEATED, *(() if create_users else (RowVerdict.UNKNOWN,))):
            if not create_users:
                require_known(tx, people, creatable=True)
            require_active(tx, people)
            staging.refuse_past(tx, tx.now)
            bad = require_good(tx, people)
            tally = staging.tally(tx, tx.now)
        needed = seat_changes.wanted(tally)
        take = _seats_to_take(tx, subscription, needed, fill=fill)
        if take < needed:
            seat_changes.mark_without_seat(tx, take)
        added = 0
        if create_users:
            added = user_import.bring_back_undone(tx) + user_import.create_from_incoming(tx)
        seated = seat_changes.assign(tx, subscription.id, take)
        already = tally.result(seat_changes.ALREADY)
        changed = seat_changes.change_ends(tx, subscription.id) if tally.ends(seat_changes.ALREADY) else 0
        request_closures.approve_seated(tx, subscription.id)
        already -= changed
        free = subscription.free - seated
        done = [f"seated {seated:,}"] if seated else []
        done += [f"changed the end of {counted(changed, 'seat')}"] if changed else []
        done += [f"added {counted(added, 'user')}"] if added else []
        parts = [f"{', '.join(done) or 'nothing to do'} in {subscription.name}"]
        parts += [f"{already:,} had a seat already"] if already else []
        parts += [f"{needed - take:,} without a seat"] if take < needed else []
        parts += [f"skipped {counted(bad, 'bad row')}"] if bad else []
        return tx.report(
            f"{', '.join(parts)}; {free:,} free",
            staging.report_rows(tx, staged, seat_changes.ASSIGNED),
            report_columns(people),
            unchanged=not done,
            exit_code=ExitCode.PARTIAL if bad or take < needed else ExitCode.DONE,
            data={"subscription": subscription.name, "seated": seated, "free": free},
        )


def revoke_seats(ledger: Ledger, call: Call, name: str, people: People) -> Report:
    """Revoke the seats of people. Those who have none are not an error; what is billed does not change."""
    staged = stage(ledger, people)
    with ledger.change(call, Scope.SHARED) as tx:
        subscription = assignable(tx, ledger, name)
        staging.set_verdicts(tx, staged)
        seat_changes.mark_to_revoke(tx, subscription.id)
        tally = staging.tally_later(tx, tx.now)
        counts = seat_changes.count_to_revoke(tx, subscription.id)
        bad = 0
        if tally.verdict(RowVerdict.UNKNOWN, RowVerdict.BAD):
            require_known(tx, people)
            bad = require_good(tx, people)
        revoked = seat_changes.revoke(tx, subscription.id, counts)
        rows = staging.report_rows(tx, staged)
        summary = _revoked_summary(subscription, revoked, bad) + waitlist_note(tx, fill_waitlists(tx))
        return tx.report(
            summary,
            rows,
            report_columns(people),
            unchanged=not revoked,
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            data={"subscription": subscription.name, "revoked": revoked, "paid": subscription.capacity},
        )


def _revoked_summary(subscription: Subscription, revoked: int, bad: int) -> str:
    if not revoked:
        summary = f"none of them has a seat in {subscription.name}"
    else:
        ended = subscription.status.is_over
        stay = "stays" if subscription.capacity == 1 else "stay"
        paid = f"what is billed does not change: {counted(subscription.capacity, 'seat')} {stay} paid for"
        summary = f"revoked {counted(revoked, 'seat')} of {subscription.name}; "
        summary += "it has ended, nothing is billed any more" if ended else paid
    return f"{summary}; skipped {counted(bad, 'bad row')}" if bad else summary


def assignable(tx: Transaction, ledger: Ledger, name: str) -> Subscription:
    """Return the subscription if the actor may assign its seats and this ledger is its home.

    Raises UnknownSubscription, RoleRequired, ForeignLedger.
    """
    subscription = subscriptions.find(tx, name)
    allow(tx, tx.call.actor, Action.ASSIGN, subscription)
    require_home(subscription, ledger.id)
    return subscription


def report_columns(people: People) -> tuple[str, ...]:
    """Return the columns of a report about people; `line` only if they come from a file."""
    return COLUMNS if people.source is not None else COLUMNS[1:]


def _seats_to_take(tx: Transaction, subscription: Subscription, needed: int, *, fill: bool) -> int:
    """Like `rules.assignment.seats_to_take`; its refusal names the people who would get no seat."""
    try:
        return seats_to_take(subscription, needed, fill=fill)
    except NoSeatsLeft as refusal:
        raise shortage(
            subscription, needed, seat_changes.rows_without_seat(tx, subscription.free), tx.call.now
        ) from refusal


_SWAP_COLUMNS = ("email", "result")
_RECLAIM_COLUMNS = ("email", "why", "assigned_at", "last_active", "result")

_WARNING_HOLDS = timedelta(days=30)
"""How long after its grace a warning counts. A user who is idle after that is warned again."""


def move_seats(ledger: Ledger, call: Call, old: str, new: str, people: People) -> Report:
    """Move people from the subscription `old` to `new`. The new seat ends when the old one would have.

    Raises `bad_rows` or what one bad e-mail raises, `not_seated`, NoSeatsLeft, `over_assigned`,
    `subscription_not_active`, ForeignLedger.
    """
    staged = stage(ledger, people)
    with ledger.change(call, Scope.SHARED) as tx:
        subscriptions.lock_both(tx, old, new)
        source, target = assignable(tx, ledger, old), assignable(tx, ledger, new)
        if source.id == target.id:
            raise UsageError(
                f"{old} and {new} are the same subscription", hint="name two different subscriptions"
            )
        require_usable(target)
        staging.set_verdicts(tx, staged)
        require_known(tx, people)
        require_active(tx, people)
        needed = seat_changes.mark_moves(tx, source.id, target.id)
        _require_seated(tx, people, source)
        bad = require_good(tx, people)
        _seats_to_take(tx, target, needed, fill=False)
        moved = seat_changes.move(tx, source.id, target.id)
        request_closures.approve_seated(tx, target.id)
        rows = staging.report_rows(tx, staged)
        people_moved = "1 person" if moved == 1 else f"{moved:,} people"
        summary = f"moved {people_moved} from {source.name} to {target.name}" if moved else "nothing to do"
        summary += f"; skipped {counted(bad, 'bad row')}" if bad else ""
        summary += waitlist_note(tx, fill_waitlists(tx))
        return tx.report(
            summary,
            rows,
            report_columns(people),
            unchanged=not moved,
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            data={"from": source.name, "to": target.name, "moved": moved},
        )


def _require_seated(tx: Transaction, people: People, source: Subscription) -> None:
    """Raise `not_seated` if an e-mail typed as an argument has no seat. In a file it is a bad row instead."""
    if not people.typed:
        return
    rows = staging.bad_rows(tx)
    unseated = [row["email"] for row in rows if isinstance(row, dict) and "no seat in" in str(row["error"])]
    if unseated:
        raise _not_seated(unseated, source)


def _not_seated(emails: list[JsonValue], subscription: Subscription) -> SeatctlError:
    have = "has" if len(emails) == 1 else "have"
    return refuse(
        Code.NOT_SEATED,
        f"{', '.join(map(str, emails))} {have} no seat in {subscription.name}",
        hint=f"seatctl seats list {shlex.quote(subscription.name)}",
        data={"subscription": subscription.name, "emails": emails},
    )


def swap_seats(ledger: Ledger, call: Call, name: str, old: str, new: str) -> Report:
    """Give the seat of the user `old` to `new`, with the same end. It works even if no seat is free.

    Raises UnknownUser, `not_seated`, `already_seated`, `user_not_active`, `over_assigned`,
    `subscription_not_active`.
    """
    with ledger.change(call, Scope.SHARED) as tx:
        subscription = assignable(tx, ledger, name)
        old_user, new_user = users.require(tx, old), users.require(tx, new)
        seated = seats.active_id(tx, subscription.id, old_user.id) is not None
        already = seats.active_id(tx, subscription.id, new_user.id) is not None
        if not seated and already and old_user.id != new_user.id:
            return unchanged_report(
                call, f"{new_user.email} already has a seat in {subscription.name}; nothing to do"
            )
        _require_swap(subscription, old_user, new_user, seated=seated, already=already)
        until = seats.until_of(tx, subscription.id, old_user.id)
        seats.revoke_users(tx, subscription.id, [old_user.id])
        seat = seats.assign(tx, subscription.id, new_user.id, until)
        tx.mail(Template.SEAT_ASSIGNED, {"seat": seat}, recipient_id=new_user.id)
        request_closures.approve_seated(tx, subscription.id)
        return tx.report(
            f"moved the seat of {old_user.email} in {subscription.name} to {new_user.email}",
            [
                {"email": old_user.email, "result": seat_changes.REVOKED, "error": None},
                {"email": new_user.email, "result": seat_changes.SEATED, "error": None},
            ],
            _SWAP_COLUMNS,
            data={"subscription": subscription.name},
        )


def _require_swap(
    subscription: Subscription, old_user: User, new_user: User, *, seated: bool, already: bool
) -> None:
    if not seated:
        raise _not_seated([old_user.email], subscription)
    if already:
        raise refuse(
            Code.ALREADY_SEATED,
            f"{new_user.email} already has a seat in {subscription.name}",
            hint=shlex.join(["seatctl", "seats", "revoke", subscription.name, old_user.email]),
            data={"subscription": subscription.name, "email": new_user.email},
        )
    require_active_user(new_user)
    require_usable(subscription)
    if subscription.assigned > subscription.capacity:
        seats_to_take(subscription, 1, fill=False)


@dataclass(frozen=True, slots=True)
class ReclaimOptions:
    """Which seats count as idle. Numbers are days; None: not a criterion."""

    max_revoke: RevocationLimit
    unclaimed: int | None = None
    inactive: int | None = None
    suspended: bool = False
    grace: timedelta | None = None
    """How long after a warning the seat is revoked; None: at once and without a warning."""


def reclaim_seats(ledger: Ledger, call: Call, name: str, options: ReclaimOptions) -> Report:
    """Revoke the idle seats of users who are not exempt. With a grace, warn first; a later run revokes.

    Raises `max_revoke_exceeded`, ForeignLedger, RoleRequired.
    """
    from seatctl.ledger import idle_seats

    if options.grace is not None and not call.notify:
        raise UsageError(
            "--grace warns by mail, which --no-notify forbids", hint="leave out --grace or --no-notify"
        )
    with ledger.change(call) as tx:
        subscription = assignable(tx, ledger, name)
        idle = idle_seats.Idle(
            unclaimed_since=_days_before(call, options.unclaimed),
            inactive_since=_days_before(call, options.inactive),
            suspended=options.suspended,
        )
        grace = options.grace or timedelta()
        idle_seats.stage(tx, subscription.id, idle, format_time(call.now - grace - _WARNING_HOLDS))
        warned = 0
        if options.grace is not None:
            warned = idle_seats.warn(tx, format_time(call.now + grace))
        due = None if options.grace is None else format_time(call.now - grace)
        revoked = idle_seats.choose(tx, due)
        check_revocations(
            options.max_revoke,
            [RevocationCount(subscription.name, subscription.assigned, revoked)],
            "--dry-run --max-revoke 100%",
        )
        idle_seats.revoke(tx)
        rows = tx.report_rows(partial(idle_seats.records, tx))
        summary = _reclaim_summary(subscription, revoked, warned)
        summary += waitlist_note(tx, fill_waitlists(tx))
        data: dict[str, JsonValue] = {"subscription": subscription.name, "revoked": revoked, "warned": warned}
        return tx.report(summary, rows, _RECLAIM_COLUMNS, unchanged=not (revoked or warned), data=data)


def _reclaim_summary(subscription: Subscription, revoked: int, warned: int) -> str:
    parts = [f"revoked {counted(revoked, 'seat')}"] if revoked else []
    parts += [f"warned {counted(warned, 'user')}"] if warned else []
    if not parts:
        return "nothing to do"
    summary = f"{' and '.join(parts)} in {subscription.name}"
    return f"{summary}; what is billed does not change" if revoked else summary


def _days_before(call: Call, days: int | None) -> str | None:
    return None if days is None else format_time(call.now - timedelta(days=days))
