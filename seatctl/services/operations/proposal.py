"""A change that an operation may make: checked and priced first, then confirmed, then submitted once.

`cli/confirm.py` shows it and asks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from seatctl.billing.port import Billing
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader
from seatctl.models.call import Call
from seatctl.models.money import format_money
from seatctl.models.report import Record, Report, dry_run_report, unchanged_report
from seatctl.services.operations.submit import OperationRequest, earlier_operations, submit

Guard = Callable[[Reader], None]
"""Raises if another process has meanwhile done what forbids the change."""


def always_allowed(_: Reader) -> None:
    """The guard of a change that nothing done meanwhile forbids."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A change that may be made: checked, and priced by Stripe if it costs something."""

    request: OperationRequest | None
    """None if nothing changes and nothing has to be finished."""
    row: Record
    """What a dry run shows of the changed thing."""
    summary: str
    """What the change does, in the words of the run's report: `renewed design until 2027-01-01`."""
    question: str | None = None
    """What the user is asked first; None asks nothing."""
    notes: tuple[str, ...] = ()
    """What the user is told before the question, one sentence each."""
    warnings: tuple[str, ...] = ()
    """Told after the notes, and again with the report."""
    due: int = 0
    """What Stripe would charge or invoice now, in minor units of `currency`."""
    currency: str = ""
    limited: bool = True
    """A live charge without a terminal needs --max-spend; False for a change that charges nothing."""
    columns: tuple[str, ...] = ()
    """The columns of a dry run; those without a value are left out."""
    result: str = "done"
    """The `result` of the row, in a dry run as in the real run."""
    report_columns: tuple[str, ...] = ()
    """The columns of the real run's report; empty: those of its operation."""
    guard: Guard = always_allowed
    undo: str | None = None
    """The command that takes the change back, if there is one."""
    unchanged: bool = False
    """There is nothing to do, and `summary` says so. A request only finishes or repeats an earlier one."""


def submit_proposal(ledger: Ledger, billing: Billing, call: Call, proposal: Proposal) -> Report:
    """Submit a proposal, or report what it would do in a dry run. Raises what the operation raises."""
    result = "unchanged" if proposal.unchanged else proposal.result
    row = {**proposal.row, "result": result}
    columns = tuple(name for name in proposal.columns if name in row)
    if proposal.unchanged and (call.dry_run or proposal.request is None):
        return unchanged_report(call, proposal.summary, (row,), columns)
    if call.dry_run:
        return dry_run_report(proposal.summary, (row,), columns, warnings=proposal.warnings)
    assert proposal.request is not None
    report = submit(ledger, billing, call, proposal.request, proposal.guard)
    return replace(report, undo=proposal.undo, columns=proposal.report_columns or report.columns)


def only_to_finish(ledger: Ledger, request: OperationRequest) -> OperationRequest | None:
    """Return the request if an interrupted operation must be finished before it, else None.

    For a request that would change nothing: submitting it finishes the earlier operation.
    """
    with ledger.reading() as reader:
        return request if earlier_operations(reader, request) else None


def charge_note(due: int, currency: str, *, on_account: bool = False, days: int | None = None) -> str:
    """Tell the user what is charged now, in minor units; on account, within how many days it is due."""
    if not due:
        return "Nothing is charged now."
    amount = format_money(due, currency)
    if not on_account:
        return f"Stripe will charge {amount} now."
    terms = "to be paid on account" if days is None else f"due in {days} days"
    return f"Stripe will invoice {amount}, {terms}."
