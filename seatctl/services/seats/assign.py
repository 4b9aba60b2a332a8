"""Assigning and revoking seats: `rules/assignment.py` decides, `ledger/seats.py` applies."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from seatctl.errors import ExitCode
from seatctl.ledger import imports, request_closures, seat_moves, seats, staging, subscriptions
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.staging import RowVerdict
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription, SubscriptionStatus
from seatctl.rules.assignment import (
    NoSeatsLeft,
    require_home,
    require_usable,
    seats_to_take,
    shortage,
)
from seatctl.services.users.people import People, require_active, require_good, require_known, stage
from seatctl.services.users.permissions import allow

_ENDED = frozenset((SubscriptionStatus.CANCELED, SubscriptionStatus.INCOMPLETE_EXPIRED))
COLUMNS = ("line", "email", "result", "error")


@dataclass(frozen=True, slots=True)
class AssignOptions:
    """How to assign: make users who are not known, seat as many as fit."""

    create_users: bool = False
    fill: bool = False


def assign_seats(ledger: Ledger, call: Call, name: str, people: People, how: AssignOptions) -> Report:
    """Seat people in a subscription. Who sits there already stays, without an error.

    Raises `bad_rows` before anything about seats; NoSeatsLeft, `over_assigned`, `subscription_not_active`,
    ForeignLedger.
    """
    stage(ledger, people)
    with ledger.change(call) as tx:
        subscription = _pool(tx, ledger, call, name)
        require_usable(subscription)
        staging.set_verdicts(tx)
        if how.create_users and imports.mark_undone(tx):
            allow(tx, call.actor, Action.MANAGE_USERS)
        seats.mark_seated(tx, subscription.id)
        bad = _require_good(tx, call, people, how)
        needed = seats.count_wanted(tx)
        take = _seats_to_take(tx, subscription, needed, fill=how.fill)
        if take < needed:
            seats.mark_without_seat(tx, take)
        added = _make_users(tx) if how.create_users else 0
        seated = seats.assign_incoming(tx, subscription.id)
        changed = seat_moves.change_ends(tx, subscription.id)
        request_closures.approve_seated(tx, subscription.id)
        already = staging.count_results(tx).get(seats.ALREADY, 0)
        parts = [f"{seated:,} seated in {subscription.name}"]
        parts += [f"{added:,} user{'' if added == 1 else 's'} added"] if added else []
        parts += [f"{changed:,} given another end"] if changed else []
        parts += [f"{already:,} seated already"] if already else []
        parts += [f"{needed - take:,} without a seat"] if take < needed else []
        parts += [f"{bad:,} bad rows left out"] if bad else []
        summary = f"{', '.join(parts)}; {subscription.free - seated:,} free"
        tx.summarise(summary)
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=summary,
            rows=tx.report_rows(partial(staging.results, tx, seats.ASSIGNED)),
            exit_code=ExitCode.PARTIAL if bad or take < needed else ExitCode.DONE,
            undo=tx.undo,
            columns=_columns(people),
            data={"subscription": subscription.name, "seated": seated, "free": subscription.free - seated},
        )


def revoke_seats(ledger: Ledger, call: Call, name: str, people: People) -> Report:
    """Give back the seats of people. Who has none is no error; what is billed does not change (rule 4)."""
    stage(ledger, people)
    with ledger.change(call) as tx:
        subscription = _pool(tx, ledger, call, name)
        staging.set_verdicts(tx)
        require_known(tx, people)
        bad = require_good(tx, people)
        revoked = seats.revoke_incoming(tx, subscription.id)
        rows = tx.report_rows(partial(staging.results, tx))
        moved_up = fill_waitlists(tx)
        summary = _revoked_sentence(subscription, revoked, bad) + waitlist_note(tx, moved_up)
        tx.summarise(summary)
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=summary,
            rows=rows,
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            undo=tx.undo,
            columns=_columns(people),
            data={"subscription": subscription.name, "revoked": revoked, "paid": subscription.capacity},
        )


def _revoked_sentence(subscription: Subscription, revoked: int, bad: int) -> str:
    if not revoked:
        done = f"nobody of them sits in {subscription.name}"
    else:
        seat = "seat" if revoked == 1 else "seats"
        done = f"{revoked:,} {seat} of {subscription.name} revoked; "
        ended = subscription.status in _ENDED
        paid = f"what is billed does not change: {subscription.capacity:,} seats stay paid for"
        done += "it has ended, nothing is billed any more" if ended else paid
    return f"{done}, {bad:,} bad rows left out" if bad else done


def _pool(tx: Transaction, ledger: Ledger, call: Call, name: str) -> Subscription:
    """The subscription, which the actor may fill and this ledger keeps."""
    subscription = subscriptions.find(tx, name)
    allow(tx, call.actor, Action.ASSIGN, subscription)
    require_home(subscription, ledger.id)
    return subscription


def _make_users(tx: Transaction) -> int:
    """Those who are new, and whom an undo has left out; how many."""
    return imports.bring_back_undone(tx) + imports.create_from_incoming(tx)


def _require_good(tx: Transaction, call: Call, people: People, how: AssignOptions) -> int:
    """Tell good rows from bad ones; how many bad ones are left out. Raises `bad_rows` and its like."""
    if how.create_users:
        if staging.count(tx, RowVerdict.UNKNOWN):
            allow(tx, call.actor, Action.MANAGE_USERS)
    else:
        require_known(tx, people, creatable=True)
    require_active(tx, people)
    staging.refuse_past(tx, tx.now)
    return require_good(tx, people)


def _seats_to_take(tx: Transaction, subscription: Subscription, needed: int, *, fill: bool) -> int:
    """As `rules.assignment.seats_to_take`; the refusal gets the people who would go without."""
    try:
        return seats_to_take(subscription, needed, fill=fill)
    except NoSeatsLeft as refusal:
        raise shortage(
            subscription, needed, seats.rows_without_seat(tx, subscription.free), tx.call.now
        ) from refusal


def _columns(people: People) -> tuple[str, ...]:
    """A line number says something of a file only."""
    return COLUMNS if people.source is not None else COLUMNS[1:]
