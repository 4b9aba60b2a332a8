"""`seatctl invoices`: the mirror of Stripe's invoices."""

from __future__ import annotations

from typing import Annotated

import typer

from seatctl.cli.options import OptionalSubscriptionArg, context
from seatctl.models.invoice import InvoiceStatus
from seatctl.output import Column

app = typer.Typer()

LIST_COLUMNS = (
    Column("number", "Invoice"),
    Column("subscription", "Subscription"),
    Column("status", "Status"),
    Column("total", "Total", "money"),
    Column("amount_paid", "Paid", "money"),
    Column("amount_remaining", "Open", "money"),
    Column("amount_due", "Due", "money", table=False),
    Column("currency", "Currency", table=False),
    Column("created_at", "Made", "time"),
    Column("due_date", "Due by", "time", table=False),
    Column("billing_reason", "Reason", table=False),
    Column("stripe_id", "Stripe id", table=False),
)

SHOW_COLUMNS = (
    *LIST_COLUMNS[:7],
    Column("currency", "Currency", table=False),
    Column("created_at", "Made", "time"),
    Column("due_date", "Due by", "time"),
    Column("billing_reason", "Reason"),
    Column("hosted_url", "Page"),
    Column("stripe_id", "Stripe id"),
    Column("items", "Lines", "lines"),
    Column("lines", "Lines", "list", table=False),
)


@app.command("list")
def list_invoices(
    ctx: typer.Context,
    subscription: OptionalSubscriptionArg = None,
    status: Annotated[InvoiceStatus | None, typer.Option("--status", help="Only these.")] = None,
    unpaid: Annotated[bool, typer.Option("--unpaid", help="Only those with money still open.")] = False,
) -> None:
    """List invoices, newest first.

    Examples:
      seatctl invoices list
      seatctl invoices list design --unpaid
      seatctl invoices list --status paid -o csv
    """
    from seatctl.ledger import invoices, subscriptions
    from seatctl.services.invoice_rows import invoice_row

    here = context(ctx)
    with here.ledger.reading() as reader:
        pool = None if subscription is None else subscriptions.find(reader, subscription).id
        found = invoices.listing(reader, subscription_id=pool, status=status, unpaid=unpaid)
        here.emit_list((invoice_row(one) for one in found), LIST_COLUMNS, handle="number")


@app.command()
def show(
    ctx: typer.Context,
    invoice: Annotated[
        str, typer.Argument(metavar="INVOICE", help="By number; a draft by its id.", show_default=False)
    ],
) -> None:
    """Show an invoice with its lines.

    Examples:
      seatctl invoices show 2UDAQ1CF-0001
    """
    from seatctl.ledger import invoices
    from seatctl.services.invoice_rows import invoice_page

    here = context(ctx)
    with here.ledger.reading() as reader:
        found = invoices.find(reader, invoice)
        page = invoice_page(found, invoices.lines(reader, found.id))
    here.emit_one(page, SHOW_COLUMNS, handle="number")
