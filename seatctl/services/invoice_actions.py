"""`invoices pay`, `send`, `void`: operations on one invoice that Stripe holds."""

from __future__ import annotations

from dataclasses import dataclass

from seatctl.billing import endpoints, listings
from seatctl.billing.objects import read_invoice
from seatctl.billing.port import AuthenticationRequired, Billing, StripeJson, Write
from seatctl.errors import JsonValue, NotAllowed, Refused, StripeRefused
from seatctl.ledger import invoices, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Transaction
from seatctl.models.call import Call
from seatctl.models.invoice import Invoice, InvoiceStatus
from seatctl.models.mirrored import Kind
from seatctl.models.report import Report
from seatctl.models.role import Action
from seatctl.models.stripe_objects import StripeInvoice
from seatctl.rules.assignment import require_home
from seatctl.rules.purchases import check_payment_method, check_spend
from seatctl.services.applying import take_over
from seatctl.services.invoice_rows import invoice_row
from seatctl.services.operations import Apply, Ending, Handler, Request, WaitingForCardholder, submit
from seatctl.services.permissions import allow
from seatctl.services.steps import KEYS_LAST, CameToNothing, Running

COLUMNS = (
    "number",
    "subscription",
    "status",
    "total",
    "amount_paid",
    "amount_remaining",
    "currency",
    "result",
)

_VERBS = {"pay": "paid", "send": "sent", "void": "voided"}
_POSSIBLE = {
    "pay": {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE},
    "send": {InvoiceStatus.OPEN, InvoiceStatus.DRAFT},
    "void": {InvoiceStatus.OPEN, InvoiceStatus.UNCOLLECTIBLE},
}
_DONE = {"pay": InvoiceStatus.PAID, "void": InvoiceStatus.VOID}


class InvoiceState(Refused):
    """The invoice is in a state in which this cannot be done."""

    code = "invoice_state"


@dataclass(frozen=True, slots=True)
class Intended:
    """An invoice as Stripe has it now, and what is to be done with it."""

    verb: str
    invoice: Invoice
    now: StripeInvoice
    payment_method: str | None = None
    already: bool = False

    @property
    def due(self) -> int:
        """What would be charged, in minor units."""
        return self.now.amount_remaining if self.verb == "pay" else 0


def prepare(
    ledger: Ledger,
    billing: Billing,
    call: Call,
    verb: str,
    handle: str,
    *,
    payment_method: str | None = None,
    max_spend: str | None = None,
) -> Intended:
    """Look at the invoice in Stripe and decide. Raises UnknownInvoice, InvoiceState, ForeignLedger, …"""
    if payment_method is not None:
        check_payment_method(payment_method)
    with ledger.reading() as reader:
        invoice = invoices.find(reader, handle)
        found = invoices.pool_of(reader, invoice.id)
        pool = None if found is None else subscriptions.by_id(reader, found, call.now)
        allow(reader, call.actor, Action.MANAGE_SUBSCRIPTION, pool)
    if pool is not None:
        require_home(pool, ledger.id)
    now = read_invoice(billing.read(listings.one(Kind.INVOICE, invoice.stripe_id)))
    already = now.status is _DONE.get(verb)
    if not already:
        _require_possible(verb, invoice, now)
        check_spend(now.amount_remaining if verb == "pay" else 0, now.currency, max_spend)
    return Intended(verb, invoice, now, payment_method, already)


def _require_possible(verb: str, invoice: Invoice, now: StripeInvoice) -> None:
    if now.status in _POSSIBLE[verb]:
        return
    name = now.number or now.id
    raise InvoiceState(
        f"{name} is {now.status}; it cannot be {_VERBS[verb]}",
        hint=f"seatctl invoices show {name}",
        data={"invoice": invoice.stripe_id, "status": now.status.value},
    )


