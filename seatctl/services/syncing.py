"""`sync`: finish or undo what was interrupted, read the known subscriptions again, note when that was."""

from __future__ import annotations

from seatctl.billing.port import Billing
from seatctl.errors import ExitCode
from seatctl.ledger import operations, sync_state
from seatctl.ledger.ledger import Ledger
from seatctl.models.call import Call
from seatctl.models.report import Record, Report
from seatctl.models.role import Action
from seatctl.services.notices import queue_notices
from seatctl.services.permissions import allow
from seatctl.services.recovery import recover
from seatctl.services.refreshing import refresh_known

COLUMNS = ("run", "kind", "name", "result", "summary")


def sync(ledger: Ledger, billing: Billing, call: Call) -> Report:
    """Recover every open operation. 75 where one could not be decided, 10 where one waits for a bank."""
    with ledger.reading() as reader:
        allow(reader, call.actor, Action.SYNC)
        left = operations.unfinished(reader)
    if call.dry_run:
        rows: tuple[Record, ...] = tuple(
            {"run": one.run, "kind": one.kind, "result": "would be recovered"} for one in left
        )
        return Report(
            None, True, f"would recover {len(left)} operations", rows, columns=("run", "kind", "result")
        )
    recovered = recover(ledger, billing, call)
    changed = refresh_known(ledger, billing, call)
    queue_notices(ledger, call)
    results = [row["result"] for row in recovered]
    code = ExitCode.DONE
    if "pending" in results:
        code = ExitCode.TRY_AGAIN
    elif "waiting" in results:
        code = ExitCode.WAITING
    else:
        with ledger.journal() as journal:
            sync_state.note_success(journal, call.now)
    return Report(
        None,
        False,
        _summary(len(recovered), len(changed)),
        (*recovered, *changed),
        code,
        columns=COLUMNS if recovered or changed else (),
    )


def _summary(recovered: int, changed: int) -> str:
    looked = f"{recovered} interrupted operations looked after" if recovered else "nothing was interrupted"
    return f"{looked}; {changed} subscriptions changed" if changed else f"{looked}; nothing changed in Stripe"
