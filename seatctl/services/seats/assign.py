"""`seats assign` and `seats revoke`: `rules/assignment.py` decides, `ledger/seats.py` writes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from seatctl.errors import ExitCode
from seatctl.ledger import request_closures, subscriptions
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.incoming import seat_changes, staging, user_import
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.report import Report, counted
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.rules.assignment import (
    NoSeatsLeft,
    require_home,
    require_usable,
    seats_to_take,
    shortage,
)
from seatctl.services.users.people import People, require_active, require_good, require_known, stage
from seatctl.services.users.permissions import allow

COLUMNS = ("line", "email", "result", "error")


@dataclass(frozen=True, slots=True)
class AssignOptions:
    """Whether to create unknown users, and whether to seat as many people as fit."""

    create_users: bool = False
    fill: bool = False


def assign_seats(ledger: Ledger, call: Call, name: str, people: People, options: AssignOptions) -> Report:
    """Assign seats of a subscription to people. Those who have a seat in it keep it; that is not an error.

    Raises `bad_rows` before any refusal about seats; NoSeatsLeft, `over_assigned`,
    `subscription_not_active`, ForeignLedger.
    """
    stage(ledger, people)
    with ledger.change(call) as tx:
        subscription = assignable(tx, ledger, name)
        require_usable(subscription)
        staging.set_verdicts(tx)
        if options.create_users and user_import.mark_undone(tx):
            allow(tx, call.actor, Action.MANAGE_USERS)
        seat_changes.mark_seated(tx, subscription.id)
        bad = _require_good(tx, people, options)
        needed = seat_changes.count_wanted(tx)
        take = _seats_to_take(tx, subscription, needed, fill=options.fill)
        if take < needed:
            seat_changes.mark_without_seat(tx, take)
        added = _create_users(tx) if options.create_users else 0
        seated = seat_changes.assign(tx, subscription.id)
        changed = seat_changes.change_ends(tx, subscription.id)
        request_closures.approve_seated(tx, subscription.id)
        already = staging.count_results(tx).get(seat_changes.ALREADY, 0)
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
            tx.report_rows(partial(staging.results, tx, seat_changes.ASSIGNED)),
            report_columns(people),
            unchanged=not done,
            exit_code=ExitCode.PARTIAL if bad or take < needed else ExitCode.DONE,
            data={"subscription": subscription.name, "seated": seated, "free": free},
        )


def revoke_seats(ledger: Ledger, call: Call, name: str, people: People) -> Report:
    """Revoke the seats of people. Those who have none are not an error; what is billed does not change."""
    stage(ledger, people)
    with ledger.change(call) as tx:
        subscription = assignable(tx, ledger, name)
        staging.set_verdicts(tx)
        require_known(tx, people)
        bad = require_good(tx, people)
        revoked = seat_changes.revoke(tx, subscription.id)
        rows = tx.report_rows(partial(staging.results, tx))
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


def _create_users(tx: Transaction) -> int:
    """Create the unknown users, and those whose creation was undone; return how many."""
    return user_import.bring_back_undone(tx) + user_import.create_from_incoming(tx)


def _require_good(tx: Transaction, people: People, options: AssignOptions) -> int:
    """Mark the bad rows and return how many are skipped. Raises `bad_rows`, or what one bad e-mail raises."""
    if options.create_users:
        if staging.count(tx, RowVerdict.UNKNOWN):
            allow(tx, tx.call.actor, Action.MANAGE_USERS)
    else:
        require_known(tx, people, creatable=True)
    require_active(tx, people)
    staging.refuse_past(tx, tx.now)
    return require_good(tx, people)


def _seats_to_take(tx: Transaction, subscription: Subscription, needed: int, *, fill: bool) -> int:
    """Like `rules.assignment.seats_to_take`; its refusal names the people who would get no seat."""
    try:
        return seats_to_take(subscription, needed, fill=fill)
    except NoSeatsLeft as refusal:
        raise shortage(
            subscription, needed, seat_changes.rows_without_seat(tx, subscription.free), tx.call.now
        ) from refusal
