"""Stripe's JSON read into frozen values. An object that lacks what we rely on raises UnreadableObject."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from seatctl.billing.invoice_details import billed_subscription, invoice_details, line_details
from seatctl.billing.port import StripeJson
from seatctl.errors import JsonValue, TryAgain
from seatctl.models.call import from_epoch
from seatctl.models.invoice import InvoiceLine, InvoiceStatus
from seatctl.models.plan import Interval
from seatctl.models.stripe_objects import (
    Preview,
    StripeCard,
    StripeCustomer,
    StripeInvoice,
    StripeItem,
    StripePrice,
    StripeProduct,
    StripeSubscription,
)
from seatctl.models.subscription import SubscriptionStatus


class UnreadableObject(TryAgain):
    """Stripe answered something this version does not understand; nothing was concluded from it."""

    code = "stripe_object_unreadable"


def read_price(price: StripeJson) -> StripePrice:
    """A price; one-time prices have no interval."""
    recurring = _object(price.get("recurring"))
    interval = _text(recurring.get("interval"))
    return StripePrice(
        id=_required(price, "id"),
        product_id=_reference(price.get("product")) or "",
        currency=_required(price, "currency"),
        unit_amount=_not_negative(price, "unit_amount"),
        interval=Interval(interval) if interval else None,
        interval_count=_number(recurring.get("interval_count")) or 1,
        usage_type=_text(recurring.get("usage_type")) or "licensed",
        lookup_key=_text(price.get("lookup_key")),
        active=price.get("active") is True,
        tax_behavior=_text(price.get("tax_behavior")),
    )


def read_customer(customer: StripeJson) -> StripeCustomer:
    """A customer; Stripe answers a deleted one with its id alone."""
    return StripeCustomer(
        id=_required(customer, "id"),
        email=_text(customer.get("email")),
        name=_text(customer.get("name")),
        deleted=customer.get("deleted") is True,
        default_payment_method=_reference(
            _object(customer.get("invoice_settings")).get("default_payment_method")
        ),
        metadata=_metadata(customer),
        details=_customer_details(customer),
    )


def _customer_details(customer: StripeJson) -> dict[str, JsonValue]:
    method = _object(_object(customer.get("invoice_settings")).get("default_payment_method"))
    card = _object(method.get("card"))
    found: dict[str, JsonValue] = {
        "brand": card.get("brand") or method.get("type"),
        "last4": card.get("last4"),
        "exp_month": card.get("exp_month"),
        "exp_year": card.get("exp_year"),
        "balance": customer.get("balance"),
        "currency": customer.get("currency"),
    }
    return {name: value for name, value in found.items() if value is not None}


def read_product(product: StripeJson) -> StripeProduct:
    """A product; its default price may come expanded or not."""
    return StripeProduct(
        id=_required(product, "id"),
        name=_required(product, "name"),
        active=product.get("active") is True,
        default_price=_reference(product.get("default_price")),
        metadata=_metadata(product),
    )


def read_address(customer: StripeJson) -> dict[str, str]:
    """The parts of a customer's address that are filled in, under Stripe's names."""
    return {part: text for part, text in _object(customer.get("address")).items() if isinstance(text, str)}


def read_card(payment_method: StripeJson) -> StripeCard:
    """A saved payment method; one that is no card shows its type in place of the brand."""
    card = _object(payment_method.get("card"))
    brand = _text(card.get("brand")) or _text(payment_method.get("type")) or ""
    return StripeCard(_required(payment_method, "id"), brand, _text(card.get("last4")) or "")


def read_subscription(subscription: StripeJson) -> StripeSubscription:
    """A subscription with its items; an unknown status raises UnreadableObject."""
    try:
        return StripeSubscription(
            id=_required(subscription, "id"),
            customer_id=_reference(subscription.get("customer")) or "",
            status=SubscriptionStatus(_required(subscription, "status")),
            items=tuple(_item(item) for item in _entries(subscription.get("items"))),
            metadata=_metadata(subscription),
            cancel_at=_time(subscription.get("cancel_at")),
            cancel_at_period_end=subscription.get("cancel_at_period_end") is True,
            collection_method=_required(subscription, "collection_method"),
            latest_invoice=_reference(subscription.get("latest_invoice")),
            created_at=_required_time(subscription, "created"),
            billing_cycle_anchor=_required_time(subscription, "billing_cycle_anchor"),
            default_payment_method=_reference(subscription.get("default_payment_method")),
            automatic_tax=_object(subscription.get("automatic_tax")).get("enabled") is True,
            tax_rates=_references(subscription.get("default_tax_rates")),
            discounts=_references(subscription.get("discounts")),
        )
    except ValueError as error:
        raise UnreadableObject(f"Stripe's subscription is not understood: {error}") from error


def refunded_payment(refund: StripeJson) -> str | None:
    """The payment that a refund gave back: its payment intent, or the charge of an old payment without one.

    Raises UnreadableObject for a refund without the fields that are shown.
    """
    _required(refund, "id")
    _required(refund, "status")
    _amount(refund, "amount")
    return _reference(refund.get("payment_intent")) or _reference(refund.get("charge"))


def read_invoice(invoice: StripeJson) -> StripeInvoice:
    """An invoice with the lines that came with it."""
    moments = _object(invoice.get("status_transitions"))
    try:
        return StripeInvoice(
            id=_required(invoice, "id"),
            number=_text(invoice.get("number")),
            status=InvoiceStatus(_required(invoice, "status")),
            customer_id=_reference(invoice.get("customer")),
            subscription_id=billed_subscription(invoice),
            currency=_required(invoice, "currency"),
            subtotal=_amount(invoice, "subtotal"),
            total=_amount(invoice, "total"),
            amount_due=_amount(invoice, "amount_due"),
            amount_paid=_amount(invoice, "amount_paid"),
            amount_remaining=_amount(invoice, "amount_remaining"),
            billing_reason=_text(invoice.get("billing_reason")),
            hosted_url=_text(invoice.get("hosted_invoice_url")),
            created_at=_required_time(invoice, "created"),
            due_date=_time(invoice.get("due_date")),
            finalized_at=_time(moments.get("finalized_at")),
            paid_at=_time(moments.get("paid_at")),
            lines=_lines(invoice),
            metadata=_metadata(invoice),
            details=invoice_details(invoice),
        )
    except ValueError as error:
        raise UnreadableObject(f"Stripe's invoice is not understood: {error}") from error


def read_preview(invoice: StripeJson) -> Preview:
    """The answer of `invoices.create_preview`: no id, no number, the amounts that would be due."""
    return Preview(
        currency=_required(invoice, "currency"),
        subtotal=_amount(invoice, "subtotal"),
        total=_amount(invoice, "total"),
        amount_due=_amount(invoice, "amount_due"),
        lines=_lines(invoice),
        discounts=_discounts(invoice),
    )


def _discounts(invoice: StripeJson) -> tuple[int, ...]:
    listed = invoice.get("total_discount_amounts")
    found = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return tuple(_number(one.get("amount")) or 0 for one in found)


def _item(item: StripeJson) -> StripeItem:
    return StripeItem(
        id=_required(item, "id"),
        price=read_price(_object(item.get("price"))),
        quantity=_not_negative(item, "quantity"),
        period_start=_required_time(item, "current_period_start"),
        period_end=_required_time(item, "current_period_end"),
        metadata=_metadata(item),
        created=_number(item.get("created")) or 0,
        tax_rates=_references(item.get("tax_rates")),
    )


def _lines(invoice: StripeJson) -> tuple[InvoiceLine, ...]:
    return tuple(_line(line) for line in _entries(invoice.get("lines")))


def _line(line: StripeJson) -> InvoiceLine:
    period, parent = _object(line.get("period")), _object(line.get("parent"))
    details = _object(parent.get("subscription_item_details")) or _object(parent.get("invoice_item_details"))
    return InvoiceLine(
        stripe_id=_text(line.get("id")) or "",
        description=_text(line.get("description")),
        quantity=_number(line.get("quantity")),
        amount=_amount(line, "amount"),
        currency=_required(line, "currency"),
        period_start=_required_time(period, "start"),
        period_end=_required_time(period, "end"),
        proration=details.get("proration") is True,
        details=line_details(line),
    )


# Reading single fields ------------------------------------------------------------------------------


def _object(value: JsonValue | None) -> StripeJson:
    return value if isinstance(value, dict) else {}


def _entries(value: JsonValue | None) -> list[StripeJson]:
    data = _object(value).get("data")
    return [entry for entry in data if isinstance(entry, dict)] if isinstance(data, list) else []


def _text(value: JsonValue | None) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: JsonValue | None) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _not_negative(holder: StripeJson, name: str) -> int | None:
    found = _number(holder.get(name))
    if found is not None and found < 0:
        raise UnreadableObject(f"Stripe's {holder.get('object', 'object')} has a negative {name}")
    return found


def _time(value: JsonValue | None) -> datetime | None:
    seconds = _number(value)
    return None if seconds is None else _moment(seconds)


def _reference(value: JsonValue | None) -> str | None:
    """The id of a reference, whether it came expanded or not."""
    return _text(_object(value).get("id")) if isinstance(value, dict) else _text(value)


def _references(value: JsonValue | None) -> tuple[str, ...]:
    """The ids of a list of references."""
    listed = value if isinstance(value, list) else []
    return tuple(found for found in map(_reference, listed) if found is not None)


def _metadata(holder: StripeJson) -> Mapping[str, str]:
    return {name: text for name, text in _object(holder.get("metadata")).items() if isinstance(text, str)}


def _required(holder: StripeJson, name: str) -> str:
    value = holder.get(name)
    if not isinstance(value, str):
        raise UnreadableObject(f"Stripe's {holder.get('object', 'object')} has no {name}")
    return value


def _amount(holder: StripeJson, name: str) -> int:
    value = _number(holder.get(name))
    if value is None:
        raise UnreadableObject(f"Stripe's {holder.get('object', 'object')} has no {name}")
    return value


def _required_time(holder: StripeJson, name: str) -> datetime:
    return _moment(_amount(holder, name))


def _moment(seconds: int) -> datetime:
    try:
        return from_epoch(seconds)
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableObject(f"{seconds} is no time") from error
