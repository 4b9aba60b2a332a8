"""Making a draft invoice and keeping its sums: the part that every reason for an invoice shares."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import account, automatic_tax, balance
from seatctl.sandbox.billing.discounts import running_terms, spread_discounts
from seatctl.sandbox.billing.lines import item_line
from seatctl.sandbox.clock import DAY, HOUR
from seatctl.sandbox.money import apply_balance, balance_in
from seatctl.sandbox.objects import Obj, embedded_list, new_id
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def new_draft(
    session: Session,
    customer: Obj,
    *,
    currency: str,
    reason: str,
    period: tuple[int, int],
    subscription: Obj | None = None,
    auto_advance: bool = False,
    collection: str = "charge_automatically",
    days_until_due: int | None = None,
) -> Obj:
    """A new draft without lines; not yet written. `period` in epoch seconds."""
    owner = account.own_account(session)
    identifier = new_id("in")
    due = session.now + days_until_due * DAY if days_until_due is not None else None
    parent: Any = None
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        if reason == "subscription_update":
            details["subscription_proration_date"] = session.now
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    return {
        "id": identifier,
        "object": "invoice",
        "account_country": owner["country"],
        "account_name": account.NAME,
        "account_tax_ids": None,
        "amount_due": 0,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": 0,
        "amount_shipping": 0,
        "application": None,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": auto_advance,
        "automatic_tax": automatic_tax.of_invoice(
            customer, enabled=subscription is not None and subscription["automatic_tax"]["enabled"]
        ),
        "automatically_finalizes_at": session.now + HOUR if auto_advance else None,
        "billing_reason": reason,
        "collection_method": collection,
        "created": session.now,
        "currency": currency,
        "custom_fields": customer["invoice_settings"]["custom_fields"],
        "customer": customer["id"],
        "customer_account": None,
        "customer_address": customer["address"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_phone": customer["phone"],
        "customer_shipping": customer["shipping"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [
            {"type": each["type"], "value": each["value"]}
            for each in session.store.walk("tax_id", customer=customer["id"], oldest_first=True)
        ],
        "default_payment_method": None,
        "default_source": None,
        "default_tax_rates": [],
        "description": None,
        "discounts": [],
        "due_date": due,
        "effective_at": None,
        "ending_balance": None,
        "footer": customer["invoice_settings"]["footer"],
        "from_invoice": None,
        "hosted_invoice_url": None,
        "invoice_pdf": None,
        "issuer": {"type": "self"},
        "last_finalization_error": None,
        "latest_revision": None,
        "lines": embedded_list([], f"/v1/invoices/{identifier}/lines"),
        "livemode": False,
        "metadata": {},
        "next_payment_attempt": session.now + HOUR
        if auto_advance and collection == "charge_automatically"
        else None,
        "number": None,
        "on_behalf_of": None,
        "parent": parent,
        "payment_settings": {
            "default_mandate": None,
            "payment_method_options": None,
            "payment_method_types": None,
        },
        "period_end": period[1],
        "period_start": period[0],
        "post_payment_credit_notes_amount": 0,
        "pre_payment_credit_notes_amount": 0,
        "receipt_number": None,
        "rendering": None,
        "shipping_cost": None,
        "shipping_details": None,
        "starting_balance": balance_in(customer, currency),
        "statement_descriptor": None,
        "status": "draft",
        "status_transitions": dict.fromkeys(
            ("finalized_at", "marked_uncollectible_at", "paid_at", "voided_at")
        ),
        "subtotal": 0,
        "subtotal_excluding_tax": 0,
        "test_clock": None,
        "total": 0,
        "total_discount_amounts": [],
        "total_excluding_tax": 0,
        "total_pretax_credit_amounts": [],
        "total_taxes": [],
        "webhooks_delivered_at": None,
        "_days_until_due": days_until_due,
    }


def subscription_of(invoice: Obj) -> str | None:
    """The subscription that an invoice belongs to."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent else None


