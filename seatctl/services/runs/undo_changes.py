"""Taking back what a run did to people, seats, requests and roles; itself a run, and undone once only.

What stands in Stripe is not taken back here: `undo.py` names the command that reverses it.
"""

from __future__ import annotations

from functools import partial

from seatctl.errors import Code, refuse
from seatctl.ledger import operations, roles, subscriptions
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import runs
from seatctl.ledger.transaction import Transaction
from seatctl.ledger.undo import held_seats, inverse
from seatctl.ledger.undo import restore as writes
from seatctl.models.call import Call
from seatctl.models.operation import OperationState
from seatctl.models.report import Report
from seatctl.models.role import Action, Role
from seatctl.models.run import Run
from seatctl.rules.assignment import require_home, require_usable, seats_to_take
from seatctl.services.users.permissions import allow
from seatctl.services.users.roles import no_admin_left

COLUMNS = ("entity", "subject", "result")
_PEOPLE = frozenset({"made", "changed", "status"})


class NoInverse(Exception):
    """Something that the run changed cannot be taken back here; the caller says what reverses it."""


class _NothingLeft(Exception):
    """Nothing that the run changed is still so; what falls due meanwhile is not for its undo to record."""


def take_back(ledger: Ledger, call: Call, run: Run) -> Report:
    """Undo a run that is done, in one transaction.

    Raises `undone_already`, `changed_since`, RoleRequired, `last_admin`, NoSeatsLeft and its like,
    `email_taken`;
    NoInverse.
    """
    try:
        return _take_back(ledger, call, run)
    except _NothingLeft as nothing:
        return Report(None, call.dry_run, str(nothing))


def _take_back(ledger: Ledger, call: Call, run: Run) -> Report:
    with ledger.change(call) as tx:
        run = _standing(tx, run)
        kinds = inverse.stage(tx, run.number)
        if kinds & {"other", "erased"}:
            raise NoInverse
        _allow(tx, ledger, kinds)
        _require_unchanged(tx, run)
        stays = _what_stays(tx, run)
        if not kinds - {"nothing"}:
            raise _NothingLeft(f"run {run.number} left nothing that could be undone{stays}")
        held_seats.release_undone(tx, run.number)
        _apply(tx, kinds)
        summary = f"undid run {run.number}: {run.summary or run.command}{stays}"
        if "given" in kinds:
            summary += "; what is billed does not change"
        summary += waitlist_note(tx, fill_waitlists(tx))
        tx.summarise(summary)
        runs.note_undo(tx, run.number)
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=summary,
            rows=tx.report_rows(partial(inverse.results, tx)),
            undo=tx.undo,
            columns=COLUMNS,
        )


def _what_stays(tx: Transaction, run: Run) -> str:
    """What lines of a batch did in Stripe, each as a run of its own, which the undo of the batch leaves."""
    done = [
        str(one.run) for _, one in operations.of_batch(tx, run.number) if one.state is OperationState.DONE
    ]
    if not done:
        return ""
    if len(done) == 1:
        return (
            f"; what run {done[0]} did in Stripe stays (seatctl runs undo {done[0]} names what reverses it)"
        )
    return f"; what runs {', '.join(done)} did in Stripe stays (runs undo names what reverses each)"


def _standing(tx: Transaction, run: Run) -> Run:
    """The run to take back: this one, or the one that did it again after it was undone."""
    while (by := runs.undone_by(tx, run.number)) is not None:
        again = runs.undone_by(tx, by)
        if again is None:
            raise refuse(
                Code.UNDONE_ALREADY,
                f"run {run.number} was undone by run {by}",
                hint=f"to do it again: seatctl runs undo {by}",
                data={"run": run.number, "undone_by": by},
            )
        run = runs.find(tx, again)
    return run


def _allow(tx: Transaction, ledger: Ledger, kinds: set[str]) -> None:
    """To undo needs what doing it needs."""
    actor = tx.call.actor
    if kinds & _PEOPLE:
        allow(tx, actor, Action.MANAGE_USERS)
    if "role" in kinds:
        allow(tx, actor, Action.GRANT_ROLES)
    action = Action.ASSIGN if kinds & {"given", "taken", "ends"} else Action.DECIDE_REQUESTS
    for number in inverse.subscriptions(tx):
        subscription = subscriptions.by_id(tx, number)
        allow(tx, actor, action, subscription)
        require_home(subscription, ledger.id)
    if kinds & {"asked", "decided"} and not inverse.subscriptions(tx):
        allow(tx, actor, Action.DECIDE_REQUESTS)


def _require_unchanged(tx: Transaction, run: Run) -> None:
    later = inverse.first_conflict(tx, run.number)
    if later is not None:
        gone = runs.undone_by(tx, later.run) is not None
        first = f"if that is what you want, first: seatctl runs undo {later.run}"
        raise refuse(
            Code.CHANGED_SINCE,
            f"run {run.number} cannot be undone: run {later.run} changed {later.what} after it",
            hint=f"seatctl runs show {later.run}" if gone else first,
            data={"run": run.number, "changed_by": later.run, "changed": later.what},
        )


def _apply(tx: Transaction, kinds: set[str]) -> None:
    """People first, so that who comes back can sit; seats are given back before others are taken."""
    writes.restore_users(tx)
    writes.revoke_given(tx)
    for number in inverse.subscriptions(tx):
        if wanted := inverse.seats_needed(tx, number):
            subscription = subscriptions.by_id(tx, number)
            require_usable(subscription)
            seats_to_take(subscription, wanted, fill=False)
    writes.assign_again(tx)
    writes.restore_ends(tx)
    writes.restore_requests(tx)
    writes.restore_roles(tx)
    if kinds & {"role", *_PEOPLE} and not roles.holders(tx, (Role.ADMIN,)):
        raise no_admin_left()
