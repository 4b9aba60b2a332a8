"""`runs undo`: undoes what a run changed of people, seats, requests and roles.

The undo is a run, too, and can be undone. It undoes nothing in Stripe: `abandon.py` abandons an open
operation, or names the command that reverses a finished one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse
from seatctl.ledger import operations, roles, subscriptions
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.record import audit, runs
from seatctl.ledger.transaction import Transaction
from seatctl.ledger.undo import held_seats, inverse, restore
from seatctl.models.call import Call
from seatctl.models.operation import OperationState
from seatctl.models.report import Report, unchanged_report
from seatctl.models.role import Action, Role
from seatctl.models.run import Run, RunState
from seatctl.rules.assignment import require_home, require_usable, seats_to_take
from seatctl.services.users.permissions import allow, no_admin_left

if TYPE_CHECKING:
    from seatctl.billing.port import Billing


def undo_run(ledger: Ledger, billing: Callable[[], Billing], call: Call, number: int) -> Report:
    """Undo what a run changed of people, seats, requests and roles, or abandon its open operation.

    Raises `unknown_run`, RoleRequired, the refusals of an undo, and CannotUndo with the command that
    reverses the run if there is one.
    """
    # Held to the end, so that a `sync` in another process does not finish an operation being abandoned.
    with ledger.money_lock():
        with ledger.reading() as reader:
            run, operation = runs.find(reader, number), operations.of_run(reader, number)
            changed = audit.count_changes(reader, number)
            half_done = run.state is RunState.PENDING or (run.state is RunState.FAILED and not changed)
        if operation is None and not half_done:
            try:
                return _undo_changes(ledger, call, run)
            except _NothingLeft as nothing_left:
                return unchanged_report(call, str(nothing_left))
            except NotOnlyLedger:
                pass
        # Imported late: it loads everything about Stripe, which takes as long as the rest of an undo.
        from seatctl.services.runs.abandon import abandon

        return abandon(ledger, billing, call, run, operation)


COLUMNS = ("entity", "subject", "result")
_PEOPLE = frozenset({"made", "changed", "status"})


class NotOnlyLedger(Exception):
    """The run also changed something outside people, seats, requests and roles."""


class _NothingLeft(Exception):
    """Nothing of the run is left to undo. Raised to roll back the changes that fell due meanwhile."""


def _undo_changes(ledger: Ledger, call: Call, run: Run) -> Report:
    """Undo a run that is done, in one transaction.

    Raises `undone_already`, `changed_since`, RoleRequired, `last_admin`, `email_taken`, the refusals of an
    assignment, NotOnlyLedger and _NothingLeft.
    """
    with ledger.change(call) as tx:
        run = _run_to_undo(tx, run)
        kinds = inverse.stage(tx, run.number)
        if kinds & {"other", "erased"}:
            raise NotOnlyLedger
        _allow(tx, ledger, kinds)
        _require_unchanged(tx, run)
        remaining = _remaining_in_stripe(tx, run)
        if not kinds - {"nothing"}:
            raise _NothingLeft(f"nothing of run {run.number} is left to undo{remaining}")
        held_seats.release_undone(tx, run.number)
        _restore(tx, kinds)
        summary = f"undone run {run.number}: {run.summary or run.command}{remaining}"
        if "given" in kinds:
            summary += "; what is billed does not change"
        summary += waitlist_note(tx, fill_waitlists(tx))
        runs.note_undo(tx, run.number)
        return tx.report(summary, tx.report_rows(partial(inverse.results, tx)), COLUMNS)


def _remaining_in_stripe(tx: Transaction, run: Run) -> str:
    """What lines of a batch did in Stripe, each in a run of its own: the undo of the batch leaves it."""
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


def _run_to_undo(tx: Transaction, run: Run) -> Run:
    """The run to undo: this one, or the run that did it again after it was undone."""
    while (undo := runs.undone_by(tx, run.number)) is not None:
        redo = runs.undone_by(tx, undo)
        if redo is None:
            raise refuse(
                Code.UNDONE_ALREADY,
                f"run {run.number} was undone by run {undo}",
                hint=f"to do it again: seatctl runs undo {undo}",
                data={"run": run.number, "undone_by": undo},
            )
        run = runs.find(tx, redo)
    return run


def _allow(tx: Transaction, ledger: Ledger, kinds: set[str]) -> None:
    """Raise RoleRequired: undoing needs the roles that doing it needed."""
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
    blocking = inverse.first_conflict(tx, run.number)
    if blocking is not None:
        is_undone = runs.undone_by(tx, blocking.run) is not None
        first = f"if that is what you want, first: seatctl runs undo {blocking.run}"
        raise refuse(
            Code.CHANGED_SINCE,
            f"run {run.number} cannot be undone: run {blocking.run} changed {blocking.subject} after it",
            hint=f"seatctl runs show {blocking.run}" if is_undone else first,
            data={"run": run.number, "changed_by": blocking.run, "changed": blocking.subject},
        )


def _restore(tx: Transaction, kinds: set[str]) -> None:
    """Restore people first, so that they can get seats; release seats before others are assigned."""
    restore.restore_users(tx)
    restore.revoke_given(tx)
    for number in inverse.subscriptions(tx):
        if needed := inverse.seats_needed(tx, number):
            subscription = subscriptions.by_id(tx, number)
            require_usable(subscription)
            seats_to_take(subscription, needed, fill=False)
    restore.assign_again(tx)
    restore.restore_ends(tx)
    restore.restore_requests(tx)
    restore.restore_roles(tx)
    if kinds & {"role", *_PEOPLE} and not roles.holders(tx, (Role.ADMIN,)):
        raise no_admin_left()
