"""`seatctl subs`: buy, list, show, change and end subscriptions; `buy` has its questions in its own file."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

from seatctl.app.context import Context
from seatctl.cli.confirm import confirm, confirm_and_submit, departures_of, due_days
from seatctl.cli.framework.commands import (
    Commands,
    CouponOpt,
    DueInOpt,
    EmailArg,
    MaxSpendOpt,
    OnAccountOpt,
    PaymentMethodOpt,
    PromoOpt,
    RequestIdOpt,
    SubscriptionArg,
    argument,
    option,
)
from seatctl.errors import UsageError
from seatctl.models.collection import PauseBehavior
from seatctl.models.departure import DepartureRule
from seatctl.output.style import columns

if TYPE_CHECKING:
    from seatctl.models.report import Report
    from seatctl.services.operations.submit import Proposal
    from seatctl.services.subscriptions.snapshot import ChangeRequest

app = Commands()

LIST_COLUMNS = columns(
    "name plan status seats assigned free over_assigned owner unit_amount currency term_start term_end"
    " ends ends_at auto_approve attention ways_out stripe_subscription",
    machine="over_assigned currency term_start ends auto_approve ways_out stripe_subscription",
    wide="owner unit_amount",
)

SHOW_COLUMNS = columns(
    "name plan status seats assigned free attention ways_out next_seats next_plan over_assigned owner"
    " billing_email unit_amount currency term_start term_end ends ends_at auto_approve rules calendar"
    " billing_mode trial pause schedule stripe_subscription stripe_item auto_approval policy home_ledger",
    machine="next_seats next_plan currency ends trial pause schedule stripe_item auto_approval policy"
    " home_ledger",
)

BILLING_COLUMNS = columns(
    "name billing_email billing_name address tax_ids collection card payment_method unpaid shared_with"
    " customer",
    machine="payment_method",
    titles={"name": "Subscription"},
)
PORTAL_COLUMNS = columns("name url", titles={"name": "Subscription", "url": "Page"})


@app.command("list")
def list_subscriptions(
    ctx: Context,
    plan: Annotated[str | None, option("--plan PLAN", "Only subscriptions of this plan.")] = None,
) -> None:
    """List subscriptions with their seats.

    The status is Stripe's; `paid` means that it was paid by `subs renew`. A subscription that
    does not renew by itself has an end.

    Examples:
      seatctl subs list
      seatctl subs list --plan pro -o json
    """
    from seatctl.ledger import plans, subscriptions
    from seatctl.services.plans.prices import priced
    from seatctl.services.subscriptions.views import subscription_row, with_troubles

    with ctx.ledger.reading() as reader:
        slug = None if plan is None else plans.find(reader, plan).slug
        subscriptions_found = subscriptions.listing(reader, ctx.now, plan=slug)
        rows = (
            with_troubles(priced(reader, subscription_row(each), each), each, ctx.now)
            for each in subscriptions_found
        )
        ctx.emit_list(rows, LIST_COLUMNS, handle="name")


@app.command()
def show(ctx: Context, subscription: SubscriptionArg) -> None:
    """Show a subscription in full, and its policy with its dates.

    Examples:
      seatctl subs show design
    """
    from seatctl.ledger import plans, subscriptions
    from seatctl.ledger.mirror import customers
    from seatctl.ledger.trials import trial_and_schedule
    from seatctl.services.plans.prices import priced
    from seatctl.services.subscriptions.views import subscription_page, with_troubles

    with ctx.ledger.reading() as reader:
        current = subscriptions.find(reader, subscription, ctx.now)
        email = customers.billing_email(reader, current.customer_id)
        next_term = subscriptions.planned(reader, current.id)
        plan_policy = plans.find(reader, current.plan_slug).policy
        billing_mode = subscriptions.billing_mode(reader, current.id)
        more = trial_and_schedule(reader, current.id)
        page = priced(reader, subscription_page(current, email, next_term, plan_policy, more), current)
    page = with_troubles(page, current, ctx.now)
    ctx.emit_one({**page, "billing_mode": billing_mode}, SHOW_COLUMNS, handle="name")


@app.command()
def buy(
    ctx: Context,
    plan: Annotated[str | None, option("--plan PLAN", "The plan to buy.")] = None,
    seats: Annotated[int | None, option("--seats N", "The number of seats.", min=1)] = None,
    name: Annotated[str | None, option("--name NAME", "The name of the subscription in this ledger.")] = None,
    owner: Annotated[
        str | None, option("--owner EMAIL", "Who runs the subscription; added as a user if unknown.")
    ] = None,
    billing_email: Annotated[str | None, option("--billing-email EMAIL", "The address for invoices.")] = None,
    billing_name: Annotated[str | None, option("--billing-name NAME", "The name on invoices.")] = None,
    address: Annotated[
        list[str] | None,
        option(
            "--address PART=VALUE",
            "A part of the payer's address: line1, city, postal_code, country … Stripe's tax needs one.",
        ),
    ] = None,
    tax_id: Annotated[
        list[str] | None, option("--tax-id TYPE:VALUE", "A tax id of the payer, such as eu_vat:DE123456789.")
    ] = None,
    payment_method: PaymentMethodOpt = None,
    bill_to: Annotated[
        str | None, option("--bill-to SUBSCRIPTION", "Charge that subscription's customer and card.")
    ] = None,
    checkout: Annotated[bool, option("--checkout", "Pay on Stripe's page; print its address.")] = False,
    wait: Annotated[bool, option("--wait", "Wait until the page is completed.")] = False,
    currency: Annotated[
        str | None, option("--currency CODE", "One of the plan's currencies; by default its first one.")
    ] = None,
    on_account: OnAccountOpt = False,
    due_in: DueInOpt = None,
    no_card: Annotated[
        bool, option("--no-card", "Begin the plan's trial without a card, if the plan allows it.")
    ] = False,
    no_trial: Annotated[bool, option("--no-trial", "Leave out the plan's trial: pay at once.")] = False,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Buy a subscription; it can be used immediately.

    What Stripe will charge is shown before you confirm. A declined card leaves nothing behind. After an
    interruption, the same command finishes the purchase instead of making a second one. If the plan has a
    trial, it begins with it.

    Examples:
      seatctl subs buy
      seatctl subs buy --plan pro --seats 25 --name design --owner ann@example.com \\
        --billing-email pay@example.com --payment-method pm_card_visa --yes
      seatctl subs buy --plan pro --seats 5 --name lab --bill-to design --dry-run
      seatctl subs buy --plan pro --seats 5 --name lab --checkout --wait
      seatctl subs buy --plan pro --seats 5 --name lab --billing-email pay@example.com \\
        --on-account --due-in 30d --promo SPRING
      seatctl subs buy --plan try --seats 5 --name lab --billing-email pay@example.com --no-card
      seatctl subs buy --plan pro --seats 5 --name lab --payment-method pm_card_visa \\
        --address country=US --address postal_code=10001 --dry-run
    """
    from dataclasses import replace

    from seatctl.cli.subs_buy_prompts import complete
    from seatctl.rules.billing_details import read_address, read_tax_ids
    from seatctl.services.charging.payer import find_discounts
    from seatctl.services.purchases.order import Order, prepare

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
        tax_ids=read_tax_ids(tax_id or []),
        automatic_tax=ctx.policy.text("stripe.automatic_tax", ctx.environment) == "on",
        trial=not no_trial,
        without_card=no_card,
        currency=currency.lower() if currency else None,
    )
    order = replace(complete(ctx, order), discounts=find_discounts(ctx.billing, promo, coupon))
    proposal = prepare(ctx.ledger, ctx.billing, ctx.call, order)
    confirm(ctx, proposal, max_spend)
    ctx.emit((_follow if wait else _buy)(ctx, proposal), handle="name")


