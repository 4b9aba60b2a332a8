"""`seats apply`: compare the seats that a file describes with the ledger, and change the ledger to match.

`apply_files.py` reads the files, `apply_purchases.py` buys missing seats, `saved_comparison.py` keeps a
comparison in a file.
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
from seatctl.models.report import Record, Report, change_report
from seatctl.models.role import Action
from seatctl.rules.assignment import RevocationLimit
from seatctl.rules.desired_state import (
    Changes,
    DesiredRow,
    as_record,
    check,
    has_effect,
    refuse_shortage,
    require_named,
    summary,
)
from seatctl.services.users.permissions import allow

COLUMNS = ("line", "email", "subscription", "result", "until", "error")


@dataclass(frozen=True, slots=True)
class ApplyOptions:
    """The options of `seats apply` that decide what changes; a saved plan has them too."""

    max_revoke: RevocationLimit
    prune: bool = False
    """Revoke the seats of people who are not in the file, in the subscriptions that the file names."""
    create_users: bool = False
    fill: bool = False
    """If seats are missing, seat as many people as fit, in the order of the file."""
    skip_bad: bool = False
    named: bool = False
    """Whether --subscription or a list in TOML names the subscriptions that the file describes completely."""
    buy: bool = False
    """Buy the missing seats first."""
    max_spend: str | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """A comparison of a file with the ledger. `rows` are the differences; nothing was written."""

    changes: Changes
    rows: Iterable[Record]
    fill: bool


ComparisonCheck = Callable[[Journal, Changes], None]
"""Receives a comparison while its staged tables can be read: saves it, or raises if a saved one is stale."""


def stage(ledger: Ledger, rows: Iterable[DesiredRow], subscriptions: Iterable[str] = ()) -> int:
    """Load the rows of a file into staged tables, without a lock, and return their number.

    `subscriptions` are those that are named besides the rows.
    """
    with ledger.staging() as journal:
        return compare.load(journal, rows, subscriptions)


def compare_state(
    ledger: Ledger, call: Call, options: ApplyOptions, check_comparison: ComparisonCheck | None = None
) -> Comparison:
    """Return how the staged rows differ from the ledger. It needs no role, takes no lock, writes nothing.

    Raises `bad_rows`, `not_in_file`.
    """
    with ledger.scratch() as journal:
        changes = _compare(journal, format_time(call.now), options)
        if check_comparison is not None:
            check_comparison(journal, changes)
        return Comparison(changes, spooled(differences.records(journal)), options.fill)


def comparison_report(
    comparison: Comparison, *, costs: Mapping[str, int] | None = None, check: bool
) -> Report:
    """Return the report of a comparison that is not applied. With `check` any difference exits with 7.

    `costs` are in minor units, by the subscription's name.
    """
    changes = comparison.changes
    return change_report(
        summary(changes, fill=comparison.fill),
        comparison.rows,
        COLUMNS,
        dry_run=True,
        unchanged=not has_effect(changes, fill=comparison.fill),
        exit_code=ExitCode.NO if check and changes.differs else ExitCode.DONE,
        data=_data(changes, costs or {}),
    )


def require_allowed(ledger: Ledger, call: Call, changes: Changes) -> None:
    """Raise RoleRequired if the actor may not make the changes. Called before seats are bought for them."""
    with ledger.reading() as reader:
        _allow(reader, call, changes)


def apply_state(
    ledger: Ledger,
    call: Call,
    options: ApplyOptions,
    check_comparison: ComparisonCheck | None = None,
    *,
    purchase_runs: Iterable[int | None] = (),
) -> Report:
    """Change the ledger to the staged state in one transaction. Writes nothing if nothing differs.

    `purchase_runs` are the runs that bought missing seats, which are reserved for this change.
    Raises `bad_rows` and `not_in_file` before any refusal about seats; RoleRequired, ForeignLedger,
    `subscription_not_active`, `max_revoke_exceeded`, NoSeatsLeft (unless `fill`).
    """
    with ledger.change(call) as tx:
        changes = _compare(tx, tx.now, options)
        if check_comparison is not None:
            check_comparison(tx, changes)
        _allow(tx, call, changes)
        check(changes, options.max_revoke, ledger.id)
        if changes.short:
            if not options.fill:
                raise refuse_shortage(changes, differences.rows_without_seat(tx, changes.short))
            differences.mark_without_seat(tx, changes.short)
            changes = replace(changes, users_to_add=differences.users_to_add(tx))
        write.write(tx, [compared.subscription for compared in changes.subscriptions])
        for run in filter(None, purchase_runs):
            held_seats.release(tx, run)
        rows = tx.report_rows(partial(differences.records, tx))
        report = tx.report(
            summary(changes, fill=options.fill) + waitlist_note(tx, fill_waitlists(tx)),
            rows,
            COLUMNS,
            unchanged=not has_effect(changes, fill=options.fill),
            exit_code=ExitCode.PARTIAL if changes.bad or changes.short else ExitCode.DONE,
            data=_data(changes, {}),
        )
    if not call.dry_run:
        _note_described(ledger, {compared.subscription.id for compared in changes.subscriptions})
    return report


def _note_described(ledger: Ledger, described: set[int]) -> None:
    """Record which subscriptions the file has described, even if nothing in them differed."""
    with ledger.reading() as reader:
        known = applied.described(reader)
    if not described <= known:
        with ledger.journal() as journal:
            applied.remember(journal, described)


def _compare(journal: Journal, now: str, options: ApplyOptions) -> Changes:
    subscriptions = compare.set_verdicts(journal, now, create_users=options.create_users, prune=options.prune)
    bad = compare.require_good(journal, skip_bad=options.skip_bad, prune=options.prune)
    unnamed = applied.unnamed(journal, subscriptions) if options.prune and not options.named else ()
    require_named(unnamed, [subscription.name for subscription in subscriptions])
    return Changes(
        subscriptions=differences.comparisons(journal, subscriptions),
        users_to_add=differences.users_to_add(journal),
        users_to_update=differences.users_to_update(journal),
        bad=bad,
        unnamed=unnamed,
    )


def _allow(reader: Reader, call: Call, changes: Changes) -> None:
    for compared in changes.subscriptions:
        allow(reader, call.actor, Action.ASSIGN, compared.subscription)
    if changes.users_to_add or changes.users_to_update:
        allow(reader, call.actor, Action.MANAGE_USERS)


def _data(changes: Changes, costs: Mapping[str, int]) -> dict[str, JsonValue]:
    """Return what JSON has besides the rows: whether anything differs, and each subscription's numbers."""
    subscriptions: list[JsonValue] = [
        as_record(compared, costs.get(compared.subscription.name)) for compared in changes.subscriptions
    ]
    return {
        "differs": changes.differs,
        "subscriptions": subscriptions,
        "users_added": changes.users_to_add,
        "users_updated": changes.users_to_update,
        "bad": changes.bad,
        "not_in_file": [unnamed.name for unnamed in changes.unnamed],
    }
