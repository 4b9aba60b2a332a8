"""`users import`: a file of people, read and judged whole before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from seatctl.errors import ExitCode
from seatctl.ledger import imports, staging
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.staging import RowVerdict
from seatctl.models.call import Call
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.rules.people import Incoming
from seatctl.services.users.permissions import allow


def import_users(ledger: Ledger, call: Call, rows: Iterable[Incoming], *, skip_bad: bool = False) -> Report:
    """Make the users that a file tells of, and update name, group and last activity of those who are there.

    The status is never touched. Unchanged rows write nothing. Raises RoleRequired, and `bad_rows` with every
    bad row unless they are to be skipped.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_USERS)
    with ledger.staging() as journal:
        staging.load(journal, rows)
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        staging.set_verdicts(tx)
        imports.mark_undone(tx)
        bad = staging.require_good(tx, skip_bad)
        done = imports.apply(tx)
        removed = staging.count(tx, RowVerdict.REMOVED)
        summary = _summary(done, removed, bad)
        tx.summarise(summary)
        kept = tx.report_rows(partial(staging.results, tx, imports.RESULTS))
    return Report(
        run=tx.run,
        dry_run=call.dry_run,
        summary=summary,
        rows=kept,
        exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
        undo=tx.undo,
        columns=("line", "email", "result", "error"),
        data={"added": done.added, "updated": done.updated, "removed": removed, "bad": bad},
    )


def _summary(done: imports.Imported, removed: int, bad: int) -> str:
    """`added 97, updated 2 users; 1 removed user left removed: …; 3 bad rows left out`."""
    if done.added or done.updated:
        counts = ((done.added, "added"), (done.updated, "updated"))
        said = ", ".join(f"{verb} {number:,}" for number, verb in counts if number)
        parts = [f"{said} user{'' if done.added + done.updated == 1 else 's'}"]
    else:
        parts = ["nothing to do"]
    if removed:
        parts.append(f"{removed:,} left removed, whom only seatctl users add brings back")
    if bad:
        parts.append(f"{bad:,} bad row{'' if bad == 1 else 's'} left out")
    return "; ".join(parts)
