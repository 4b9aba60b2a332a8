"""`ledger copy`, `migrate` and `new-id`: a ledger's place, schema and id."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.ledger import creation
from seatctl.ledger import place_marks as marks
from seatctl.ledger.engines.port import MOVED_TO, UNFINISHED_COPY
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.new_id import give_new_id
from seatctl.ledger.transfer import copy as copies
from seatctl.ledger.transfer import rows
from seatctl.ledger.transfer.copy import Copy
from seatctl.ledger.transfer.rows import Notify
from seatctl.models.call import Call
from seatctl.models.ledger_url import ServerUrl
from seatctl.models.report import Record, Report, change_report, counted
from seatctl.models.role import Action
from seatctl.services.users.permissions import allow
from seatctl.system.files import is_same

Place = Path | ServerUrl

_COLUMNS = ("table", "rows", "digest")
_RENAMED = "changed the id of the ledger from {old} to {new}"
_WAIT_SECONDS = 35.0
"""How long a move waits for purchases and messages: a little longer than what a killed process leaves on a
server lasts, among them a move that was killed."""


def finish_move(source: Ledger, place: Place, *, keep: bool, dry_run: bool) -> Report | None:
    """Finish a move that was interrupted after the ledger was marked as moved; None if it is still in use.

    Raises `ledger_moved` if it was moved to another place, and `copy_unfinished` for an unfinished copy.
    """
    meta = source.engine.meta()
    marks.require_finished(source.place, meta)
    if MOVED_TO not in meta:
        return None
    copy = None if keep else copies.existing(place)
    if copy is None:
        raise marks.moved(source.place, meta)
    try:
        there = copy.engine.meta()
        if there.get("ledger_id") != meta.get(marks.MOVED_ID):
            raise marks.moved(source.place, meta)
        summary = f"moved {source.place} to {copy.place}"
        if UNFINISHED_COPY not in there:
            already = f"{source.place} is already moved to {copy.place}"
            return change_report(already, dry_run=dry_run, unchanged=True)
        if not dry_run:
            copies.finish(copy)
        return change_report(summary, dry_run=dry_run)
    finally:
        copy.close()


def move(source: Ledger, place: Place, call: Call, notify: Notify) -> Report:
    """Move a ledger: copy it, verify the copy, and use it in place of the ledger.

    Nobody changes the ledger meanwhile, and afterwards nobody uses it. Raises RoleRequired, `busy`,
    `mail_busy` and what `transfer.copy.make` raises.
    """
    _require_other(source, place)
    with source.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_LEDGER)
    marks.rehearse_move(source.engine, source.id, str(place), call)
    if call.dry_run:
        return _preview(source, place, "moved")
    with ExitStack() as stack:
        stack.enter_context(source.money_lock(_WAIT_SECONDS))
        stack.enter_context(_no_mail(source))
        with copies.locked(source):
            copy = copies.make(source, place, notify)
            stack.callback(copy.ledger.close)
            source.require_money_lock()
            marks.mark_moved(source.engine, source.id, copy.ledger.place, call)
        copies.finish(copy.ledger)
        return _report(f"moved {source.place} to {copy.ledger.place}", copy)


@contextmanager
def _no_mail(source: Ledger) -> Iterator[None]:
    """Let nobody send messages: one that is sent from the old place would be sent from the new one again."""
    with source.all_mail_locked(_WAIT_SECONDS) as held:
        if not held:
            raise refuse(
                Code.MAIL_BUSY,
                "another process is sending messages of this ledger",
                hint="run the same command again when it has finished",
            )
        yield


def keep(source: Ledger, place: Place, call: Call, notify: Notify) -> Report:
    """Copy a ledger that stays in use; the copy gets an id of its own. Raises what `transfer.copy` raises."""
    _require_other(source, place)
    if call.dry_run:
        return _preview(source, place, "copied")
    with copies.snapshot(source):
        copy = copies.make(source, place, notify, kept=True)
    try:
        summary, since = "copied from {old}, as {new}", "this copy of the ledger was made"
        new = give_new_id(copy.ledger, call, summary=summary, since=since)
        return _report(
            f"copied {source.place} to {copy.ledger.place} as {new}, which must adopt subscriptions before it"
            " changes them",
            copy,
        )
    finally:
        copy.ledger.close()


def _require_other(source: Ledger, place: Place) -> None:
    is_file = isinstance(place, Path) and is_same(Path(source.place), place)
    if is_file or source.place == str(place):
        raise refuse(
            Code.SAME_LEDGER,
            f"{source.place} is the ledger that would be copied; nothing was changed",
            hint="name another file or database",
            data={"place": source.place},
        )


def _preview(source: Ledger, place: Place, done: str) -> Report:
    """Return the report of a dry run, which creates nothing. Raises `ledger_not_empty`."""
    copy = copies.existing(place)
    if copy is not None:
        try:
            copies.require_free(copy, source.id)
        finally:
            copy.close()
    with source.reading() as reader:
        records: list[Record] = [{"table": name, "rows": count} for name, count in rows.counts(reader.engine)]
    return change_report(f"{done} {source.place} to {place}", records, dry_run=True)


def _report(summary: str, copy: Copy) -> Report:
    total = sum(contents.rows for contents in copy.contents)
    records: list[Record] = [contents._asdict() for contents in copy.contents]
    number = counted(total, "row")
    return change_report(
        f"{summary}: {number}, verified",
        records,
        _COLUMNS,
        dry_run=False,
        data={"place": copy.ledger.place, "ledger_id": copy.ledger.id},
    )


def new_id(ledger: Ledger, call: Call) -> Report:
    """Give a ledger a new id, because it is a copy of another one. Raises RoleRequired, `copy_unfinished`."""
    marks.require_finished(ledger.place, ledger.engine.meta())
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_LEDGER)
    old = ledger.id
    with ledger.money_lock():
        new = give_new_id(ledger, call, summary=_RENAMED, since="this copy of the ledger was made")
    row: Record = {"place": ledger.place, "ledger_id": new, "previous_id": old}
    summary = f"changed the id of {ledger.place} to {new}; it must adopt subscriptions before it changes them"
    return change_report(summary, (row,), dry_run=call.dry_run)


def migrate(place: Place, *, dry_run: bool) -> Report:
    """Migrate a ledger to the schema of this version. Raises what the engine's migration raises."""
    before, after = creation.migrate(place, dry_run=dry_run)
    row: Record = {"place": str(place), "schema_before": before, "schema": after}
    if before == after:
        return change_report(f"{place} has schema {after} already", (row,), dry_run=dry_run, unchanged=True)
    return change_report(f"migrated {place} from schema {before} to {after}", (row,), dry_run=dry_run)
