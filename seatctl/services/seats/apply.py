"""`seats apply`: bringing subscriptions to the state that a file describes, or saying what that would change.

`apply_files.py` reads the files, `apply_purchases.py` buys what is short, `saved_comparison.py` keeps a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from seatctl.errors import ExitCode, JsonValue
from seatctl.ledger.desired import applied, compare, differences, write
from seatctl.ledger.due_changes import fill_waitlists, waitlist_note
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Journal, Reader, spooled
from seatctl.ledger.undo import held_seats
from seatctl.models.call import Call, format_time
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.rules.desired_state import (
    Changes,
    DesiredRow,
    as_record,
    check,
    refuse_shortage,
    require_named,
    summary,
)
from seatctl.rules.revocations import RevocationLimit
from seatctl.services.users.permissions import allow

COLUMNS = ("line", "email", "subscription", "result", "until", "error")


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """How to bring a subscription to its state."""

    max_revoke: RevocationLimit
    prune: bool = False
    """Revoke who sits in a subscription of the file and is not in it."""
    create_users: bool = False
    fill: bool = False
    """Where seats are short, seat as many as fit, in the order of the file."""
    skip_bad: bool = False
    named: bool = False
    """Whether --subscription, or a list in TOML, says what the file is the whole truth of."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison that was not carried out. `rows` are its differences."""

    changes: Changes
    rows: Iterable[Record]
    fill: bool


Checked = Callable[[Journal, Changes], None]
"""Looks at a comparison while it can be asked: keeps it as a plan, or raises where a kept one is stale."""


def stage(ledger: Ledger, rows: Iterable[DesiredRow], subscriptions: Iterable[str] = ()) -> int:
    """Take the rows of a file, holding no lock meanwhile; how many. `subscriptions` are named besides."""
    with ledger.staging() as journal:
        return compare.load(journal, rows, subscriptions)


def weigh(ledger: Ledger, call: Call, how: ApplyOptions, checked: Checked | None = None) -> Comparison:
    """Compare what was staged with the ledger, and write nothing: anybody may, and no lock is taken.

    Raises `bad_rows`, `not_in_file`.
    """
    with ledger.scratch() as journal:
        changes = _compare(journal, format_time(call.now), how)
        if checked is not None:
            checked(journal, changes)
        return Comparison(changes, spooled(differences.records(journal)), how.fill)


def weighed_report(weighed: Comparison, *, costs: Mapping[str, int] | None = None, check: bool) -> Report:
    """The report of a comparison that nothing was done about; `check` makes a difference exit 7.

    `costs` in minor units by the subscription's name.
    """
    changes = weighed.changes
    return Report(
        run=None,
        dry_run=True,
        summary=summary(changes, done=False, fill=weighed.fill),
        rows=weighed.rows,
        exit_code=ExitCode.NO if check and changes.differs else ExitCode.DONE,
        columns=COLUMNS,
        data=_data(changes, costs or {}),
    )


def require_allowed(ledger: Ledger, call: Call, changes: Changes) -> None:
    """Raise RoleRequired where the actor may not bring it about: said before anything is bought for it."""
    with ledger.reading() as reader:
        _allow(reader, call, changes)


def apply_state(
    ledger: Ledger,
    call: Call,
    how: ApplyOptions,
    checked: Checked | None = None,
    *,
    bought: Iterable[int | None] = (),
) -> Report:
    """Bring the ledger to the staged state, in one transaction; nothing where nothing differs.

    `bought` are the runs of what was bought for it, whose seats were kept for this.
    Raises `bad_rows` and `not_in_file` before anything about seats; RoleRequired, ForeignLedger,
    `subscription_not_active`,
    `max_revoke_exceeded`, NoSeatsLeft (unless `fill`).
    """
    with ledger.change(call) as tx:
        changes = _compare(tx, tx.now, how)
        if checked is not None:
            checked(tx, changes)
        _allow(tx, call, changes)
        check(changes, how.max_revoke, ledger.id)
        if changes.short:
            if not how.fill:
                raise refuse_shortage(changes, differences.rows_without_seat(tx, changes.short))
            differences.mark_without_seat(tx, changes.short)
            changes = replace(changes, users_to_add=differences.users_to_add(tx))
        write.write(tx, [one.subscription for one in changes.subscriptions])
        for run in filter(None, bought):
            held_seats.release(tx, run)
        rows = tx.report_rows(partial(differences.records, tx))
        said = summary(changes, done=not call.dry_run, fill=how.fill) + waitlist_note(tx, fill_waitlists(tx))
        tx.summarise(said)
        partly = changes.bad or changes.short
        report = Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=said,
            rows=rows,
            exit_code=ExitCode.PARTIAL if partly else ExitCode.DONE,
            undo=tx.undo,
            columns=COLUMNS,
            data=_data(changes, {}),
        )
    if not call.dry_run:
        _remember(ledger, {one.subscription.id for one in changes.subscriptions})
    return report


def _remember(ledger: Ledger, described: set[int]) -> None:
    """Note which subscriptions the file has described, even if nothing of them differed."""
    with ledger.reading() as reader:
        known = applied.described(reader)
    if not described <= known:
        with ledger.journal() as journal:
            applied.remember(journal, described)


def _compare(journal: Journal, now: str, how: ApplyOptions) -> Changes:
    subscriptions = compare.set_verdicts(journal, now, create_users=how.create_users, prune=how.prune)
    bad = compare.require_good(journal, skip_bad=how.skip_bad, prune=how.prune)
    unnamed = applied.unnamed(journal, subscriptions) if how.prune and not how.named else ()
    require_named(unnamed, [subscription.name for subscription in subscriptions])
    return Changes(
        subscriptions=differences.comparisons(journal, subscriptions),
        users_to_add=differences.users_to_add(journal),
        users_to_update=differences.users_to_update(journal),
        bad=bad,
        unnamed=unnamed,
    )


def _allow(reader: Reader, call: Call, changes: Changes) -> None:
    for one in changes.subscriptions:
        allow(reader, call.actor, Action.ASSIGN, one.subscription)
    if changes.users_to_add or changes.users_to_update:
        allow(reader, call.actor, Action.MANAGE_USERS)


def _data(changes: Changes, costs: Mapping[str, int]) -> dict[str, JsonValue]:
    """What JSON has beside the rows: the numbers of each subscription, and whether anything differs."""
    subscriptions: list[JsonValue] = [
        as_record(one, costs.get(one.subscription.name)) for one in changes.subscriptions
    ]
    return {
        "differs": changes.differs,
        "subscriptions": subscriptions,
        "users_added": changes.users_to_add,
        "users_updated": changes.users_to_update,
        "bad": changes.bad,
        "not_in_file": [one.name for one in changes.unnamed],
    }
