"""The states of an invoice: finalized, paid, void or uncollectible; with its payment and the balance."""

from __future__ import annotations

from seatctl.sandbox.billing import automatic_tax, balance
from seatctl.sandbox.billing.invoicing import compute_sums
from seatctl.sandbox.billing.payments import cancel_intent, new_intent
from seatctl.sandbox.billing.subscription_states import after_payment
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.money import apply_balance, least_charge
from seatctl.sandbox.objects import Obj, new_id, set_balance_in, subscription_of, token
from seatctl.sandbox.session import Session

# The description of an invoice's payment, by billing reason; renewals and changes are updates.
_DESCRIPTIONS = {"manual": "Payment for Invoice", "subscription_create": "Subscription creation"}


def finalize_invoice(session: Session, invoice: Obj) -> None:
    """Finalize a draft: it is open, or paid if nothing is due. It gets the customer's next invoice number."""
    customer = session.find("customer", invoice["customer"], "customer")
    before = session.view(invoice)
    currency = invoice["currency"]
    compute_sums(session, invoice)
    automatic_tax.finalize(session, invoice)
    applied = apply_balance(invoice["total"], invoice["starting_balance"], least_charge(currency))
    sequence = customer["next_invoice_sequence"]
    customer = {**customer, "next_invoice_sequence": sequence + 1}
    set_balance_in(customer, currency, applied.ending_balance)
    customer["currency"] = customer["currency"] or currency
    url = f"https://sandbox.invalid/i/test_{token(32)}"
    invoice.update(
        amount_due=applied.amount_due,
        amount_remaining=applied.amount_due,
        automatically_finalizes_at=None,
        effective_at=invoice["effective_at"] or session.now,
        ending_balance=applied.ending_balance,
        hosted_invoice_url=url,
        invoice_pdf=f"{url}/pdf",
        last_finalization_error=None,
        number=invoice["number"] or f"{customer['invoice_prefix']}-{sequence:04d}",
        status="open",
    )
    invoice["status_transitions"] = {**invoice["status_transitions"], "finalized_at": session.now}
    if invoice["_days_until_due"] is not None:
        invoice["due_date"] = session.now + invoice["_days_until_due"] * DAY
    difference = applied.ending_balance - invoice["starting_balance"]
    if difference:
        balance.record_transaction(
            session, customer, difference, "applied_to_invoice", currency=currency, invoice=invoice["id"]
        )
    session.save_changed(customer, "customer.updated")
    session.emit("invoice.updated", session.view(invoice), before)
    session.emit("invoice.finalized", session.view(invoice))
    if applied.amount_due == 0:
        mark_paid(session, invoice)
    else:
        _open_payment(session, invoice)
        session.save(invoice)


def _open_payment(session: Session, invoice: Obj) -> None:
    intent = new_intent(
        session,
        invoice["customer"],
        invoice["amount_due"],
        invoice["currency"],
        description=_DESCRIPTIONS.get(invoice["billing_reason"], "Subscription update"),
        capture_method="automatic",
        setup_future_usage="off_session" if invoice["billing_reason"] == "subscription_create" else None,
        _invoice=invoice["id"],
    )
    session.save(intent)
    payment = session.new(
        "invoice_payment",
        new_id("inpay"),
        null="amount_paid",
        amount_requested=invoice["amount_due"],
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    session.save(payment)
    session.emit("payment_intent.created", session.view(intent))


def open_payment(session: Session, invoice: str) -> Obj | None:
    """Return the open payment of an invoice, if it has one."""
    payments = session.store.walk("invoice_payment", parent=invoice)
    return next((payment for payment in payments if payment["status"] == "open"), None)


def open_intent(session: Session, invoice: str) -> Obj | None:
    """Return the payment intent that collects an open invoice, if it has one."""
    payment = open_payment(session, invoice)
    return payment and session.store.get("payment_intent", payment["payment"]["payment_intent"])


def mark_paid(session: Session, invoice: Obj, *, attempted: bool = True) -> None:
    """Mark an open invoice, with its open payment, as paid and write it; `attempted` as Stripe shows it."""
    close_payment(session, invoice, "paid")
    invoice["amount_paid"] += invoice["amount_remaining"]
    invoice["amount_remaining"] = invoice["amount_due"] - invoice["amount_paid"]
    invoice.update(status="paid", attempted=attempted, auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": session.now}
    session.save(invoice)
    set_delinquent(session, invoice, owing=False)
    shown = session.view(invoice)
    session.emit("invoice.paid", shown)
    session.emit("invoice.payment_succeeded", shown)
    if subscription_of(invoice):
        after_payment(session, invoice)


def set_delinquent(session: Session, invoice: Obj, *, owing: bool) -> None:
    """Set whether the customer is delinquent: the last payment failed, or a due date has passed."""
    customer = session.store.get("customer", invoice["customer"])
    if customer is not None and customer["delinquent"] != owing:
        session.save_changed({**customer, "delinquent": owing}, "customer.updated")


def close_payment(session: Session, invoice: Obj, status: str) -> None:
    """Mark the open payment of an invoice, if it has one, as `paid` or `canceled`."""
    payment = open_payment(session, invoice["id"])
    if payment is None:
        return
    stamp = "paid_at" if status == "paid" else "canceled_at"
    payment["status"] = status
    payment["status_transitions"] = {**payment["status_transitions"], stamp: session.now}
    payment["amount_paid"] = payment["amount_requested"] if status == "paid" else payment["amount_paid"]
    if status == "paid":
        session.save_and_emit(payment, "invoice_payment.paid")
        return
    session.save(payment)
    intent = session.store.get("payment_intent", payment["payment"]["payment_intent"])
    if intent and intent["status"] not in ("succeeded", "canceled"):
        cancel_intent(session, intent, "void_invoice")


def void_invoice(session: Session, invoice: Obj) -> None:
    """Void an open invoice; its credit goes back, and an update that waits for it is dropped."""
    close_payment(session, invoice, "canceled")
    _close(session, invoice, "void", "voided_at")
    session.emit("invoice.voided", session.view(invoice))
    _return_credit(session, invoice)
    _drop_pending_update(session, invoice)


def write_off(session: Session, invoice: Obj) -> None:
    """Mark an open invoice as uncollectible."""
    _close(session, invoice, "uncollectible", "marked_uncollectible_at")
    session.emit("invoice.marked_uncollectible", session.view(invoice))


def _close(session: Session, invoice: Obj, status: str, stamp: str) -> None:
    invoice.update(status=status, auto_advance=False, next_payment_attempt=None)
    invoice["status_transitions"] = {**invoice["status_transitions"], stamp: session.now}
    session.save_changed(invoice, "invoice.updated")


def _return_credit(session: Session, invoice: Obj) -> None:
    used = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    customer = session.store.get("customer", invoice["customer"])
    if used and customer is not None:
        source = {"currency": invoice["currency"], "invoice": invoice["id"]}
        balance.change_balance(session, customer, -used, "unapplied_from_invoice", **source)


def _drop_pending_update(session: Session, invoice: Obj) -> None:
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription and subscription.get("_pending_invoice") == invoice["id"]:
        before = session.view(subscription)
        subscription.update(pending_update=None, _pending_invoice=None, _pending_after=None)
        event = "customer.subscription.pending_update_expired"
        session.save_and_emit(subscription, event)
        session.emit_change(subscription, "customer.subscription.updated", before)
