"""Credit notes. An open invoice owes less; a paid one is given back as refund, credit or out of band."""

from __future__ import annotations

from seatctl.sandbox.billing import balance
from seatctl.sandbox.billing.automatic_tax import add_up, amount_of, part_of
from seatctl.sandbox.billing.invoice_states import close_payment, mark_paid
from seatctl.sandbox.billing.invoicing import pretax_credits, sum_by_discount
from seatctl.sandbox.errors import invalid, missing_param, no_such
from seatctl.sandbox.lists import page_of_entries
from seatctl.sandbox.metadata import merge_metadata
from seatctl.sandbox.objects import Obj, embedded_list, new_id, new_object, pick, sent, token
from seatctl.sandbox.resources.refunds import refund_charge
from seatctl.sandbox.session import Session


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/credit_notes."""
    invoice = session.find("invoice", params["invoice"], "invoice")
    note = _new_note(session, invoice, params)
    if invoice["status"] == "paid":
        _credit_paid(session, invoice, note, params)
    else:
        _credit_open(session, invoice, note)
    stored = session.find("invoice", invoice["id"], None)
    stored["_credited"] = stored.get("_credited", 0) + note["total"]
    stored["_notes"] = stored.get("_notes", 0) + 1
    session.save(stored)
    return session.save_and_emit(note, "credit_note.created")


def preview(session: Session, params: Obj) -> Obj:
    """GET /v1/credit_notes/preview. The note is created and rolled back."""
    session.store.savepoint()
    try:
        return create(session, params)
    finally:
        session.store.roll_back()


def list_lines(session: Session, params: Obj, note: Obj) -> Obj:
    """GET /v1/credit_notes/ID/lines."""
    return page_of_entries(note["lines"]["data"], params, note["lines"]["url"], "credit note line item")


def _new_note(session: Session, invoice: Obj, params: Obj) -> Obj:
    if invoice["status"] not in ("open", "paid"):
        raise invalid("Credit notes can only be created for open or paid invoices.", "invoice")
    lines = _lines(invoice, params)
    subtotal = sum(line["amount"] for line in lines)
    discounts = sum_by_discount(lines)
    taxes = add_up(tax for line in lines for tax in line["taxes"])
    discount = sum(part["amount"] for part in discounts)
    total = subtotal - discount + amount_of(taxes, "exclusive")
    creditable = max(invoice["total"], 0) - invoice.get("_credited", 0)
    if total <= 0 or total > creditable:
        message = (
            f"The sum of credit amounts ({total}) must be between 1 and the creditable amount ({creditable})."
        )
        raise invalid(message, "amount")
    paid = invoice["status"] == "paid"
    identifier = new_id("cn")
    return session.new(
        "credit_note",
        identifier,
        null="customer_account customer_balance_transaction shipping_cost voided_at",
        empty="refunds",
        amount=total,
        amount_shipping=0,
        **pick(invoice, "currency", "customer"),
        discount_amount=discount,
        discount_amounts=discounts,
        effective_at=params.get("effective_at", session.now),
        invoice=invoice["id"],
        lines=embedded_list(lines, f"/v1/credit_notes/{identifier}/lines"),
        **sent(params, "memo out_of_band_amount reason"),
        metadata=merge_metadata({}, params.get("metadata")),
        number=f"{invoice['number']}-CN-{invoice.get('_notes', 0) + 1:02d}",
        pdf=f"https://sandbox.invalid/credit_notes/test_{token(32)}/pdf",
        post_payment_amount=total if paid else 0,
        pre_payment_amount=0 if paid else total,
        pretax_credit_amounts=pretax_credits(discounts),
        status="issued",
        subtotal=subtotal,
        subtotal_excluding_tax=subtotal - amount_of(taxes, "inclusive"),
        total=total,
        total_excluding_tax=total - amount_of(taxes),
        total_taxes=taxes,
        type="post_payment" if paid else "pre_payment",
    )


def _lines(invoice: Obj, params: Obj) -> list[Obj]:
    if params.get("lines"):
        return [_line(invoice, entry, f"lines[{position}]") for position, entry in enumerate(params["lines"])]
    parts = [params.get(name) for name in ("refund_amount", "credit_amount", "out_of_band_amount")]
    amount = params.get("amount")
    if amount is None:
        amount = sum(part for part in parts if part)
    if not amount:
        raise missing_param("amount")
    # The amount includes the tax; Stripe gives back each tax in proportion.
    taxes = part_of(invoice["total_taxes"], amount, invoice["total"], invoice["currency"])
    net = amount - amount_of(taxes, "exclusive")
    return [_credit_line(net, "custom_line_item", f"Credit for invoice {invoice['number']}", taxes)]


def _line(invoice: Obj, entry: Obj, param: str) -> Obj:
    if entry["type"] == "custom_line_item":
        amount = entry.get("unit_amount", 0) * entry.get("quantity", 1)
        return _credit_line(amount, "custom_line_item", entry.get("description"))
    identifier = entry.get("invoice_line_item")
    line = next((line for line in invoice["lines"]["data"] if line["id"] == identifier), None)
    if line is None:
        raise no_such("invoice line item", str(identifier), f"{param}[invoice_line_item]")
    amount, quantity = entry.get("amount"), entry.get("quantity")
    discounts: list[Obj] = []
    if amount is None:
        units = line["quantity"] if quantity is None else quantity
        parts = [line, *line["discount_amounts"]]
        amount, *shares = (part["amount"] * units // line["quantity"] for part in parts)
        discounts = [{**part, "amount": n} for part, n in zip(parts[1:], shares, strict=True)]
    taxes = part_of(line["taxes"], amount, line["amount"], invoice["currency"])
    return {
        **_credit_line(amount, "invoice_line_item", line["description"], taxes),
        "invoice_line_item": line["id"],
        "discount_amount": sum(part["amount"] for part in discounts),
        "discount_amounts": discounts,
        "pretax_credit_amounts": pretax_credits(discounts),
        "quantity": quantity,
    }


def _credit_line(amount: int, kind: str, description: str | None, taxes: list[Obj] | None = None) -> Obj:
    return new_object(
        "credit_note_line_item",
        new_id("cnli"),
        null="quantity unit_amount unit_amount_decimal",
        empty="discount_amounts pretax_credit_amounts tax_rates",
        amount=amount,
        description=description,
        discount_amount=0,
        livemode=False,
        metadata={},
        taxes=taxes or [],
        type=kind,
    )


def _credit_paid(session: Session, invoice: Obj, note: Obj, params: Obj) -> None:
    amounts = pick(params, "refund_amount", "credit_amount", "out_of_band_amount")
    linked = sum(entry.get("amount_refunded") or 0 for entry in params.get("refunds") or [])
    if sum(amount or 0 for amount in amounts.values()) + linked != note["total"]:
        message = (
            "The sum of credit amount, refund amount and out of band amount must equal the amount of the "
            f"credit note ({note['total']})."
        )
        raise invalid(message)
    if amounts.get("refund_amount"):
        charge = _paid_charge(session, invoice)
        refund = refund_charge(session, charge, amounts["refund_amount"])
        note["refunds"] = [
            {
                "amount_refunded": refund["amount"],
                "payment_record_refund": None,
                "refund": refund["id"],
                "type": "refund",
            }
        ]
    if amounts.get("credit_amount"):
        customer = session.find("customer", invoice["customer"], "customer")
        source = {"currency": invoice["currency"], "invoice": invoice["id"], "credit_note": note["id"]}
        transaction = balance.change_balance(
            session, customer, -amounts["credit_amount"], "credit_note", **source
        )
        note["customer_balance_transaction"] = transaction["id"]
    invoice["post_payment_credit_notes_amount"] += note["total"]
    session.save(invoice)


def _paid_charge(session: Session, invoice: Obj) -> Obj:
    for payment in session.store.walk("invoice_payment", parent=invoice["id"]):
        if payment["status"] == "paid":
            intent = session.find("payment_intent", payment["payment"]["payment_intent"], None)
            return session.find("charge", intent["latest_charge"], None)
    raise invalid("This invoice was not paid by a charge that could be refunded.", "refund_amount")


def _credit_open(session: Session, invoice: Obj, note: Obj) -> None:
    total = note["total"]
    if total > invoice["amount_remaining"]:
        raise invalid("The credit note's amount is greater than what the invoice still owes.", "amount")
    invoice["pre_payment_credit_notes_amount"] += total
    invoice["amount_due"] -= total
    invoice["amount_remaining"] -= total
    for payment in session.store.walk("invoice_payment", parent=invoice["id"]):
        if payment["status"] == "open":
            session.save({**payment, "amount_requested": invoice["amount_remaining"]})
            intent = session.find("payment_intent", payment["payment"]["payment_intent"], None)
            session.save({**intent, "amount": invoice["amount_remaining"]})
    if invoice["amount_remaining"] == 0:
        close_payment(session, invoice, "canceled")
        mark_paid(session, invoice)
    else:
        session.save_changed(invoice, "invoice.updated")