def _buy(ctx: Context, proposal: Proposal) -> Report:
    from seatctl.services.operations.submit import submit_proposal

    return submit_proposal(ctx.ledger, ctx.billing, ctx.call, proposal)


def _follow(ctx: Context, proposal: Proposal) -> Report:
    """Buy once the page is completed; nothing is locked while waiting."""
    from seatctl.services.purchases.checkout_operation import WaitingForPage, wait_for_page

    announced = False
    while True:
        try:
            return _buy(ctx, proposal)
        except WaitingForPage as waiting:
            if not announced:
                ctx.note(waiting.message)
                announced = True
            ctx.pause()
            wait_for_page(ctx.billing, waiting, time.sleep)
        ctx.reread_clock()


@app.command()
def rename(
    ctx: Context,
    subscription: SubscriptionArg,
    name: Annotated[str, argument("NAME", "The new name.")],
) -> None:
    """Rename a subscription, in the ledger and in Stripe.

    Examples:
      seatctl subs rename design design-eu
    """
    from seatctl.services.subscriptions import subscription_metadata_operation as settings

    report = settings.rename(ctx.ledger, ctx.billing, ctx.call, subscription, name)
    ctx.emit(report, handle="name")


SeatsArg = Annotated[int, argument("N", "How many seats.", min=1)]
RevokeOpt = Annotated[
    DepartureRule | None, option("--revoke", "Whose seats to revoke if there are more people than seats.")
]
RevokeFromOpt = Annotated[str | None, option("--revoke-from FILE|-", "The people whose seats to revoke.")]


