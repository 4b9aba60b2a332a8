"""What of Stripe's invoice is kept besides its amounts: taxes, discounts, payments, who it is billed to.

Values are minor units and unix seconds as Stripe gives them; `services/invoices/views.py` words them.
"""

from __future__ import annotations

from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.subscription_state import RENEWED


def invoice_details(invoice: StripeJson) -> dict[str, JsonValue]:
    """The kept parts of an invoice, only those that say something."""
    found: dict[str, JsonValue] = {
        "billed_to": _first(invoice.get("customer_email"), invoice.get("customer_name")),
        "customer_name": invoice.get("customer_name"),
        "collection_method": invoice.get("collection_method"),
        "description": invoice.get("description"),
        "pdf": invoice.get("invoice_pdf"),
        "taxes": [_amount(tax, "tax_behavior") for tax in _objects(invoice.get("total_taxes"))],
        "discounts": [_amount(one, "discount") for one in _objects(invoice.get("total_discount_amounts"))],
        "payments": [_payment(one) for one in _objects(_inside(invoice.get("payments"), "data"))],
        "credited": invoice.get("post_payment_credit_notes_amount"),
        "credited_before_payment": invoice.get("pre_payment_credit_notes_amount"),
        "paid_outside_stripe": _outside(invoice),
        "starting_balance": invoice.get("starting_balance"),
        "ending_balance": invoice.get("ending_balance"),
        "voided_at": _inside(invoice.get("status_transitions"), "voided_at"),
        "attempt_count": invoice.get("attempt_count"),
        "next_payment_attempt": invoice.get("next_payment_attempt"),
        "renewed_by": _renewed_by(invoice),
        "covers_from": _inside(invoice.get("metadata"), COVERS_FROM) or None,
        "covers_until": _inside(invoice.get("metadata"), COVERS_UNTIL) or None,
        "held": _is_held(invoice) or None,
    }
    return {name: value for name, value in found.items() if value not in (None, [], 0)}


def line_details(line: StripeJson) -> dict[str, JsonValue]:
    """The kept parts of a line: unit price, price and product, discounts, taxes."""
    pricing = line.get("pricing")
    price = _inside(pricing, "price_details")
    found: dict[str, JsonValue] = {
        "unit_amount_decimal": _inside(pricing, "unit_amount_decimal"),
        "price": named_id(_inside(price, "price")),
        "product": named_id(_inside(price, "product")),
        "taxes": [_amount(tax, "tax_behavior") for tax in _objects(line.get("taxes"))],
        "discounts": [_amount(one, "discount") for one in _objects(line.get("discount_amounts"))],
    }
    return {name: value for name, value in found.items() if value not in (None, [])}


def billed_subscription(invoice: StripeJson) -> str | None:
    """The Stripe subscription that an invoice is for; one of our own names it in its metadata."""
    own = _inside(invoice.get("metadata"), SUBSCRIPTION)
    named = named_id(_inside(_inside(invoice.get("parent"), "subscription_details"), "subscription")) or own
    return named if isinstance(named, str) else None


def _is_held(invoice: StripeJson) -> bool:
    """Whether it is a draft of a subscription that Stripe will neither finalize nor collect by itself.

    So are the invoices of an unpaid subscription, and those that a pause in collection keeps as drafts.
    """
    reason = str(invoice.get("billing_reason"))
    waits = invoice.get("status") == "draft" and invoice.get("auto_advance") is False
    return waits and reason.startswith("subscription")


def _renewed_by(invoice: StripeJson) -> JsonValue:
    """Of the 0.00 invoice of a term renewed by hand: our own invoice that paid for the term.

    Stripe keeps with an invoice what its subscription's metadata was when it was made.
    """
    about = _inside(invoice.get("parent"), "subscription_details")
    return _inside(_inside(about, "metadata"), RENEWED) if invoice.get("total") == 0 else None


def _outside(invoice: StripeJson) -> int | None:
    """What was paid outside of Stripe, in minor units: what is paid and no payment accounts for.

    None for an answer without its payments, or with the first of many: it says nothing about it.
    """
    payments, paid = invoice.get("payments"), invoice.get("amount_paid")
    if not isinstance(payments, dict) or payments.get("has_more") is True or not isinstance(paid, int):
        return None
    known = sum(_paid(one) for one in _objects(payments.get("data")) if not _is_recorded(one))
    return max(0, paid - known)


def _paid(payment: StripeJson) -> int:
    amount = payment.get("amount_paid")
    return amount if payment.get("status") == "paid" and isinstance(amount, int) else 0


def _is_recorded(payment: StripeJson) -> bool:
    """Whether it is only a record of money that came in by another way."""
    return _inside(payment.get("payment"), "type") == "payment_record"


def _payment(payment: StripeJson) -> JsonValue:
    inner = payment.get("payment")
    return {
        "amount": payment.get("amount_paid") or payment.get("amount_requested"),
        "status": payment.get("status"),
        "type": _inside(inner, "type"),
        "paid_at": _inside(payment.get("status_transitions"), "paid_at"),
        "reference": named_id(_inside(inner, str(_inside(inner, "type")))),
    }


def _amount(holder: StripeJson, name: str) -> JsonValue:
    return {"amount": holder.get("amount"), name: named_id(holder.get(name))}


def named_id(value: JsonValue | None) -> JsonValue:
    """The id of a reference, whether it came expanded or not."""
    return value.get("id") if isinstance(value, dict) else value


def _first(*values: JsonValue) -> JsonValue:
    return next((value for value in values if value), None)


def _inside(holder: JsonValue | None, name: str) -> JsonValue:
    return holder.get(name) if isinstance(holder, dict) else None


def _objects(value: JsonValue | None) -> list[StripeJson]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
