"""`seatctl subs billing`: who pays for a subscription, and with which card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from seatctl.cli.framework.options import (
    MaxSpendOpt,
    PaymentMethodOpt,
    RequestIdOpt,
    SubscriptionArg,
    context,
)
from seatctl.output.columns import columns

if TYPE_CHECKING:
    from seatctl.app.context import Context
    from seatctl.rules.billing_details import Details

COLUMNS = columns(
    "name billing_email billing_name address tax_ids collection card payment_method unpaid shared_with"
    " customer",
    machine="payment_method",
    titles={"name": "Subscription"},
)
PORTAL_COLUMNS = columns("name url", titles={"name": "Subscription", "url": "Page"})


def billing(
    typer_ctx: typer.Context,
    subscription: SubscriptionArg,
    email: Annotated[
        str | None, typer.Option("--email", metavar="EMAIL", help="The address for invoices and receipts.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", metavar="NAME", help="The name on invoices.")] = None,
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address",
            metavar="PART=VALUE",
            help="One part: line1, line2, city, state, postal_code or country (two letters).",
        ),
    ] = None,
    tax_id: Annotated[
        list[str] | None,
        typer.Option("--tax-id", metavar="TYPE:VALUE", help="A tax id to add, such as eu_vat:DE123456789."),
    ] = None,
    payment_method: PaymentMethodOpt = None,
    portal: Annotated[
        bool, typer.Option("--portal", help="Print the address of a page where the customer can change them.")
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
    from seatctl.errors import UsageError
    from seatctl.rules.billing_details import read_details

    ctx = context(typer_ctx)
    details = read_details(email, name, address or [], tax_id or [], payment_method)
    if portal:
        if details:
            raise UsageError("--portal cannot be used with other changes", hint="use --portal alone")
        _portal(ctx, subscription)
    elif details:
        _change(ctx, subscription, details, max_spend, request_id)
    else:
        _show(ctx, subscription)


def _show(ctx: Context, subscription: str) -> None:
    from seatctl.services.subscriptions.billing_operation import show

    ctx.emit_one(show(ctx.ledger, ctx.billing, ctx.call, subscription), COLUMNS, handle="billing_email")


def _change(
    ctx: Context, subscription: str, details: Details, max_spend: str | None, request_id: str | None
) -> None:
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.subscriptions.billing_operation import prepare_billing
    from seatctl.services.subscriptions.proposal import ChangeOptions

    options = ChangeOptions(max_spend, request_id)
    proposal = prepare_billing(ctx.ledger, ctx.billing, ctx.call, subscription, details, options)
    confirm_and_submit(ctx, proposal, max_spend)


def _portal(ctx: Context, subscription: str) -> None:
    from seatctl.services.subscriptions.portal import open_portal

    record = open_portal(ctx.ledger, ctx.billing, ctx.call, subscription)
    ctx.emit_one(record, PORTAL_COLUMNS, handle="url")
