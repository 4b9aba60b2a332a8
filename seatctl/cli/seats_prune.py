"""The question of `seats apply --prune`: at a terminal nobody loses a seat before a person has said yes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.ledger.transaction import Journal
    from seatctl.rules.desired_state import Changes
    from seatctl.services.seats.apply import ApplyOptions, Checked

_NAMED = 10
"""So many who lose their seats are named before the question."""


def confirmed(ctx: Context, how: ApplyOptions, holds: Checked | None) -> Checked | None:
    """Ask before --prune revokes; the check that exactly what was agreed to is done, besides `holds`.

    Without a terminal, and with --yes, nobody is asked: --max-revoke is the limit there.
    Raises `not_confirmed`, and what would refuse the change anyway.
    """
    if not how.prune or not ctx.asks or not ctx.interactive or ctx.options.yes:
        return holds
    from seatctl.ledger.desired.differences import records
    from seatctl.rules.desired_state import check
    from seatctl.rules.plural import counted
    from seatctl.services.seats.apply import require_allowed, weigh

    weighed = weigh(ctx.ledger, ctx.call, how, holds)
    require_allowed(ctx.ledger, ctx.call, weighed.changes)
    check(weighed.changes, how.max_revoke, ctx.ledger.id)
    leaving = [row for row in weighed.rows if row["result"] == "revoked"]
    if not leaving:
        return holds
    for row in leaving[:_NAMED]:
        ctx.note(f"{row['email']} loses the seat in {row['subscription']}")
    if len(leaving) > _NAMED:
        ctx.note(f"… and {len(leaving) - _NAMED:,} more: --dry-run shows all")
    ctx.confirm(f"Revoke {counted(len(leaving), 'seat')}?")

    def as_agreed(journal: Journal, changes: Changes) -> None:
        if holds is not None:
            holds(journal, changes)
        if [row for row in records(journal) if row["result"] == "revoked"] != leaving:
            raise refuse(
                Code.STALE_PLAN,
                "others would lose their seats now than when it was asked; nothing was written",
                hint="run the same command again",
            )

    return as_agreed
