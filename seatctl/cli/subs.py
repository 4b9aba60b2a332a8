"""`seatctl subs`: buying subscriptions and looking at them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.options import MaxSpendOpt, RequestIdOpt, SubscriptionArg, context
from seatctl.output import Column

if TYPE_CHECKING:
    from seatctl.context import Context
    from seatctl.models.purchase import Quote

app = typer.Typer()

LIST_COLUMNS = (
    Column("name", "Subscription"),
    Column("plan", "Plan"),
    Column("status", "Status"),
    Column("seats", "Seats", "integer"),
    Column("assigned", "Assigned", "integer"),
    Column("free", "Free", "integer"),
    Column("over_assigned", "Over", "integer", table=False),
    Column("owner", "Owner"),
    Column("unit_amount", "Seat price", "money"),
    Column("currency", "Currency", table=False),
    Column("term_start", "Term start", "time", table=False),
    Column("term_end", "Term ends", "time"),
    Column("ends", "Ends", "flag", table=False),
    Column("auto_approve", "Auto-approval", "flag", table=False),
    Column("stripe_subscription", "Stripe id", table=False),
)

SHOW_COLUMNS = (
    *LIST_COLUMNS[:6],
    Column("over_assigned", "Over-assigned", "integer"),
    Column("owner", "Owner"),
    Column("billing_email", "Billed to"),
    Column("unit_amount", "Seat price", "money"),
    Column("currency", "Currency", table=False),
    Column("term_start", "Term start", "time"),
    Column("term_end", "Term ends", "time"),
    Column("ends", "Canceled", "flag"),
    Column("auto_approve", "Automatic approval", "flag"),
    Column("rules", "Policy", "list"),
    Column("calendar", "Calendar", "list"),
    Column("stripe_subscription", "Stripe id"),
    Column("stripe_item", "Stripe item", table=False),
    Column("auto_approval", "Approval rules", "list", table=False),
    Column("policy", "Fields", "list", table=False),
    Column("home_ledger", "Home ledger", table=False),
)


@app.command("list")
def list_subscriptions(
    ctx: typer.Context,
    plan: Annotated[str | None, typer.Option("--plan", metavar="PLAN", help="Only of this plan.")] = None,
) -> None:
    """List subscriptions with their seats.

    Examples:
      seatctl subs list
      seatctl subs list --plan pro -o json
    """
    from seatctl.ledger import plans, subscriptions
    from seatctl.services.subscription_rows import subscription_row

    here = context(ctx)
    with here.ledger.reading() as reader:
        slug = None if plan is None else plans.find(reader, plan).slug
        found = subscriptions.listing(reader, here.now, plan=slug)
        here.emit_list((subscription_row(one) for one in found), LIST_COLUMNS, handle="name")


@app.command()
def show(ctx: typer.Context, subscription: SubscriptionArg) -> None:
    """Show everything about a subscription, and its policy with its dates.

    Examples:
      seatctl subs show design
    """
    from seatctl.ledger import customers, subscriptions
    from seatctl.services.subscription_rows import subscription_page

    here = context(ctx)
    with here.ledger.reading() as reader:
        found = subscriptions.find(reader, subscription, here.now)
        email = customers.billing_email(reader, found.customer_id)
    here.emit_one(subscription_page(found, email), SHOW_COLUMNS, handle="name")


@app.command()
def buy(
    ctx: typer.Context,
    plan: Annotated[str | None, typer.Option("--plan", metavar="PLAN", help="What is bought.")] = None,
    seats: Annotated[int | None, typer.Option("--seats", metavar="N", min=1, help="How many.")] = None,
    name: Annotated[
        str | None, typer.Option("--name", metavar="NAME", help="What the subscription is called here.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="EMAIL", help="Who runs it; made a user if unknown.")
    ] = None,
    billing_email: Annotated[
        str | None, typer.Option("--billing-email", metavar="EMAIL", help="Where invoices go.")
    ] = None,
    billing_name: Annotated[
        str | None, typer.Option("--billing-name", metavar="NAME", help="Whom invoices are made out to.")
    ] = None,
    payment_method: Annotated[
        str | None,
        typer.Option("--payment-method", metavar="ID", help="A saved pm_… or a tok_…, never a card number."),
    ] = None,
    bill_to: Annotated[
        str | None,
        typer.Option(
            "--bill-to", metavar="SUBSCRIPTION", help="Charge that subscription's customer and card."
        ),
    ] = None,
    max_spend: MaxSpendOpt = None,
    request_id: RequestIdOpt = None,
) -> None:
    """Buy a subscription by card; it can be used at once.

    What Stripe will charge is shown before the question. A declined card leaves nothing behind, and the
    same command again after an interruption finishes the purchase instead of making a second one.

    Examples:
      seatctl subs buy
      seatctl subs buy --plan pro --seats 25 --name design --owner ann@example.com \\
        --billing-email pay@example.com --payment-method pm_card_visa --yes
      seatctl subs buy --plan pro --seats 5 --name lab --bill-to design --dry-run
    """
    from seatctl.cli.buying import complete
    from seatctl.models.purchase import Order
    from seatctl.services import subscriptions

    here = context(ctx)
    order = complete(
        here,
        Order(
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
        ),
    )
    purchase = subscriptions.prepare(here.ledger, here.billing, here.call, order)
    if not here.options.dry_run:
        _require_limit(here, max_spend)
        here.confirm(_question(here, purchase.quote))
    here.emit(subscriptions.buy(here.ledger, here.billing, here.call, purchase), handle="name")


def _require_limit(here: Context, max_spend: str | None) -> None:
    """Nobody reads a preview where there is no terminal: with live money a limit must be given."""
    from seatctl.errors import UsageError
    from seatctl.settings import Mode

    if here.profile.mode is Mode.LIVE and not here.interactive and max_spend is None:
        raise UsageError(
            "in live mode --max-spend is required when not running interactively",
            hint="add --max-spend with the most that may be charged now",
            data={"flag": "--max-spend"},
        )


def _question(here: Context, quote: Quote) -> str:
    from seatctl.models.money import plain_amount

    if not here.interactive:
        return "Buy?"  # nobody reads it, and stderr is then free for what a program reads: the error
    code = quote.currency.upper()
    each, due = plain_amount(quote.unit_amount, quote.currency), plain_amount(quote.due_now, quote.currency)
    here.note(f"{quote.seats} seats of {quote.plan} as {quote.name}, {each} {code} a seat.")
    here.note(f"Stripe will charge {due} {code} now; the term ends {quote.renews_at[:10]}.")
    return "Buy?"


@app.command()
def rename(
    ctx: typer.Context,
    subscription: SubscriptionArg,
    name: Annotated[str, typer.Argument(metavar="NAME", help="The new name.", show_default=False)],
) -> None:
    """Give a subscription another name, here and in Stripe.

    Examples:
      seatctl subs rename design design-eu
    """
    from seatctl.services import subscriptions

    here = context(ctx)
    report = subscriptions.rename(here.ledger, here.billing, here.call, subscription, name)
    here.emit(report, handle="name")
