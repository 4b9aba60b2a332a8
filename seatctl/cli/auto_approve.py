"""`seatctl config auto-approve`: a setting of a subscription, kept in Stripe's metadata too."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.options import SubscriptionArg, context
from seatctl.output import Column

if TYPE_CHECKING:
    from seatctl.models.report import Record


class Switch(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


COLUMNS = (
    Column("subscription", "Subscription"),
    Column("auto_approve", "Automatic approval", "flag"),
    Column("rules", "Rules", "list", table=False),
)


def auto_approve(
    ctx: typer.Context,
    subscription: SubscriptionArg,
    switch: Annotated[
        Switch | None,
        typer.Argument(metavar="[on|off]", help="Without it, show what is.", show_default=False),
    ] = None,
) -> None:
    """Show or switch automatic approval of a subscription's requests.

    While it is on and a seat is free, who asks is seated at once; otherwise an owner decides.

    Examples:
      seatctl config auto-approve design
      seatctl config auto-approve design on
    """
    here = context(ctx)
    if switch is None:
        from seatctl.ledger import subscriptions
        from seatctl.rules.approval_rules import auto_approval_fields

        with here.ledger.reading() as reader:
            found = subscriptions.find(reader, subscription)
        rules = auto_approval_fields(found.auto_approval)
        record: Record = {
            "subscription": found.name,
            "auto_approve": found.auto_approval.enabled,
            "rules": rules,
        }
        here.emit_one(record, COLUMNS, handle="auto_approve")
        return
    from seatctl.services.subscriptions import set_auto_approval

    enabled = switch is Switch.ON
    report = set_auto_approval(here.ledger, here.billing, here.call, subscription, enabled=enabled)
    here.emit(report, handle="name")
