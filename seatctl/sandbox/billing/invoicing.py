"""Draft invoices and their sums; the drafts of a subscription: first period, renewal, change, and end."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing import account, automatic_tax, balance
from seatctl.sandbox.billing.discounts import running_terms, spread_discounts
from seatctl.sandbox.billing.limits import check_new_invoice
from seatctl.sandbox.billing.lines import item_line
from seatctl.sandbox.billing.periods import bill_period, line_of_item
from seatctl.sandbox.clock import DAY, HOUR
from seatctl.sandbox.due import period_start
from seatctl.sandbox.money import apply_balance
from seatctl.sandbox.objects import Obj, balance_in, embedded_list, new_id, nulls, subscription_of
from seatctl.sandbox.session import Session

_SHOWN_OF_CUSTOMER = ("address", "email", "name", "phone", "shipping", "tax_exempt")


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
    """Return a new draft without lines; not yet written. `period` is in epoch seconds."""
    seller = account.own_account(session)
    identifier = new_id("in")
    due = session.now + days_until_due * DAY if days_until_due is not None else None
    parent: Any = None
    if subscription is not None:
        details = {"metadata": dict(subscription["metadata"]), "subscription": subscription["id"]}
        if reason == "subscription_update":
            details["subscription_proration_date"] = session.now
        parent = {"quote_details": None, "subscription_details": details, "type": "subscription_details"}
    return session.new(
        "invoice",
        identifier,
        null=(
            "account_tax_ids application customer_account default_payment_method default_source description "
            "effective_at ending_balance from_invoice hosted_invoice_url invoice_pdf "
            "last_finalization_error latest_revision number on_behalf_of receipt_number rendering "
            "shipping_cost shipping_details statement_descriptor test_clock"
        ),
        zero=(
            "amount_due amount_overpaid amount_paid amount_remaining amount_shipping attempt_count "
            "post_payment_credit_notes_amount pre_payment_credit_notes_amount subtotal "
            "subtotal_excluding_tax total total_excluding_tax"
        ),
        empty="default_tax_rates discounts total_discount_amounts total_pretax_credit_amounts total_taxes",
        account_country=seller["country"],
        account_name=account.NAME,
        attempted=False,
        auto_advance=auto_advance,
        automatic_tax=automatic_tax.of_invoice(
            enabled=subscription is not None and subscription["automatic_tax"]["enabled"]
        ),
        automatically_finalizes_at=session.now + HOUR if auto_advance else None,
        billing_reason=reason,
        collection_method=collection,
        currency=currency,
        custom_fields=customer["invoice_settings"]["custom_fields"],
        customer=customer["id"],
        **{f"customer_{name}": customer[name] for name in _SHOWN_OF_CUSTOMER},
        customer_tax_ids=[
            {"type": tax_id["type"], "value": tax_id["value"]}
            for tax_id in session.store.walk("tax_id", customer=customer["id"], oldest_first=True)
        ],
        due_date=due,
        footer=customer["invoice_settings"]["footer"],
        issuer={"type": "self"},
        lines=embedded_list([], f"/v1/invoices/{identifier}/lines"),
        metadata={},
        next_payment_attempt=session.now + HOUR
        if auto_advance and collection == "charge_automatically"
        else None,
        parent=parent,
        payment_settings=nulls("default_mandate payment_method_options payment_method_types"),
        period_end=period[1],
        period_start=period[0],
        starting_balance=balance_in(customer, currency),
        status="draft",
        status_transitions=nulls("finalized_at marked_uncollectible_at paid_at voided_at"),
        webhooks_delivered_at=session.now,  # at once: the account has no webhook endpoints
        _days_until_due=days_until_due,
    )


def pending_items(session: Session, customer: str, currency: str) -> list[Obj]:
    """Return a customer's items without an invoice, newest first."""
    items = session.store.walk("invoiceitem", customer=customer)
    return [item for item in items if item["invoice"] is None and item["currency"] == currency]


def add_pending_items(session: Session, invoice: Obj, items: list[Obj]) -> None:
    """Put items on an invoice, in the order given. The items are written, the invoice is not."""
    for item in items:
        item.update(invoice=invoice["id"], _line=new_id("il"))
        session.save(item)
    for item in items:
        line = item_line(invoice["id"], item, credited_lines(session, item))
        invoice["lines"]["data"].append({**line, "id": item["_line"]})


def credited_lines(session: Session, item: Obj) -> Obj | None:
    """Return what a credit's line names as its source; a pending charge has become a line itself."""
    credited: Obj | None = item["_credited"]
    if credited and "invoice_item" in credited:
        return line_of_item(session, credited["invoice_item"])
    return credited


