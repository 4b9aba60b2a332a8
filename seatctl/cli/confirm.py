"""Shared by the commands that change a running subscription: who leaves, the question, the limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.app.context import Context
from seatctl.config.settings import Mode
from seatctl.errors import UsageError
from seatctl.rules.typed_values import whole_number

if TYPE_CHECKING:
    from seatctl.models.departure import DepartureRule
    from seatctl.services.operations.submit import Proposal
    from seatctl.services.subscriptions.proposal import Departures

_DUE_IN = "30d"
_LONGEST_DUE = 365
"""A year: a later due date is a typing error."""


def confirm_and_submit(
    ctx: Context, proposal: Proposal, max_spend: str | None = None, *, handle: str = "name"
) -> None:
    """Tell the user what a proposal does, ask, submit it, and print the report."""
    from seatctl.services.operations.submit import submit_proposal

    confirm(ctx, proposal, max_spend)
    ctx.emit(submit_proposal(ctx.ledger, ctx.billing, ctx.call, proposal), handle=handle)


def confirm(ctx: Context, proposal: Proposal, max_spend: str | None = None) -> None:
    """Go on only after a yes, if the proposal has a question and this is not a dry run."""
    if not ctx.asks or proposal.unchanged or proposal.question is None:
        return
    if proposal.limited:
        require_max_spend(ctx, max_spend)
    if ctx.interactive:  # else leave stderr to the error, for the program that reads it
        for line in (*proposal.notes, *proposal.warnings):
            ctx.note(line)
    ctx.confirm(proposal.question)


def require_max_spend(ctx: Context, max_spend: str | None) -> None:
    """Raise UsageError in live mode without --max-spend if nobody can read the preview."""
    if ctx.profile.mode is Mode.LIVE and not ctx.interactive and max_spend is None:
        raise UsageError(
            "in live mode --max-spend is required when not running interactively",
            hint="add --max-spend AMOUNT, the most that may be charged now",
            data={"flag": "--max-spend"},
        )


def departures_of(
    ctx: Context, subscription: str, seats: int | None, rule: DepartureRule | None, source: str | None
) -> Departures:
    """Return the users who give up a seat; none if neither option is given."""
    from seatctl.ledger import departures, subscriptions
    from seatctl.services.subscriptions.proposal import NO_DEPARTURES, Departures, departures_from_file

    if rule is not None and source is not None:
        raise UsageError("--revoke and --revoke-from cannot be used together", hint="use one of them")
    with ctx.ledger.reading() as reader:
        row = subscriptions.find(reader, subscription, ctx.now)
    if source is not None:
        return departures_from_file(ctx.ledger, row.id, source)
    if rule is None or seats is None:
        return NO_DEPARTURES
    with ctx.ledger.reading() as reader:
        users = departures.choose(reader, row.id, rule, row.assigned - seats)
        return Departures(users, (rule.value,), emails=departures.emails(reader, users))


def due_days(on_account: bool, due_in: str | None) -> int | None:
    """Return the days until an invoice on account is due, None if the card is charged. Raises UsageError."""
    if not on_account:
        if due_in is not None:
            raise UsageError("--due-in needs --on-account", hint="add --on-account")
        return None
    days = whole_number((due_in or _DUE_IN).strip().removesuffix("d"), _LONGEST_DUE)
    if not days:
        raise UsageError(
            f"{due_in!r} is not a number of days", hint=f"use --due-in DAYS, from 1 to {_LONGEST_DUE}"
        )
    return days