def pending_items(session: Session, customer: str, subscription: str | None, currency: str) -> list[Obj]:
    """The items waiting for an invoice: those of this subscription and those of none, newest first."""
    found = session.store.walk("invoiceitem", customer=customer)
    return [
        item
        for item in found
        if item["invoice"] is None
        and item["currency"] == currency
        and (item["parent"] is None or item["_subscription"] in (None, subscription))
    ]


def add_pending_items(session: Session, invoice: Obj, items: list[Obj]) -> None:
    """Put pending items on an invoice, in the order given."""
    for item in items:
        item.update(invoice=invoice["id"], _line=new_id("il"))
        session.save(item)
    for item in items:
        made = item_line(invoice["id"], item, credited_lines(session, item))
        invoice["lines"]["data"].append({**made, "id": item["_line"]})


def credited_lines(session: Session, item: Obj) -> Obj | None:
    """What a credit gives back, as a line names it: a pending charge is by now a line of its own."""
    credited: Obj | None = item["_credited"]
    if credited and "invoice_item" in credited:
        source = session.store.get("invoiceitem", credited["invoice_item"])
        if source is None or not source["invoice"]:
            return None
        return {"invoice": source["invoice"], "invoice_line_items": [source["_line"]]}
    return credited


def compute_sums(session: Session, invoice: Obj) -> None:
    """Recompute the sums of a draft from its lines, its discounts and the customer's present balance."""
    customer = session.store.get("customer", invoice["customer"])
    if customer is not None:
        invoice["starting_balance"] = balance_in(customer, invoice["currency"])
    lines = invoice["lines"]["data"]
    for each in lines:
        each["subtotal"] = each["amount"]
    for each in lines:
        if each["discounts"] and each["discountable"]:
            spread_discounts([each], running_terms(session, each["discounts"], invoice["currency"]))
    whole = [each for each in lines if not each["discounts"]]
    spread_discounts(whole, running_terms(session, invoice["discounts"], invoice["currency"]))
    sums: dict[str, int] = {}
    for each in lines:
        for part in each["discount_amounts"]:
            sums[part["discount"]] = sums.get(part["discount"], 0) + part["amount"]
    subtotal = sum(each["amount"] for each in lines)
    total = subtotal - sum(sums.values())
    invoice["subtotal"] = invoice["subtotal_excluding_tax"] = subtotal
    invoice["total"] = invoice["total_excluding_tax"] = total
    invoice["total_discount_amounts"] = [{"amount": part, "discount": name} for name, part in sums.items()]
    # A draft shows what would be due; only finalizing carries a sum below the least charge over.
    due = apply_balance(total, invoice["starting_balance"], 0).amount_due
    invoice["amount_due"] = invoice["amount_remaining"] = due


def save_invoice(session: Session, invoice: Obj) -> None:
    """Write an invoice; its due time is when the clock finalizes it or tries its payment again."""
    due = None
    if invoice["status"] == "draft":
        due = invoice["automatically_finalizes_at"]
    elif invoice["status"] == "open" and invoice["collection_method"] == "send_invoice":
        due = None if invoice.get("_overdue") else invoice["due_date"]
    elif invoice["status"] == "open" and invoice["auto_advance"]:
        due = invoice["next_payment_attempt"]
    session.save(invoice, parent=subscription_of(invoice), due=due)


def update_sums(session: Session, invoice: Obj) -> None:
    """Write a draft whose lines changed, with its new sums, and say so."""
    before = session.store.get("invoice", invoice["id"])
    shown = before and view(session, before)
    compute_sums(session, invoice)
    save_invoice(session, invoice)
    if shown and changed(shown, view(session, invoice)):
        session.emit("invoice.updated", view(session, invoice), shown)


def save_draft(session: Session, invoice: Obj) -> None:
    """Write a new draft, give the customer its currency, and say so."""
    compute_sums(session, invoice)
    save_invoice(session, invoice)
    if subscription_of(invoice):
        balance.set_currency(session, invoice["customer"], invoice["currency"])
    session.emit("invoice.created", view(session, invoice))