def compute_sums(session: Session, invoice: Obj) -> None:
    """Compute the sums of a draft from its lines, its discounts and the customer's present balance."""
    customer = session.store.get("customer", invoice["customer"])
    if customer is not None:
        invoice["starting_balance"] = balance_in(customer, invoice["currency"])
    lines = invoice["lines"]["data"]
    for line in lines:
        line["subtotal"] = line["amount"]
    for line in lines:
        if line["discounts"] and line["discountable"]:
            spread_discounts([line], running_terms(session, line["discounts"], invoice["currency"]))
    others = [line for line in lines if not line["discounts"]]
    spread_discounts(others, running_terms(session, invoice["discounts"], invoice["currency"]))
    for line in lines:
        line["pretax_credit_amounts"] = pretax_credits(line["discount_amounts"])
    discounts = sum_by_discount(lines)
    subtotal = sum(line["amount"] for line in lines)
    automatic_tax.compute_taxes(session, invoice, customer)
    taxes = invoice["total_taxes"]
    total = subtotal - sum(part["amount"] for part in discounts) + automatic_tax.amount_of(taxes, "exclusive")
    invoice["subtotal"] = subtotal
    invoice["subtotal_excluding_tax"] = subtotal - automatic_tax.amount_of(taxes, "inclusive")
    invoice["total"], invoice["total_excluding_tax"] = total, total - automatic_tax.amount_of(taxes)
    invoice["total_discount_amounts"] = discounts
    invoice["total_pretax_credit_amounts"] = pretax_credits(discounts)
    # A draft shows what would be due; a sum below the smallest charge is carried over when it is finalized.
    due = apply_balance(total, invoice["starting_balance"], 0).amount_due
    invoice["amount_due"] = invoice["amount_remaining"] = due


def sum_by_discount(lines: list[Obj]) -> list[Obj]:
    """Return what each discount takes off all lines together."""
    sums: dict[str, int] = {}
    for line in lines:
        for part in line["discount_amounts"]:
            sums[part["discount"]] = sums.get(part["discount"], 0) + part["amount"]
    return [{"amount": amount, "discount": name} for name, amount in sums.items()]


def pretax_credits(discount_amounts: list[Obj]) -> list[Obj]:
    """Return the amounts of discounts as `pretax_credit_amounts` shows them."""
    return [{**part, "type": "discount"} for part in discount_amounts]


def update_sums(session: Session, invoice: Obj) -> None:
    """Compute the sums of a draft whose lines have changed, and write it with its event."""
    compute_sums(session, invoice)
    session.save_changed(invoice, "invoice.updated")


def save_draft(session: Session, invoice: Obj) -> None:
    """Write a new draft with its event; the customer gets its currency if it has none."""
    compute_sums(session, invoice)
    if subscription := subscription_of(invoice):
        check_new_invoice(session, subscription)
        balance.set_currency(session, invoice["customer"], invoice["currency"])
    session.save_and_emit(invoice, "invoice.created")


def first_invoice(session: Session, subscription: Obj, reason: str) -> Obj:
    """Return the draft of the period that begins now, with the pending items; not yet written."""
    is_sent = subscription["collection_method"] == "send_invoice"
    invoice = _draft(session, subscription, reason, (session.now, session.now), auto_advance=is_sent)
    trial = subscription["status"] == "trialing"
    cut_short = subscription["billing_cycle_anchor"] > session.now and not trial
    _bill_periods(session, subscription, invoice, trial=trial, cut_short=cut_short)
    return invoice


def cycle_invoice(session: Session, subscription: Obj, period: tuple[int, int]) -> Obj:
    """Return the draft of a renewal: each item's new period and the pending items; not yet written.

    `period` is the one that has ended.
    """
    advance = subscription["status"] != "unpaid"
    invoice = _draft(session, subscription, "subscription_cycle", period, auto_advance=advance)
    _bill_periods(session, subscription, invoice)
    return invoice


def pending_invoice(
    session: Session, subscription: Obj, reason: str, pending: list[Obj], *, auto_advance: bool = False
) -> Obj:
    """Return a draft with pending items only; not yet written."""
    start = period_start(session.items_of(subscription["id"]))
    invoice = _draft(session, subscription, reason, (start, session.now), auto_advance=auto_advance)
    add_pending_items(session, invoice, pending)
    return invoice


def final_invoice(session: Session, subscription: Obj) -> None:
    """Write a draft with the items that are pending for this subscription only, if there are any."""
    pending = pending_for(session, subscription)
    pending = [item for item in pending if item["parent"] is not None and item["_subscription"]]
    if pending:
        invoice = pending_invoice(session, subscription, "subscription_cycle", pending, auto_advance=True)
        subscription["latest_invoice"] = invoice["id"]
        save_draft(session, invoice)


def pending_for(session: Session, subscription: Obj) -> list[Obj]:
    """Return the items without an invoice, of this subscription and of no subscription, newest first."""
    return [
        item
        for item in pending_items(session, subscription["customer"], subscription["currency"])
        if item["parent"] is None or item["_subscription"] in (None, subscription["id"])
    ]


def _draft(
    session: Session, subscription: Obj, reason: str, period: tuple[int, int], *, auto_advance: bool
) -> Obj:
    """Return a draft of a subscription; it has the subscription's discounts, as every invoice of it has."""
    invoice = new_draft(
        session,
        session.find("customer", subscription["customer"], "customer"),
        currency=subscription["currency"],
        reason=reason,
        period=period,
        subscription=subscription,
        auto_advance=auto_advance,
        collection=subscription["collection_method"],
        days_until_due=subscription["days_until_due"],
    )
    invoice["discounts"] = list(subscription["discounts"])
    return invoice


def _bill_periods(
    session: Session, subscription: Obj, invoice: Obj, *, trial: bool = False, cut_short: bool = False
) -> None:
    """Put the pending items and then each item's period on an invoice: Stripe's order, newest first."""
    add_pending_items(session, invoice, pending_for(session, subscription))
    for item in reversed(session.items_of(subscription["id"])):
        bill_period(session, invoice, item, trial=trial, cut_short=cut_short)
