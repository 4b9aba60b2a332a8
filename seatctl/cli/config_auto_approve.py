"""`seatctl config auto-approve`: a setting of a subscription, also stored in Stripe's metadata."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import SubscriptionArg, context
from seatctl.output.columns import columns

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.models.report import Record


class OnOff(StrEnum):
    """On or off."""

    ON = "on"
    OFF = "off"


COLUMNS = columns(
    "subscription auto_approve domains groups daily_limit until keep_free rules",
    machine="rules",
    titles={"rules": "Rules"},
)
TEST_COLUMNS = columns("subscription email outcome rule why")

SwitchArg = Annotated[
    OnOff | None,
    typer.Argument(
        metavar="[on|off]", help="Without it and without rules, show the current rules.", show_default=False
    ),
]
DomainOpt = Annotated[
    list[str] | None, typer.Option("--domain", metavar="DOMAIN", help="Only addresses of these domains.")
]
GroupOpt = Annotated[
    list[str] | None, typer.Option("--group", metavar="GROUP", help="Only users of these groups.")
]
DailyOpt = Annotated[
    int | None,
    typer.Option("--daily-limit", metavar="N", min=0, max=1_000_000, help="At most N a day (UTC)."),
]
UntilOpt = Annotated[str | None, typer.Option("--until", metavar="14d|DATE", help="Only until then.")]
KeepOpt = Annotated[
    int | None,
    typer.Option(
        "--keep-free", metavar="N", min=0, max=1_000_000, help="Leave the last N free seats unassigned."
    ),
]
ResetOpt = Annotated[bool, typer.Option("--reset", help="Remove all earlier rules first.")]
TestOpt = Annotated[
    str | None,
    typer.Option(
        "--test", metavar="EMAIL", help="Change nothing; show which rule would decide for this address."
    ),
]


def auto_approve(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    switch: SwitchArg = None,
    domain: DomainOpt = None,
    group: GroupOpt = None,
    daily_limit: DailyOpt = None,
    until: UntilOpt = None,
    keep_free: KeepOpt = None,
    reset: ResetOpt = False,
    test: TestOpt = None,
) -> None:
    """Show or change automatic approval of a subscription's requests.

    While it is on and all rules match, a requester gets a free seat at once, or joins the waitlist if no seat
    is free. Otherwise a person decides. Rules that are not given stay as they are.

    Examples:
      seatctl config auto-approve design
      seatctl config auto-approve design on --domain example.com --keep-free 2
      seatctl config auto-approve design on --reset --daily-limit 5 --until 2027-01-31
      seatctl config auto-approve design --test zoe@example.com
    """
    from seatctl.rules.dates import moment_after
    from seatctl.services.requests.auto_approval import RuleOptions, set_rules, try_rules

    ctx = context(typer_ctx)
    wanted = RuleOptions(
        enabled=None if switch is None else switch is OnOff.ON,
        domains=None if domain is None else tuple(domain),
        groups=None if group is None else tuple(group),
        daily_limit=daily_limit,
        until=None if until is None else moment_after(until, ctx.now),
        keep_free=keep_free,
        reset=reset,
    )
    if test is not None:
        with ctx.ledger.reading() as reader:
            tried = try_rules(reader, ctx.ledger.id, subscription, test, wanted, ctx.now)
            ctx.emit_one(tried, TEST_COLUMNS, handle="outcome")
    elif wanted == RuleOptions():
        _show(ctx, subscription)
    else:
        ctx.emit(set_rules(ctx.ledger, ctx.billing, ctx.call, subscription, wanted), handle="name")


def _show(ctx: Context, subscription: str) -> None:
    from seatctl.ledger import subscriptions
    from seatctl.rules.approval_rules import auto_approval_fields

    with ctx.ledger.reading() as reader:
        current = subscriptions.find(reader, subscription)
    rules = auto_approval_fields(current.auto_approval)
    record: Record = {
        **rules,
        "subscription": current.name,
        "auto_approve": current.auto_approval.enabled,
        "rules": rules,
    }
    ctx.emit_one(record, COLUMNS, handle="auto_approve")
