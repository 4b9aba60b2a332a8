"""`seatctl subs`: buy, list, show and change subscriptions."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.framework.options import (
    CouponOpt,
    DueInOpt,
    MaxSpendOpt,
    OnAccountOpt,
    PromoOpt,
    RequestIdOpt,
    SubscriptionArg,
    context,
)
from seatctl.cli.subs_billing import billing
from seatctl.cli.subs_buy import buy
from seatctl.cli.subs_cancel import cancel, resume, transfer
from seatctl.models.departure import DepartureRule
from seatctl.output.columns import columns

app = typer.Typer()
app.command("buy")(buy)
app.command("billing")(billing)
for _verb in (cancel, resume, transfer):
    app.command()(_verb)

LIST_COLUMNS = columns(
    "name plan status seats assigned free over_assigned owner unit_amount currency term_start term_end"
    " ends ends_at auto_approve attention ways_out stripe_subscription",
    machine="over_assigned currency term_start ends auto_approve ways_out stripe_subscription",
    wide="owner unit_amount",
)

SHOW_COLUMNS = columns(
    "name plan status seats assigned free attention ways_out next_seats next_plan over_assigned owner"
    " billing_email unit_amount currency term_start term_end ends ends_at auto_approve rules calendar"
    " stripe_subscription stripe_item auto_approval policy home_ledger",
    machine="next_seats next_plan currency ends stripe_item auto_approval policy home_ledger",
)


@app.command("list")
def list_subscriptions(
    typer_ctx: typer.Context,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="PLAN", help="Only subscriptions of this plan.")
    ] = None,
) -> None:
    """List subscriptions with their seats.

    The status is Stripe's; `paid` means that it was paid by `subs renew`. A subscription that
    does not renew by itself has an end.

    Examples:
      seatctl subs list
      seatctl subs list --plan pro -o json
    """
    from seatctl.ledger import plans, subscriptions
    from seatctl.services.subscriptions.views import subscription_row, with_troubles

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        slug = None if plan is None else plans.find(reader, plan).slug
        subscriptions_found = subscriptions.listing(reader, ctx.now, plan=slug)
        rows = (with_troubles(subscription_row(each), each, ctx.now) for each in subscriptions_found)
        ctx.emit_list(rows, LIST_COLUMNS, handle="name")


@app.command()
def show(typer_ctx: typer.Context, subscription: SubscriptionArg) -> None:
    """Show a subscription in full, and its policy with its dates.

    Examples:
      seatctl subs show design
    """
    from seatctl.ledger import plans, subscriptions
    from seatctl.ledger.mirror import customers
    from seatctl.services.subscriptions.views import subscription_page, with_troubles

    ctx = context(typer_ctx)
    with ctx.ledger.reading() as reader:
        current = subscriptions.find(reader, subscription, ctx.now)
        email = customers.billing_email(reader, current.customer_id)
        next_term = subscriptions.planned(reader, current.id)
        plan_policy = plans.find(reader, current.plan_slug).policy
    page = with_troubles(subscription_page(current, email, next_term, plan_policy), current, ctx.now)
    ctx.emit_one(page, SHOW_COLUMNS, handle="name")


@app.command()
def rename(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.", show_default=False)],
) -> None:
    """Rename a subscription, in the ledger and in Stripe.

    Examples:
      seatctl subs rename design design-eu
    """
    from seatctl.services.subscriptions import subscription_metadata_operation as settings

    ctx = context(typer_ctx)
    report = settings.rename(ctx.ledger, ctx.billing, ctx.call, subscription, name)
    ctx.emit(report, handle="name")


SeatsArg = Annotated[int, typer.Argument(metavar="N", min=1, help="How many seats.", show_default=False)]
RevokeOpt = Annotated[
    DepartureRule | None,
    typer.Option("--revoke", help="Whose seats to revoke if there are more people than seats."),
]
RevokeFromOpt = Annotated[
    str | None, typer.Option("--revoke-from", metavar="FILE|-", help="The people whose seats to revoke.")
]


@app.command("add-seats")
def add_seats(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    seats: SeatsArg,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
    on_account: OnAccountOpt = False,
) -> None:
    """Buy N more seats; they can be used immediately.

    The plan's policy decides what is charged now; Stripe's preview is shown before you confirm.

    Examples:
      seatctl subs add-seats design 5
      seatctl subs add-seats design 5 --max-spend 60.00 --yes --request-id order-7781
      seatctl subs add-seats design 5 --dry-run
    """
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.subscriptions.change_operation import prepare_added_seats
    from seatctl.services.subscriptions.proposal import ChangeOptions

    ctx = context(typer_ctx)
    options = ChangeOptions(max_spend, request_id, promo, coupon, on_account)
    confirm_and_submit(
        ctx, prepare_added_seats(ctx.ledger, ctx.billing, ctx.call, subscription, seats, options), max_spend
    )


@app.command("set-seats")
def set_seats(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    seats: SeatsArg,
    revoke: RevokeOpt = None,
    revoke_from: RevokeFromOpt = None,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Set the total number of seats: more at once, fewer when the policy allows it.

    If there are fewer seats than people, say whose seats to revoke. If the seats are paid for until the
    renewal, they keep theirs until then.

    Examples:
      seatctl subs set-seats design 30
      seatctl subs set-seats design 10 --revoke newest
      seatctl subs set-seats design 10 --revoke-from leavers.csv --dry-run
    """
    from seatctl.cli.confirm import confirm_and_submit, departures_of
    from seatctl.services.subscriptions.change_operation import prepare_seat_total
    from seatctl.services.subscriptions.proposal import ChangeOptions

    ctx = context(typer_ctx)
    departures = departures_of(ctx, subscription, seats, revoke, revoke_from)
    options = ChangeOptions(max_spend, request_id)
    proposal = prepare_seat_total(ctx.ledger, ctx.billing, ctx.call, subscription, seats, options, departures)
    confirm_and_submit(ctx, proposal, max_spend)