def carry_out(ledger: Ledger, billing: Billing, call: Call, intended: Intended) -> Report:
    """Do it. Raises CardDeclined (nothing has changed then), WaitingForCardholder."""
    name = intended.now.number or intended.now.id
    verb, row = intended.verb, invoice_row(intended.invoice)
    if intended.already:
        return Report(
            None, call.dry_run, f"{name} is {intended.now.status} already", (row,), columns=COLUMNS[:-1]
        )
    if call.dry_run:
        result = {**row, "result": f"would be {_VERBS[verb]}"}
        return Report(None, True, f"would have {name} {_VERBS[verb]}", (result,), columns=COLUMNS)
    with ledger.reading() as reader:
        pool = invoices.pool_of(reader, intended.invoice.id)
    asked: dict[str, JsonValue] = {
        "verb": verb,
        "invoice": intended.invoice.stripe_id,
        "payment_method": intended.payment_method,
    }
    details: dict[str, JsonValue] = {
        "invoice": intended.invoice.stripe_id,
        "subscription": pool,
        "summary": f"{_VERBS[verb]} {name}",
    }
    request = Request(
        f"invoice_{verb}",
        asked,
        details,
        subscription_id=pool,
        reserved_name=None if pool is not None else f"invoice:{intended.invoice.stripe_id}",
    )
    return submit(ledger, billing, call, request, lambda _: None)


def _run(running: Running) -> Apply:
    invoice, verb = str(running.payload["invoice"]), running.operation.kind.removeprefix("invoice_")
    if verb == "pay":
        _pay(running, invoice)
    elif verb == "send":
        _settle(running, "send", endpoints.send_invoice(invoice), None)
    else:
        _settle(running, "void", endpoints.void_invoice(invoice), InvoiceStatus.VOID)
    if running.payload.get("subscription") is not None:
        return take_over(running, [invoice], str(running.payload["summary"]))
    found = read_invoice(running.billing.read(listings.one(Kind.INVOICE, invoice)))

    def apply(tx: Transaction) -> Ending:
        kept = invoices.mirror(tx, found)
        row = {**invoice_row(invoices.find(tx, found.id)), "result": "done"}
        tx.record("invoice", kept, None, {"status": found.status.value})
        return Ending(str(running.payload["summary"]), (row,), COLUMNS)

    return apply


def _settle(running: Running, step: str, write: Write, done: InvoiceStatus | None) -> None:
    """A step that Stripe refuses without having changed anything."""
    invoice = str(running.payload["invoice"])

    def find() -> StripeJson | None:
        found = running.billing.read(endpoints.invoice(invoice))
        return found if done is not None and found.get("status") == done.value else None

    running.step_or_nothing(step, write, find)


def _pay(running: Running, invoice: str) -> None:
    """Charge now. A refusal leaves the invoice as it was: open."""
    asked = running.payload["asked"]
    card = asked.get("payment_method") if isinstance(asked, dict) else None
    form: dict[str, JsonValue] = {"off_session": True, **({"payment_method": card} if card else {})}

    def find() -> StripeJson | None:
        found = running.billing.read(endpoints.invoice(invoice))
        return found if found.get("status") == "paid" else None

    try:
        running.step("pay", endpoints.pay_invoice(invoice, form), find)
    except AuthenticationRequired:
        _wait(running, invoice)
    except (StripeRefused, NotAllowed) as refusal:
        if find() is None:
            raise CameToNothing(refusal) from refusal


def _wait(running: Running, invoice: str) -> None:
    """Return once it was paid on its page. For 23 hours; then the invoice stays open, and that was it."""
    found = read_invoice(running.billing.read(endpoints.invoice(invoice)))
    if found.status is InvoiceStatus.PAID:
        return
    if found.status is InvoiceStatus.OPEN and running.call.now - running.operation.created_at < KEYS_LAST:
        raise WaitingForCardholder(
            f"the bank wants the cardholder to authenticate: {found.hosted_url}",
            hint="open the page, then: seatctl sync",
            data={"url": found.hosted_url, "run": running.operation.run},
        )
    raise CameToNothing(StripeRefused("the payment was not authenticated in time; nothing was charged"))


def _undo(running: Running) -> str | None:
    """Nobody is charged a day late, or after it was abandoned; what was paid, sent or voided is finished."""
    if running.operation.kind != "invoice_pay":
        return None
    found = read_invoice(running.billing.read(endpoints.invoice(str(running.payload["invoice"]))))
    return None if found.status is InvoiceStatus.PAID else "nothing was charged; the invoice is as it was"


HANDLER = Handler(_run, _undo)
