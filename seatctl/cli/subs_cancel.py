"""`subs cancel`, `subs resume` and `subs transfer`: end a subscription, or change its owner."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import EmailArg, MaxSpendOpt, RequestIdOpt, SubscriptionArg, context
from seatctl.errors import UsageError


def cancel(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    at_period_end: Annotated[
        bool, typer.Option("--at-period-end", help="End with the paid period; the default.")
    ] = False,
    now: Annotated[bool, typer.Option("--now", help="End at once: nobody is entitled any more.")] = False,
    refund: Annotated[
        bool, typer.Option("--refund", help="With --now: give the unused amount back to the card.")
    ] = False,
) -> None:
    """Cancel a subscription, at the end of the paid period unless --now is given.

    What is given back, and until when the seats hold, is shown before you confirm. The seats stay in the
    history.

    Examples:
      seatctl subs cancel design
      seatctl subs cancel design --now --refund --dry-run
      seatctl subs cancel design --now --refund --yes
    """
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.subscriptions.cancel_operation import prepare_cancel

    if now and at_period_end:
        raise UsageError("--now and --at-period-end cannot be used together", hint="use one of them")
    if refund and not now:
        raise UsageError(
            "--refund needs --now: at the end of the period nothing is left to refund",
            hint="add --now, or leave out --refund",
        )
    ctx = context(typer_ctx)
    proposal = prepare_cancel(ctx.ledger, ctx.billing, ctx.call, subscription, now=now, refund=refund)
    confirm_and_submit(ctx, proposal)


def resume(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Take back a cancellation at the end of the period, or end a pause.

    A pause of collection ends with the next invoice; nothing is charged now. If Stripe has paused the
    subscription because its trial ended without a card, a new period begins and is charged.

    Examples:
      seatctl subs resume design
      seatctl subs resume design --dry-run
      seatctl subs resume design --max-spend 60.00 --yes
    """
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.subscriptions.cancel_operation import prepare_resume
    from seatctl.services.subscriptions.proposal import ChangeOptions

    ctx = context(typer_ctx)
    options = ChangeOptions(max_spend, request_id)
    proposal = prepare_resume(ctx.ledger, ctx.billing, ctx.call, subscription, options)
    confirm_and_submit(ctx, proposal, max_spend)


def transfer(typer_ctx: typer.Context, subscription: SubscriptionArg, email: EmailArg) -> None:
    """Make another user the owner of a subscription, in the ledger and in Stripe.

    Examples:
      seatctl subs transfer design bob@example.com
    """
    from seatctl.ledger import users
    from seatctl.services.subscriptions.subscription_metadata_operation import (
        transfer as transfer_subscription,
    )

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        new_owner = users.require(reader, email)
    ctx.emit(transfer_subscription(ctx.ledger, ctx.billing, ctx.call, subscription, new_owner), handle="name")