@app.command("change-plan")
def change_plan(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    plan: Annotated[str, typer.Argument(metavar="PLAN", help="The new plan.", show_default=False)],
    at_renewal: Annotated[
        bool, typer.Option("--at-renewal", help="Change at the start of the next term, not now.")
    ] = False,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
) -> None:
    """Change to another plan, now or at the renewal.

    Examples:
      seatctl subs change-plan design team
      seatctl subs change-plan design pro --at-renewal
    """
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.subscriptions.change_operation import prepare_plan_change
    from seatctl.services.subscriptions.proposal import ChangeOptions

    ctx = context(typer_ctx)
    options = ChangeOptions(max_spend, request_id, promo, coupon)
    proposal = prepare_plan_change(
        ctx.ledger, ctx.billing, ctx.call, subscription, plan, options, at_renewal=at_renewal
    )
    confirm_and_submit(ctx, proposal, max_spend)


@app.command()
def renew(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    seats: Annotated[
        int | None, typer.Option("--seats", metavar="N", min=1, help="The seats of the next term.")
    ] = None,
    plan: Annotated[
        str | None, typer.Option("--plan", metavar="PLAN", help="The plan of the next term.")
    ] = None,
    revoke: RevokeOpt = None,
    revoke_from: RevokeFromOpt = None,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
    on_account: OnAccountOpt = False,
    due_in: DueInOpt = None,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Pay the next term of a subscription that does not renew by itself.

    Only within the renewal window. The seats of the running term hold until its end.

    Examples:
      seatctl subs renew design
      seatctl subs renew design --seats 40 --plan team-plus
      seatctl subs renew design --on-account --due-in 30d --dry-run
    """
    from seatctl.cli.confirm import confirm_and_submit, departures_of, due_days
    from seatctl.services.charging.discounts import find_discounts
    from seatctl.services.subscriptions.proposal import ChangeOptions
    from seatctl.services.subscriptions.renew_operation import RenewalOptions, prepare_renewal

    ctx = context(typer_ctx)
    renewal = RenewalOptions(
        seats,
        plan,
        find_discounts(ctx.billing, promo, coupon),
        due_days(on_account, due_in),
        departures_of(ctx, subscription, seats, revoke, revoke_from),
    )
    proposal = prepare_renewal(
        ctx.ledger, ctx.billing, ctx.call, subscription, renewal, ChangeOptions(max_spend, request_id)
    )
    confirm_and_submit(ctx, proposal, max_spend)
