"""`seatctl subs buy`: the options, the question, and waiting for a hosted page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import (
    CouponOpt,
    DueInOpt,
    MaxSpendOpt,
    OnAccountOpt,
    PaymentMethodOpt,
    PromoOpt,
    RequestIdOpt,
    context,
)

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.models.report import Report
    from seatctl.services.operations.proposal import Proposal


def buy(
    typer_ctx: typer.Context,
    plan: Annotated[str | None, typer.Option("--plan", metavar="PLAN", help="The plan to buy.")] = None,
    seats: Annotated[
        int | None, typer.Option("--seats", metavar="N", min=1, help="The number of seats.")
    ] = None,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="The name of the subscription in this ledger."),
    ] = None,
    owner: Annotated[
        str | None,
        typer.Option(
            "--owner", metavar="EMAIL", help="Who runs the subscription; added as a user if unknown."
        ),
    ] = None,
    billing_email: Annotated[
        str | None, typer.Option("--billing-email", metavar="EMAIL", help="The address for invoices.")
    ] = None,
    billing_name: Annotated[
        str | None, typer.Option("--billing-name", metavar="NAME", help="The name on invoices.")
    ] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            metavar="PART=VALUE",
            help="A part of the payer's address: line1, city, postal_code, country … Stripe's tax needs one.",
        ),
    ] = None,
    payment_method: PaymentMethodOpt = None,
    bill_to: Annotated[
        str | None,
        typer.Option(
            "--bill-to", metavar="SUBSCRIPTION", help="Charge that subscription's customer and card."
        ),
    ] = None,
    checkout: Annotated[
        bool, typer.Option("--checkout", help="Pay on Stripe's page; print its address.")
    ] = False,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until the page is completed.")] = False,
    on_account: OnAccountOpt = False,
    due_in: DueInOpt = None,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Buy a subscription; it can be used immediately.

    What Stripe will charge is shown before you confirm. A declined card leaves nothing behind. After an
    interruption, the same command finishes the purchase instead of making a second one.

    Examples:
      seatctl subs buy
      seatctl subs buy --plan pro --seats 25 --name design --owner ann@example.com \\
        --billing-email pay@example.com --payment-method pm_card_visa --yes
      seatctl subs buy --plan pro --seats 5 --name lab --bill-to design --dry-run
      seatctl subs buy --plan pro --seats 5 --name lab --checkout --wait
      seatctl subs buy --plan pro --seats 5 --name lab --billing-email pay@example.com \\
        --on-account --due-in 30d --promo SPRING
    """
    from dataclasses import replace

    from seatctl.cli.confirm import confirm, due_days
    from seatctl.cli.subs_buy_prompts import complete
    from seatctl.errors import UsageError
    from seatctl.rules.billing_details import read_address
    from seatctl.services.charging.discounts import find_discounts
    from seatctl.services.purchases.order import Order, prepare

    ctx = context(typer_ctx)
    if wait and not checkout:
        raise UsageError("--wait needs --checkout", hint="add --checkout")
    order = Order(
        plan or "",
        seats or 0,
        name or "",
        owner,
        billing_email,
        billing_name,
        payment_method,
        bill_to,
        max_spend,
        request_id,
        checkout,
        due_days(on_account, due_in),
        address=read_address(address or []),
        automatic_tax=ctx.profile.text("stripe.automatic_tax", ctx.environment) == "on",
    )
    order = replace(complete(ctx, order), discounts=find_discounts(ctx.billing, promo, coupon))
    proposal = prepare(ctx.ledger, ctx.billing, ctx.call, order)
    confirm(ctx, proposal, max_spend)
    ctx.emit((_follow if wait else _buy)(ctx, proposal), handle="name")


def _buy(ctx: Context, proposal: Proposal) -> Report:
    from seatctl.services.operations.proposal import submit_proposal

    return submit_proposal(ctx.ledger, ctx.billing, ctx.call, proposal)


def _follow(ctx: Context, proposal: Proposal) -> Report:
    """Buy once the page is completed; nothing is locked while waiting."""
    import time

    from seatctl.services.purchases.checkout_operation import WaitingForPage, wait_for_page

    announced = False
    while True:
        try:
            return _buy(ctx, proposal)
        except WaitingForPage as waiting:
            if not announced:
                ctx.note(waiting.message)
                announced = True
            wait_for_page(ctx.billing, waiting, time.sleep)
        ctx.reread_clock()
