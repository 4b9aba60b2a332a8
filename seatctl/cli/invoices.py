"""`seatctl invoices`: the mirror of Stripe's invoices."""

from __future__ import annotations

from typing import Annotated

from seatctl.app.context import Context
from seatctl.cli.framework.commands import (
    Commands,
    MaxSpendOpt,
    OptionalSubscriptionArg,
    SubscriptionOpt,
    argument,
    option,
)
from seatctl.config.settings import Mode
from seatctl.errors import UsageError
from seatctl.models.invoice import InvoiceStatus
from seatctl.output.style import columns

app = Commands()

LIST_COLUMNS = columns(
    "number subscription status net tax total amount_paid amount_remaining amount_due credited refunded"
    " disputed currency created_at due_date days_late processing_until billing_reason note stripe_id",
    machine="net tax amount_due currency billing_reason stripe_id",
    titles={"number": "Invoice"},
)

SHOW_COLUMNS = columns(
    "number subscription status net tax total amount_paid amount_remaining amount_due credited refunded"
    " disputed currency created_at due_date days_late processing_until billing_reason note hosted_url"
    " stripe_id billed_to items totals lines taxes discounts payments paid_outside_stripe refunds disputes"
    " pdf",
    machine="amount_due currency lines taxes discounts payments paid_outside_stripe refunds disputes pdf",
    titles={"number": "Invoice"},
)

InvoiceArg = Annotated[str, argument("INVOICE", "The number of an invoice; the id of a draft.")]
SinceOpt = Annotated[str | None, option("--since DATE", "Made on or after this day, such as 2026-01-31.")]
UntilOpt = Annotated[str | None, option("--until DATE", "Made on or before this day.")]


@app.command("list")
def list_invoices(
    ctx: Context,
    subscription: OptionalSubscriptionArg = None,
    status: Annotated[InvoiceStatus | None, option("--status", "Only invoices with this status.")] = None,
    unpaid: Annotated[bool, option("--unpaid", "Only invoices not fully paid.")] = False,
    overdue: Annotated[bool, option("--overdue", "Only unpaid invoices past their due date.")] = False,
    since: SinceOpt = None,
    until: UntilOpt = None,
) -> None:
    """List invoices, newest first.

    Examples:
      seatctl invoices list
      seatctl invoices list design --unpaid
      seatctl invoices list --overdue
      seatctl invoices list --since 2026-01-01 --until 2026-03-31 -o csv
    """
    from seatctl.ledger import invoices, subscriptions
    from seatctl.rules.dates import period
    from seatctl.services.invoices.views import invoice_row

    first, last = period(since, until)
    with ctx.ledger.reading() as reader:
        subscription_id = None if subscription is None else subscriptions.find(reader, subscription).id
        invoices_found = invoices.listing(
            reader,
            subscription_id=subscription_id,
            status=status,
            unpaid=unpaid,
            overdue_at=ctx.now if overdue else None,
            since=first,
            until=last,
        )
        ctx.emit_list(
            (invoice_row(reader, each, ctx.now) for each in invoices_found), LIST_COLUMNS, handle="number"
        )


@app.command()
def show(
    ctx: Context,
    invoice: InvoiceArg,
    web: Annotated[bool, option("--web", "Open its page at Stripe in the browser.")] = False,
) -> None:
    """Show an invoice with its lines, tax, discounts and payments.

    With --web, the invoice is read from Stripe first, because the address of its page expires.

    Examples:
      seatctl invoices show 2UDAQ1CF-0001
      seatctl invoices show 2UDAQ1CF-0001 --web
    """
    from seatctl.ledger import invoices
    from seatctl.services.invoices.views import invoice_page

    if web:
        from seatctl.cli.invoice_files import open_page

        open_page(ctx, invoice)
        return
    with ctx.ledger.reading() as reader:
        invoices_found = invoices.find(reader, invoice)
        page = invoice_page(reader, invoices_found, invoices.lines(reader, invoices_found.id), ctx.now)
    ctx.emit_one(page, SHOW_COLUMNS, handle="number")


@app.command()
def download(
    ctx: Context,
    invoice: Annotated[str | None, argument("[INVOICE]", "One invoice; without it, a period.")] = None,
    subscription: SubscriptionOpt = None,
    since: SinceOpt = None,
    until: UntilOpt = None,
    to: Annotated[str | None, option("--to PATH", "A file for one invoice, a folder for a period.")] = None,
) -> None:
    """Download invoices as PDF: one, or those of a period into a folder.

    Existing files are not downloaded again, so that an interrupted download continues where it stopped.

    Examples:
      seatctl invoices download 2UDAQ1CF-0001
      seatctl invoices download --since 2026-01-01 --until 2026-03-31 --to quarter
    """
    from seatctl.cli.invoice_files import download_one, download_period

    if invoice is not None and (subscription or since or until):
        raise UsageError("name one invoice, or a period with --since and --until")
    if invoice is not None:
        download_one(ctx, invoice, to)
        return
    if since is None and until is None and subscription is None:
        raise UsageError("name an invoice, or a period", hint="seatctl invoices download --since 2026-01-01")
    download_period(ctx, subscription, since, until, to)


@app.command()
def pay(
    ctx: Context,
    invoice: InvoiceArg,
    payment_method: Annotated[
        str | None, option("--payment-method PM", "A card other than the default one.")
    ] = None,
    max_spend: MaxSpendOpt = None,
) -> None:
    """Charge the card for an open invoice now.

    Examples:
      seatctl invoices pay 2UDAQ1CF-0002
      seatctl invoices pay 2UDAQ1CF-0002 --payment-method pm_card_visa --yes
    """
    _act(ctx, "pay", invoice, payment_method, max_spend)


@app.command()
def send(ctx: Context, invoice: InvoiceArg) -> None:
    """Have Stripe mail an invoice to the customer. In test mode and in the sandbox, no mail is sent.

    Examples:
      seatctl invoices send 2UDAQ1CF-0002
    """
    _act(ctx, "send", invoice)


@app.command()
def void(ctx: Context, invoice: InvoiceArg) -> None:
    """Void an open invoice: nobody has to pay it any more.

    Examples:
      seatctl invoices void 2UDAQ1CF-0002 --yes
    """
    _act(ctx, "void", invoice)


def _act(
    ctx: Context, verb: str, invoice: str, payment_method: str | None = None, max_spend: str | None = None
) -> None:
    from seatctl.cli.confirm import confirm_and_submit
    from seatctl.services.invoices.invoice_operation import prepare

    proposal = prepare(
        ctx.ledger,
        ctx.billing,
        ctx.call,
        verb,
        invoice,
        payment_method=payment_method,
        max_spend=max_spend,
    )
    confirm_and_submit(ctx, proposal, max_spend, handle="number")
    if verb == "send" and not ctx.options.dry_run and ctx.profile.mode is not Mode.LIVE:
        ctx.note("outside live mode Stripe sends no mails")
