"""Finalizing an invoice, applying the customer's balance, collecting, and what being paid leads to."""

from __future__ import annotations

from seatctl.sandbox.billing import balance
from seatctl.sandbox.billing.balance import save_customer
from seatctl.sandbox.billing.invoicing import compute_sums, save_invoice, subscription_of
from seatctl.sandbox.billing.payments import new_intent
from seatctl.sandbox.billing.pending_updates import after_payment
from seatctl.sandbox.billing.subscription_states import emit_updated, save_subscription
from seatctl.sandbox.clock import DAY
from seatctl.sandbox.money import apply_balance, least_charge, set_balance_in
from seatctl.sandbox.objects import Obj, new_id, token
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import view

# What an invoice's payment says it is for; renewals and changes are updates.
_PURPOSES = {"manual": "Payment for Invoice", "subscription_create": "Subscription creation"}


def finalize_invoice(session: Session, invoice: Obj) -> None:
    """draft -> open, or paid where nothing is due; the number is the customer's next."""
    customer = session.find("customer", invoice["customer"], "customer")
    shown = view(session, invoice)
    currency = invoice["currency"]
    compute_sums(session, invoice)
    settled = apply_balance(invoice["total"], invoice["starting_balance"], least_charge(currency))
    sequence = customer["next_invoice_sequence"]
    customer = {**customer, "next_invoice_sequence": sequence + 1}
    set_balance_in(customer, currency, settled.ending_balance)
    customer["currency"] = customer["currency"] or currency
    url = f"https://sandbox.invalid/i/test_{token(32)}"
    invoice.update(
        amount_due=settled.amount_due,
        amount_remaining=settled.amount_due,
        automatically_finalizes_at=None,
        effective_at=invoice["effective_at"] or session.now,
        ending_balance=settled.ending_balance,
        hosted_invoice_url=url,
        invoice_pdf=f"{url}/pdf",
        number=invoice["number"] or f"{customer['invoice_prefix']}-{sequence:04d}",
        status="open",
    )
    invoice["status_transitions"] = {**invoice["status_transitions"], "finalized_at": session.now}
    if invoice["_days_until_due"] is not None:
        invoice["due_date"] = session.now + invoice["_days_until_due"] * DAY
    moved = settled.ending_balance - invoice["starting_balance"]
    if moved:
        balance.record_transaction(
            session, customer, moved, "applied_to_invoice", currency=currency, invoice=invoice["id"]
        )
    save_customer(session, customer)
    session.emit("invoice.updated", view(session, invoice), shown)
    session.emit("invoice.finalized", view(session, invoice))
    if settled.amount_due == 0:
        mark_paid(session, invoice)
    else:
        _open_payment(session, invoice)
        save_invoice(session, invoice)


def _open_payment(session: Session, invoice: Obj) -> None:
    made = new_intent(session, invoice["customer"], invoice["amount_due"], invoice["currency"],
                  description=_PURPOSES.get(invoice["billing_reason"], "Subscription update"),
                  capture_method="automatic", _invoice=invoice["id"])  # fmt: skip
    session.save(made)
    payment = {
        "id": new_id("inpay"),
        "object": "invoice_payment",
        "amount_paid": None,
        "amount_requested": invoice["amount_due"],
        "created": session.now,
        "currency": invoice["currency"],
        "invoice": invoice["id"],
        "is_default": True,
        "livemode": False,
        "payment": {"payment_intent": made["id"], "type": "payment_intent"},
        "status": "open",
        "status_transitions": {"canceled_at": None, "paid_at": None},
    }
    session.save(payment, parent=invoice["id"])
    session.emit("payment_intent.created", view(session, made))


def open_payment(session: Session, invoice: str) -> Obj | None:
    """The payment of an invoice that is still to be made."""
    found = session.store.walk("invoice_payment", parent=invoice)
    return next((payment for payment in found if payment["status"] == "open"), None)