def _request(
    ctx: Context,
    subscription: str,
    max_spend: str | None = None,
    request_id: str | None = None,
    promo: str | None = None,
    coupon: str | None = None,
    *,
    on_account: bool = False,
) -> ChangeRequest:
    """Return the request to change a subscription, with the options that all changes have."""
    from seatctl.services.subscriptions.snapshot import ChangeRequest

    given = (max_spend, request_id, promo, coupon, on_account)
    return ChangeRequest(ctx.ledger, ctx.billing, ctx.call, subscription, *given)


@app.command("add-seats")
def add_seats(
    ctx: Context,
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
    from seatctl.services.subscriptions.change_operation import prepare_added_seats

    change = _request(ctx, subscription, max_spend, request_id, promo, coupon, on_account=on_account)
    confirm_and_submit(ctx, prepare_added_seats(change, seats), max_spend)


@app.command("set-seats")
def set_seats(
    ctx: Context,
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
    from seatctl.services.subscriptions.change_operation import prepare_seat_total

    departures = departures_of(ctx, subscription, seats, revoke, revoke_from)
    change = _request(ctx, subscription, max_spend, request_id)
    confirm_and_submit(ctx, prepare_seat_total(change, seats, departures), max_spend)


@app.command("change-plan")
def change_plan(
    ctx: Context,
    subscription: SubscriptionArg,
    plan: Annotated[str, argument("PLAN", "The new plan.")],
    at_renewal: Annotated[
        bool, option("--at-renewal", "Change at the start of the next term, not now.")
    ] = False,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
    promo: PromoOpt = None,
    coupon: CouponOpt = None,
) -> None:
    """Change to another plan, now or at the renewal.

    A plan with another billing interval begins now: Stripe credits the rest of the term and charges the new
    one. What is due and the next renewal are shown before.

    Examples:
      seatctl subs change-plan design team
      seatctl subs change-plan design pro --at-renewal
    """
    from seatctl.services.subscriptions.change_operation import prepare_plan_change

    change = _request(ctx, subscription, max_spend, request_id, promo, coupon)
    confirm_and_submit(ctx, prepare_plan_change(change, plan, at_renewal=at_renewal), max_spend)


@app.command()
def renew(
    ctx: Context,
    subscription: SubscriptionArg,
    seats: Annotated[int | None, option("--seats N", "The seats of the next term.", min=1)] = None,
    plan: Annotated[str | None, option("--plan PLAN", "The plan of the next term.")] = None,
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
    from seatctl.services.charging.payer import find_discounts
    from seatctl.services.subscriptions.own_invoice_operation import RenewalOptions, prepare_renewal

    renewal = RenewalOptions(
        seats,
        plan,
        find_discounts(ctx.billing, promo, coupon),
        due_days(on_account, due_in),
        departures_of(ctx, subscription, seats, revoke, revoke_from),
    )
    change = _request(ctx, subscription, max_spend, request_id)
    confirm_and_submit(ctx, prepare_renewal(change, renewal), max_spend)


@app.command()
def billing(
    ctx: Context,
    subscription: SubscriptionArg,
    email: Annotated[str | None, option("--email EMAIL", "The address for invoices and receipts.")] = None,
    name: Annotated[str | None, option("--name NAME", "The name on invoices.")] = None,
    address: Annotated[
        list[str] | None,
        option(
            "--address PART=VALUE",
            "One part: line1, line2, city, state, postal_code or country (two letters).",
        ),
    ] = None,
    tax_id: Annotated[
        list[str] | None, option("--tax-id TYPE:VALUE", "A tax id to add, such as eu_vat:DE123456789.")
    ] = None,
    payment_method: PaymentMethodOpt = None,
    portal: Annotated[
        bool, option("--portal", "Print the address of a page where the customer can change them.")
    ] = False,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Show the billing details, or change the ones given.

    A new card pays the oldest unpaid invoice at once, if there is one. A declined card changes nothing.

    Examples:
      seatctl subs billing design
      seatctl subs billing design --email pay@example.com --tax-id eu_vat:DE123456789
      seatctl subs billing design --address line1='Main St 1' --address city=Bonn --address country=DE
      seatctl subs billing design --payment-method pm_card_visa
      seatctl subs billing design --portal
    """
    from seatctl.rules.billing_details import read_details
    from seatctl.services.subscriptions.billing_operation import prepare_billing
    from seatctl.services.subscriptions.billing_operation import show as show_billing
    from seatctl.services.subscriptions.customer_portal import open_portal

    details = read_details(email, name, address or [], tax_id or [], payment_method)
    if portal and details:
        raise UsageError("--portal cannot be used with other changes", hint="use --portal alone")
    if portal:
        record = open_portal(ctx.ledger, ctx.billing, ctx.call, subscription)
        ctx.emit_one(record, PORTAL_COLUMNS, handle="url")
    elif details:
        change = _request(ctx, subscription, max_spend, request_id)
        confirm_and_submit(ctx, prepare_billing(change, details), max_spend)
    else:
        record = show_billing(ctx.ledger, ctx.billing, ctx.call, subscription)
        ctx.emit_one(record, BILLING_COLUMNS, handle="billing_email")


@app.command()
def cancel(
    ctx: Context,
    subscription: SubscriptionArg,
    at_period_end: Annotated[
        bool, option("--at-period-end", "End with the paid period; the default.")
    ] = False,
    now: Annotated[bool, option("--now", "End at once: nobody is entitled any more.")] = False,
    refund: Annotated[
        bool, option("--refund", "With --now: give the unused amount back to the card.")
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
    from seatctl.services.subscriptions.cancel_operation import prepare_cancel

    if now and at_period_end:
        raise UsageError("--now and --at-period-end cannot be used together", hint="use one of them")
    if refund and not now:
        raise UsageError(
            "--refund needs --now: at the end of the period nothing is left to refund",
            hint="add --now, or leave out --refund",
        )
    confirm_and_submit(ctx, prepare_cancel(_request(ctx, subscription), now=now, refund=refund))


@app.command()
def pause(
    ctx: Context,
    subscription: SubscriptionArg,
    behavior: Annotated[
        PauseBehavior, option("--behavior", "What happens to the invoices of the time.")
    ] = PauseBehavior.KEEP_AS_DRAFT,
    until: Annotated[
        str | None, option("--until DATE", "When Stripe resumes it: a date, a time or a span such as 60d.")
    ] = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Pause the collection: people keep their seats, and Stripe charges nothing.

    Drafts can be paid later, void and uncollectible invoices need not be paid. Seats cannot be bought
    meanwhile. Without --until, it lasts until `subs resume`.

    Examples:
      seatctl subs pause design
      seatctl subs pause design --until 60d
      seatctl subs pause design --behavior void --until 2040-09-01 --dry-run
    """
    from seatctl.services.subscriptions.pause_and_resume import prepare_pause

    change = _request(ctx, subscription, request_id=request_id)
    confirm_and_submit(ctx, prepare_pause(change, behavior, until))


@app.command()
def resume(
    ctx: Context,
    subscription: SubscriptionArg,
    collection: Annotated[bool, option("--collection", "End a pause, also if it is canceled.")] = False,
    cancellation: Annotated[
        bool, option("--cancellation", "Take back the cancellation, also if its collection is paused.")
    ] = False,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Take back a cancellation at the end of the period, or end a pause.

    A pause of collection ends with the next invoice; nothing is charged now. If Stripe has paused the
    subscription because its trial ended without a card, a new period begins and is charged.

    Examples:
      seatctl subs resume design
      seatctl subs resume design --collection
      seatctl subs resume design --max-spend 60.00 --yes
    """
    from seatctl.services.subscriptions.pause_and_resume import Resumed, prepare_resume

    if collection and cancellation:
        raise UsageError("--collection and --cancellation cannot be used together", hint="use one of them")
    what = Resumed.COLLECTION if collection else Resumed.CANCELLATION if cancellation else None
    change = _request(ctx, subscription, max_spend, request_id)
    confirm_and_submit(ctx, prepare_resume(change, what), max_spend)


@app.command()
def transfer(ctx: Context, subscription: SubscriptionArg, email: EmailArg) -> None:
    """Make another user the owner of a subscription, in the ledger and in Stripe.

    Examples:
      seatctl subs transfer design bob@example.com
    """
    from seatctl.ledger import users
    from seatctl.services.subscriptions.subscription_metadata_operation import (
        transfer as transfer_subscription,
    )

    with ctx.ledger.reading() as reader:
        new_owner = users.require(reader, email)
    ctx.emit(transfer_subscription(ctx.ledger, ctx.billing, ctx.call, subscription, new_owner), handle="name")
