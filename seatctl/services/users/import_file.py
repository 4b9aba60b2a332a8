"""`users import`: the whole file is checked before anything is written."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from seatctl.errors import ExitCode
from seatctl.ledger.incoming import staging, user_import
from seatctl.ledger.incoming.staging import RowVerdict
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Report, counted
from seatctl.models.role import Action
from seatctl.rules.people import PersonRow
from seatctl.services.users.permissions import allow


def import_users(ledger: Ledger, call: Call, rows: Iterable[PersonRow], *, skip_bad: bool = False) -> Report:
    """Add the users of a file, and update name, group and last activity of users who exist already.

    The status never changes. Unchanged rows write nothing. Raises RoleRequired, and `bad_rows` with every bad
    row unless `skip_bad`.
    """
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.MANAGE_USERS)
    with ledger.staging() as journal:
        staging.load(journal, rows)
    with ledger.change(call) as tx:
        allow(tx, call.actor, Action.MANAGE_USERS)
        staging.set_verdicts(tx)
        user_import.mark_undone(tx)
        bad = staging.require_good(tx, skip_bad)
        imported = user_import.apply(tx)
        removed = staging.count(tx, RowVerdict.REMOVED)
        return tx.report(
            _summary(imported, removed, bad),
            tx.report_rows(partial(staging.results, tx, user_import.RESULTS)),
            ("line", "email", "result", "error"),
            unchanged=not (imported.added or imported.updated),
            exit_code=ExitCode.PARTIAL if bad else ExitCode.DONE,
            data={"added": imported.added, "updated": imported.updated, "removed": removed, "bad": bad},
        )


def _summary(imported: user_import.Imported, removed: int, bad: int) -> str:
    """Return `added 97, updated 2 users; 1 removed user not changed: …; skipped 3 bad rows`."""
    counts = ((imported.added, "added"), (imported.updated, "updated"))
    done = ", ".join(f"{verb} {number:,}" for number, verb in counts if number)
    parts = [
        f"{done} user{'' if imported.added + imported.updated == 1 else 's'}" if done else "nothing to do"
    ]
    if removed:
        parts.append(
            f"{counted(removed, 'removed user')} not changed: only seatctl users add adds them again"
        )
    if bad:
        parts.append(f"skipped {counted(bad, 'bad row')}")
    return "; ".join(parts)