def open_intent(session: Session, invoice: str) -> Obj | None:
    """The payment intent that collects an open invoice."""
    payment = open_payment(session, invoice)
    return payment and session.store.get("payment_intent", payment["payment"]["payment_intent"])


def mark_paid(session: Session, invoice: Obj, *, amount: int = 0) -> None:
    """open -> paid; `amount` is what was paid now, in minor units."""
    invoice["attempted"] = True
    invoice["amount_paid"] += amount
    invoice["amount_remaining"] = invoice["amount_due"] - invoice["amount_paid"]
    invoice["status"] = "paid"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": session.now}
    save_invoice(session, invoice)
    set_delinquent(session, invoice, owing=False)
    shown = view(session, invoice)
    session.emit("invoice.paid", shown)
    session.emit("invoice.payment_succeeded", shown)
    if subscription_of(invoice):
        after_payment(session, invoice)


def set_delinquent(session: Session, invoice: Obj, *, owing: bool) -> None:
    """A customer is delinquent from a failed automatic payment or a missed due date until one is paid."""
    customer = session.store.get("customer", invoice["customer"])
    if customer is not None and customer["delinquent"] != owing:
        save_customer(session, {**customer, "delinquent": owing})


def close_payments(session: Session, invoice: Obj, status: str) -> None:
    """Mark an invoice's waiting payment as paid or canceled."""
    payment = open_payment(session, invoice["id"])
    if payment is None:
        return
    stamp = "paid_at" if status == "paid" else "canceled_at"
    payment["status"] = status
    payment["status_transitions"] = {**payment["status_transitions"], stamp: session.now}
    payment["amount_paid"] = payment["amount_requested"] if status == "paid" else payment["amount_paid"]
    session.save(payment)
    if status == "paid":
        session.emit("invoice_payment.paid", view(session, payment))
    if status == "canceled":
        made = session.store.get("payment_intent", payment["payment"]["payment_intent"])
        if made and made["status"] not in ("succeeded", "canceled"):
            made.update(status="canceled", canceled_at=session.now, next_action=None,
                        cancellation_reason="void_invoice")  # fmt: skip
            session.save(made)
            session.emit("payment_intent.canceled", view(session, made))


def void_invoice(session: Session, invoice: Obj) -> None:
    """open -> void."""
    before = view(session, invoice)
    close_payments(session, invoice, "canceled")
    invoice["status"] = "void"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"] = {**invoice["status_transitions"], "voided_at": session.now}
    save_invoice(session, invoice)
    session.emit("invoice.updated", view(session, invoice), before)
    session.emit("invoice.voided", view(session, invoice))
    _give_back(session, invoice)
    _drop_update(session, invoice)


def _give_back(session: Session, invoice: Obj) -> None:
    used = (invoice["ending_balance"] or 0) - invoice["starting_balance"]
    customer = session.store.get("customer", invoice["customer"])
    if used and customer is not None:
        balance.change_balance(
            session,
            customer,
            -used,
            "unapplied_from_invoice",
            currency=invoice["currency"],
            invoice=invoice["id"],
        )


def _drop_update(session: Session, invoice: Obj) -> None:
    subscription = session.store.get("subscription", subscription_of(invoice) or "")
    if subscription and subscription.get("_pending_invoice") == invoice["id"]:
        before = view(session, subscription)
        subscription.update(pending_update=None, _pending_invoice=None, _pending_after=None)
        save_subscription(session, subscription)
        session.emit("customer.subscription.pending_update_expired", view(session, subscription))
        emit_updated(session, subscription, before)


def write_off(session: Session, invoice: Obj) -> None:
    """open -> uncollectible; the amounts stay as they were."""
    before = view(session, invoice)
    invoice["status"] = "uncollectible"
    invoice["auto_advance"] = False
    invoice["next_payment_attempt"] = None
    invoice["status_transitions"] = {**invoice["status_transitions"], "marked_uncollectible_at": session.now}
    save_invoice(session, invoice)
    session.emit("invoice.updated", view(session, invoice), before)
    session.emit("invoice.marked_uncollectible", view(session, invoice))
