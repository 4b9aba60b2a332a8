"""The details of Stripe's invoice that are stored besides its amounts: taxes, discounts, payments, payer.

Values are minor units and unix seconds as in Stripe; `services/invoices/views.py` words them.
"""

from __future__ import annotations

from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.subscription_state import RENEWED


def invoice_details(invoice: StripeJson) -> dict[str, JsonValue]:
    """Return the stored details of an invoice, without empty ones."""
    details: dict[str, JsonValue] = {
        "billed_to": _first(invoice.get("customer_email"), invoice.get("customer_name")),
        "customer_name": invoice.get("customer_name"),
        "collection_method": invoice.get("collection_method"),
        "description": invoice.get("description"),
        "pdf": invoice.get("invoice_pdf"),
        "taxes": [_amount(tax, "tax_behavior") for tax in objects_in(invoice.get("total_taxes"))],
        "discounts": [
            _amount(discount, "discount") for discount in objects_in(invoice.get("total_discount_amounts"))
        ],
        "payments": [_payment(payment) for payment in objects_in(_inside(invoice.get("payments"), "data"))],
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
    return {name: value for name, value in details.items() if value not in (None, [], 0)}


def line_details(line: StripeJson) -> dict[str, JsonValue]:
    """Return the stored details of a line: unit price, price and product, discounts, taxes."""
    pricing = line.get("pricing")
    price = _inside(pricing, "price_details")
    details: dict[str, JsonValue] = {
        "unit_amount_decimal": _inside(pricing, "unit_amount_decimal"),
        "price": named_id(_inside(price, "price")),
        "product": named_id(_inside(price, "product")),
        "taxes": [_amount(tax, "tax_behavior") for tax in objects_in(line.get("taxes"))],
        "discounts": [_amount(discount, "discount") for discount in objects_in(line.get("discount_amounts"))],
    }
    return {name: value for name, value in details.items() if value not in (None, [])}


def billed_subscription(invoice: StripeJson) -> str | None:
    """Return the Stripe subscription that an invoice bills; our own invoices name it in their metadata."""
    own = _inside(invoice.get("metadata"), SUBSCRIPTION)
    named = named_id(_inside(_inside(invoice.get("parent"), "subscription_details"), "subscription")) or own
    return named if isinstance(named, str) else None


def _is_held(invoice: StripeJson) -> bool:
    """Return whether it is a draft that Stripe will neither finalize nor collect by itself.

    That is so for invoices of an unpaid subscription, and for those that a pause in collection keeps as
    drafts.
    """
    reason = str(invoice.get("billing_reason"))
    waits = invoice.get("status") == "draft" and invoice.get("auto_advance") is False
    return waits and reason.startswith("subscription")


def _renewed_by(invoice: StripeJson) -> JsonValue:
    """Return, for the 0.00 invoice of a term renewed by hand, our own invoice that paid for the term.

    Stripe stores with an invoice the subscription's metadata at the time when it was made.
    """
    about = _inside(invoice.get("parent"), "subscription_details")
    return _inside(_inside(about, "metadata"), RENEWED) if invoice.get("total") == 0 else None


def _outside(invoice: StripeJson) -> int | None:
    """Return what was paid outside of Stripe, in minor units: the paid amount without a payment for it.

    None if the payments are missing or incomplete: then nothing can be said.
    """
    payments, paid = invoice.get("payments"), invoice.get("amount_paid")
    if not isinstance(payments, dict) or payments.get("has_more") is True or not isinstance(paid, int):
        return None
    known = sum(_paid(payment) for payment in objects_in(payments.get("data")) if not _is_recorded(payment))
    return max(0, paid - known)


def _paid(payment: StripeJson) -> int:
    amount = payment.get("amount_paid")
    return amount if payment.get("status") == "paid" and isinstance(amount, int) else 0


def _is_recorded(payment: StripeJson) -> bool:
    """Return whether it only records money that came in outside of Stripe."""
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
    """Return the id of a reference, expanded or not."""
    return value.get("id") if isinstance(value, dict) else value


def _first(*values: JsonValue) -> JsonValue:
    return next((value for value in values if value), None)


def _inside(holder: JsonValue | None, name: str) -> JsonValue:
    return holder.get(name) if isinstance(holder, dict) else None


def objects_in(value: JsonValue | None) -> list[StripeJson]:
    """Return the objects in a list, none if there is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
