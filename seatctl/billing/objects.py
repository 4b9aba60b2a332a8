"""Reads Stripe's JSON into frozen values. Raises UnreadableObject if a field that we rely on is missing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final, TypeVar

from seatctl.billing.port import StripeJson, UnreadableAnswer
from seatctl.errors import Code, JsonValue
from seatctl.models.call import from_epoch
from seatctl.models.collection import Pause
from seatctl.models.invoice import InvoiceLine, InvoiceStatus
from seatctl.models.plan import Interval
from seatctl.models.stripe_objects import (
    Preview,
    StripeCard,
    StripeCustomer,
    StripeInvoice,
    StripeItem,
    StripePage,
    StripePayment,
    StripePhase,
    StripePrice,
    StripeProduct,
    StripeSchedule,
    StripeSubscription,
    Tier,
)
from seatctl.models.subscription_status import SubscriptionStatus
from seatctl.rules.metadata import COVERS_FROM, COVERS_UNTIL, SUBSCRIPTION
from seatctl.rules.subscription_state import RENEWED

_TOO_MUCH: Final = 2**63

_T = TypeVar("_T")


class UnreadableObject(UnreadableAnswer):
    """Stripe sent something that this version does not understand; it was not used."""

    kind = Code.STRIPE_OBJECT_UNREADABLE


def read_price(price: StripeJson) -> StripePrice:
    """Read a price; one-time prices have no interval."""
    recurring, packs = object_of(price.get("recurring")), object_of(price.get("transform_quantity"))
    interval = _text(recurring.get("interval"))
    if interval is not None and interval not in frozenset(Interval):
        raise UnreadableObject(f"{_called(price)} has an unknown interval")
    return StripePrice(
        id=_required(price, "id"),
        product_id=_required_reference(price, "product"),
        currency=_required(price, "currency"),
        unit_amount=_seat_amount(price, price),
        interval=Interval(interval) if interval else None,
        interval_count=_number(recurring.get("interval_count")) or 1,
        usage_type=_text(recurring.get("usage_type")) or "licensed",
        lookup_key=_text(price.get("lookup_key")),
        active=_flag(price, "active"),
        tax_behavior=_text(price.get("tax_behavior")),
        unit_amount_decimal=_text(price.get("unit_amount_decimal")),
        tiers_mode=_text(price.get("tiers_mode")) if _is_tiered(price) else None,
        tiers=tuple(map(_tier, objects_in(price.get("tiers")))),
        pack=_number(packs.get("divide_by")),
        pack_rounds=_text(packs.get("round")),
        currency_options={
            currency: _seat_amount(price, object_of(option))
            for currency, option in object_of(price.get("currency_options")).items()
        },
    )


def _is_tiered(price: StripeJson) -> bool:
    return price.get("billing_scheme") == "tiered"


def _seat_amount(price: StripeJson, option: StripeJson) -> int | None:
    """Return what a seat costs in a currency, whatever the number of seats; None if that is not so."""
    if _is_tiered(price) or price.get("transform_quantity") is not None:
        return None
    return _not_negative(option, "unit_amount")


def _tier(tier: StripeJson) -> Tier:
    return Tier(
        _number(tier.get("up_to")),
        _text(tier.get("unit_amount_decimal")),
        _text(tier.get("flat_amount_decimal")),
    )


def in_currency(price: StripePrice, currency: str, amount: int | None = None) -> StripePrice:
    """Return a price as it is billed in a currency. Stripe shows it in its own everywhere.

    `amount`: what a seat costs in it, if the price itself does not tell.
    """
    if price.currency == currency:
        return price
    known = price.currency_options.get(currency, amount)
    return replace(price, currency=currency, unit_amount=known, unit_amount_decimal=None)


def read_customer(customer: StripeJson) -> StripeCustomer:
    """Read a customer; of a deleted one Stripe sends only the id."""
    if customer.get("deleted") is True:
        return StripeCustomer(_required(customer, "id"), None, None, True, None, {})
    settings = _required_object(customer, "invoice_settings")
    return StripeCustomer(
        id=_required(customer, "id"),
        email=_text(customer.get("email")),
        name=_text(customer.get("name")),
        deleted=False,
        default_payment_method=named_id(settings.get("default_payment_method")),
        metadata=_metadata(customer),
        details=_customer_details(customer),
    )


def _customer_details(customer: StripeJson) -> dict[str, JsonValue]:
    method = object_of(object_of(customer.get("invoice_settings")).get("default_payment_method"))
    card = object_of(method.get("card"))
    details: dict[str, JsonValue] = {
        "brand": card.get("brand") or method.get("type"),
        "last4": card.get("last4"),
        "exp_month": card.get("exp_month"),
        "exp_year": card.get("exp_year"),
        "balance": customer.get("balance"),
        "currency": customer.get("currency"),
    }
    return {name: value for name, value in details.items() if value is not None}


def read_product(product: StripeJson) -> StripeProduct:
    """Read a product; its default price may be expanded or not."""
    return StripeProduct(
        id=_required(product, "id"),
        name=_required(product, "name"),
        active=_flag(product, "active"),
        default_price=named_id(product.get("default_price")),
        metadata=_metadata(product),
    )


def read_address(customer: StripeJson) -> dict[str, str]:
    """Read the parts of a customer's address that are filled in, by Stripe's names."""
    return {part: text for part, text in object_of(customer.get("address")).items() if isinstance(text, str)}


def read_card(payment_method: StripeJson) -> StripeCard:
    """Read a saved payment method; one that is not a card has its type in place of the brand."""
    card, kind = object_of(payment_method.get("card")), _required(payment_method, "type")
    brand = _text(card.get("brand")) or kind
    return StripeCard(_required(payment_method, "id"), brand, _text(card.get("last4")) or "", kind)


def read_payer(customer: StripeJson) -> tuple[StripeCard | None, bool]:
    """Read a customer's expanded default payment method, and whether there is an older source."""
    method = object_of(object_of(customer.get("invoice_settings")).get("default_payment_method"))
    return read_card(method) if method else None, bool(customer.get("default_source"))


def read_subscription(subscription: StripeJson) -> StripeSubscription:
    """Read a subscription with its items, whose prices are in its currency.

    Raises UnreadableObject for an unknown status.
    """
    currency = _text(subscription.get("currency"))
    try:
        return StripeSubscription(
            id=_required(subscription, "id"),
            customer_id=_required_reference(subscription, "customer"),
            status=SubscriptionStatus(_required(subscription, "status")),
            items=tuple(_item(item, currency) for item in _entries(subscription, "items")),
            metadata=_metadata(subscription),
            cancel_at=_time(subscription.get("cancel_at")),
            cancel_at_period_end=_flag(subscription, "cancel_at_period_end"),
            collection_method=_required(subscription, "collection_method"),
            latest_invoice=named_id(subscription.get("latest_invoice")),
            created_at=_required_time(subscription, "created"),
            billing_cycle_anchor=_required_time(subscription, "billing_cycle_anchor"),
            default_payment_method=named_id(subscription.get("default_payment_method")),
            automatic_tax=_flag(_required_object(subscription, "automatic_tax"), "enabled"),
            tax_turned_off=_tax_turned_off(subscription),
            tax_rates=_references(subscription.get("default_tax_rates")),
            discounts=_references(_required_list(subscription, "discounts")),
            pause=_pause(object_of(subscription.get("pause_collection"))),
            schedule=named_id(subscription.get("schedule")),
            missing_payment_method=_missing_payment_method(subscription),
            flexible=object_of(subscription.get("billing_mode")).get("type") == "flexible",
            payment_method_types=_texts(
                object_of(subscription.get("payment_settings")).get("payment_method_types")
            ),
        )
    except ValueError as error:
        raise UnreadableObject(f"Stripe's subscription is not understood: {error}") from error


def _missing_payment_method(subscription: StripeJson) -> str:
    behavior = object_of(object_of(subscription.get("trial_settings")).get("end_behavior"))
    return _text(behavior.get("missing_payment_method")) or "create_invoice"


def read_schedule(schedule: StripeJson) -> StripeSchedule:
    """Read a subscription schedule."""
    return StripeSchedule(
        id=_required(schedule, "id"),
        phases=tuple(
            StripePhase(
                start=_required_time(phase, "start_date"),
                end=_required_time(phase, "end_date"),
                seats=sum(_number(item.get("quantity")) or 0 for item in objects_in(phase.get("items"))),
            )
            for phase in objects_in(schedule.get("phases"))
        ),
        cancels=schedule.get("end_behavior") == "cancel",
    )


def payment_of_reversal(taken: StripeJson) -> str | None:
    """Return the payment of a refund or a dispute: its payment intent, or the charge of an old one.

    Raises UnreadableObject if a field that is shown is missing.
    """
    _required(taken, "id")
    amount_of(taken, "amount")
    return named_id(taken.get("payment_intent")) or named_id(taken.get("charge"))


def read_invoice(invoice: StripeJson) -> StripeInvoice:
    """Read an invoice with the lines in it."""
    moments = _required_object(invoice, "status_transitions")
    try:
        return StripeInvoice(
            id=_required(invoice, "id"),
            number=_text(invoice.get("number")),
            status=InvoiceStatus(_required(invoice, "status")),
            customer_id=named_id(invoice.get("customer")),
            subscription_id=_billed_subscription(invoice),
            currency=_required(invoice, "currency"),
            subtotal=amount_of(invoice, "subtotal"),
            total=amount_of(invoice, "total"),
            amount_due=amount_of(invoice, "amount_due"),
            amount_paid=amount_of(invoice, "amount_paid"),
            amount_remaining=amount_of(invoice, "amount_remaining"),
            billing_reason=_text(invoice.get("billing_reason")),
            hosted_url=_text(invoice.get("hosted_invoice_url")),
            created_at=_required_time(invoice, "created"),
            due_date=_time(invoice.get("due_date")),
            finalized_at=_time(moments.get("finalized_at")),
            paid_at=_time(moments.get("paid_at")),
            lines=_lines(invoice),
            metadata=_metadata(invoice),
            details=_invoice_details(invoice),
            tax=_taxes(invoice),
            tax_status=_tax_status(invoice),
        )
    except ValueError as error:
        raise UnreadableObject(f"Stripe's invoice is not understood: {error}") from error


def open_intents(invoice: StripeJson) -> tuple[str, ...]:
    """Return the ids of the payment intents that may still pay an invoice, from its `payments`."""
    waiting = [payment for payment in _entries(invoice, "payments") if payment.get("status") == "open"]
    return _references([object_of(payment.get("payment")).get("payment_intent") for payment in waiting])


def read_payment(intent: StripeJson) -> StripePayment:
    """Read a payment intent whose `latest_charge` is expanded."""
    charge = object_of(intent.get("latest_charge"))
    kind = _text(object_of(charge.get("payment_method_details")).get("type"))
    problem = object_of(intent.get("last_payment_error"))
    return StripePayment(
        status=_required(intent, "status"),
        type=kind or "",
        since=_required_time(charge or intent, "created"),
        problem=(_text(problem.get("message")) or "the payment was refused") if problem else None,
    )


def read_preview(invoice: StripeJson) -> Preview:
    """Read the answer of `invoices.create_preview`: the amounts that would be due, without id and number."""
    return Preview(
        currency=_required(invoice, "currency"),
        subtotal=amount_of(invoice, "subtotal"),
        total=amount_of(invoice, "total"),
        amount_due=amount_of(invoice, "amount_due"),
        lines=_lines(invoice),
        discounts=tuple(
            _number(discount.get("amount")) or 0
            for discount in objects_in(invoice.get("total_discount_amounts"))
        ),
        carried_over=_carried_over(invoice),
        tax_status=_tax_status(invoice),
        tax=_taxes(invoice),
    )


def _tax_turned_off(taxed: StripeJson) -> bool:
    """Whether Stripe has turned off the automatic tax of an invoice or a subscription by itself."""
    return _text(object_of(taxed.get("automatic_tax")).get("disabled_reason")) is not None


def _tax_status(invoice: StripeJson) -> str | None:
    tax = object_of(invoice.get("automatic_tax"))
    return (_text(tax.get("status")) or "unknown") if tax.get("enabled") is True else None


def _taxes(invoice: StripeJson) -> int:
    return sum(amount_of(tax, "amount") for tax in objects_in(invoice.get("total_taxes")))


def _pause(pause: StripeJson) -> Pause | None:
    return Pause(_required(pause, "behavior"), _time(pause.get("resumes_at"))) if pause else None


def _carried_over(invoice: StripeJson) -> int:
    total, due = amount_of(invoice, "total"), amount_of(invoice, "amount_due")
    owed = total + (_number(invoice.get("starting_balance")) or 0)
    return max(0, min(total, owed - due))


def _item(item: StripeJson, currency: str | None) -> StripeItem:
    price = read_price(object_of(item.get("price")))
    return StripeItem(
        id=_required(item, "id"),
        price=price if currency is None else in_currency(price, currency),
        quantity=_not_negative(item, "quantity"),
        period_start=_required_time(item, "current_period_start"),
        period_end=_required_time(item, "current_period_end"),
        metadata=_metadata(item),
        created=_number(item.get("created")) or 0,
        tax_rates=_references(item.get("tax_rates")),
    )


def _lines(invoice: StripeJson) -> tuple[InvoiceLine, ...]:
    return tuple(_line(line) for line in _entries(invoice, "lines"))


def _line(line: StripeJson) -> InvoiceLine:
    period, parent = object_of(line.get("period")), object_of(line.get("parent"))
    details = object_of(parent.get("subscription_item_details")) or object_of(
        parent.get("invoice_item_details")
    )
    return InvoiceLine(
        stripe_id=_text(line.get("id")) or "",
        description=_text(line.get("description")),
        quantity=_number(line.get("quantity")),
        amount=amount_of(line, "amount"),
        currency=_required(line, "currency"),
        period_start=_required_time(period, "start"),
        period_end=_required_time(period, "end"),
        proration=details.get("proration") is True,
        details=_line_details(line),
    )


def read_page(page: StripeJson) -> StripePage:
    """Read a Checkout page, with the id of what it led to if it is complete."""
    status, mode = _required(page, "status"), _required(page, "mode")
    if status not in {"open", "complete", "expired"}:
        raise UnreadableObject(f"{_called(page)} has an unknown status")
    result = {"subscription": "subscription", "setup": "setup_intent"}.get(mode)
    if result is None:
        raise UnreadableObject(f"{_called(page)} has an unknown mode")
    created_id = _required_reference(page, result) if status == "complete" else None
    return StripePage(_required(page, "id"), status, mode, _text(page.get("url")), created_id)


def read_collected_card(intent: StripeJson) -> str:
    """Read the payment method that a page has collected."""
    return _required_reference(intent, "payment_method")


def read_url(page: StripeJson) -> str:
    """Read the address of a page of the customer portal."""
    return _required(page, "url")


# The details of an invoice, in minor units and unix seconds as in Stripe --------------------------------


def _invoice_details(invoice: StripeJson) -> dict[str, JsonValue]:
    """Return the stored details of an invoice, without empty ones."""
    details: dict[str, JsonValue] = {
        "billed_to": invoice.get("customer_email") or invoice.get("customer_name") or None,
        "customer_name": invoice.get("customer_name"),
        "collection_method": invoice.get("collection_method"),
        "description": invoice.get("description"),
        "pdf": invoice.get("invoice_pdf"),
        "taxes": _amounts(invoice.get("total_taxes"), "tax_behavior"),
        "untaxed": _tax_turned_off(invoice) or None,
        "discounts": _amounts(invoice.get("total_discount_amounts"), "discount"),
        "payments": [*map(_payment, objects_in(object_of(invoice.get("payments")).get("data")))],
        "credited": invoice.get("post_payment_credit_notes_amount"),
        "credited_before_payment": invoice.get("pre_payment_credit_notes_amount"),
        "paid_outside_stripe": _outside(invoice),
        "starting_balance": invoice.get("starting_balance"),
        "ending_balance": invoice.get("ending_balance"),
        "voided_at": object_of(invoice.get("status_transitions")).get("voided_at"),
        "attempt_count": invoice.get("attempt_count"),
        "next_payment_attempt": invoice.get("next_payment_attempt"),
        "renewed_by": _renewed_by(invoice),
        "covers_from": object_of(invoice.get("metadata")).get(COVERS_FROM) or None,
        "covers_until": object_of(invoice.get("metadata")).get(COVERS_UNTIL) or None,
        "held": _is_held(invoice) or None,
    }
    return {name: value for name, value in details.items() if value not in (None, [], 0)}


def _line_details(line: StripeJson) -> dict[str, JsonValue]:
    """Return the stored details of a line: unit price, price and product, discounts, taxes."""
    pricing = object_of(line.get("pricing"))
    price = object_of(pricing.get("price_details"))
    details: dict[str, JsonValue] = {
        "unit_amount_decimal": pricing.get("unit_amount_decimal"),
        "price": named_id(price.get("price")),
        "product": named_id(price.get("product")),
        "taxes": _amounts(line.get("taxes"), "tax_behavior"),
        "discounts": _amounts(line.get("discount_amounts"), "discount"),
    }
    return {name: value for name, value in details.items() if value not in (None, [])}


def _billed_subscription(invoice: StripeJson) -> str | None:
    """Return the Stripe subscription that an invoice bills; our own invoices name it in their metadata."""
    own = object_of(invoice.get("metadata")).get(SUBSCRIPTION)
    about = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    return named_id(about.get("subscription")) or _text(own)


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
    about = object_of(object_of(invoice.get("parent")).get("subscription_details"))
    return object_of(about.get("metadata")).get(RENEWED) if invoice.get("total") == 0 else None


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
    return object_of(payment.get("payment")).get("type") == "payment_record"


def _payment(payment: StripeJson) -> JsonValue:
    inner = object_of(payment.get("payment"))
    return {
        "amount": payment.get("amount_paid") or payment.get("amount_requested"),
        "status": payment.get("status"),
        "type": inner.get("type"),
        "paid_at": object_of(payment.get("status_transitions")).get("paid_at"),
        "reference": named_id(inner.get(str(inner.get("type")))),
    }


def _amounts(listed: JsonValue | None, name: str) -> JsonValue:
    """Return the amount of each object of a list, and what it is for: the field `name`."""
    return [{"amount": each.get("amount"), name: named_id(each.get(name))} for each in objects_in(listed)]


# Whole answers ----------------------------------------------------------------------------------------

_READERS: Final[Mapping[str, Callable[[StripeJson], object]]] = {
    "price": read_price,
    "customer": read_customer,
    "product": read_product,
    "payment_method": read_card,
    "subscription": read_subscription,
    "invoice": read_invoice,
    "checkout.session": read_page,
    "setup_intent": read_collected_card,
    "billing_portal.session": read_url,
}


def require_readable(answer: StripeJson) -> None:
    """Raise UnreadableObject unless an object has the fields that we rely on for its type.

    Called before an answer is recorded: a step whose recorded answer cannot be read would be stuck. Lists and
    previews are checked by their readers; a deleted object has only its id.
    """
    if answer.get("deleted") is True or answer.get("object") == "list":
        return
    if "metadata" in answer:
        _metadata(answer)
    reader = _READERS.get(str(answer.get("object")))
    if reader is not None:
        reader(answer)


# Reading single fields ------------------------------------------------------------------------------


def object_of(value: JsonValue | None) -> StripeJson:
    """Return an object as it is; an empty one for anything else."""
    return value if isinstance(value, dict) else {}


def objects_in(value: JsonValue | None) -> list[StripeJson]:
    """Return the objects in a list, none if there is no list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []


def _entries(holder: StripeJson, name: str) -> list[StripeJson]:
    """Return the entries of a list inside an object; without the list, it is not known to be empty."""
    data = object_of(holder.get(name)).get("data")
    entries = objects_in(data)
    is_whole = isinstance(data, list) and len(entries) == len(data)
    return _present(holder, name, entries if is_whole else None)


def _text(value: JsonValue | None) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: JsonValue | None) -> int | None:
    """Return a whole number that the ledger can hold, else None."""
    return value if type(value) is int and abs(value) < _TOO_MUCH else None


def _not_negative(holder: StripeJson, name: str) -> int | None:
    number = _number(holder.get(name))
    if number is not None and number < 0:
        raise UnreadableObject(f"{_called(holder)} has a negative {name}")
    return number


def _time(value: JsonValue | None) -> datetime | None:
    seconds = _number(value)
    return None if seconds is None else _moment(seconds)


def named_id(value: JsonValue | None) -> str | None:
    """Return the id of a reference, expanded or not."""
    return _text(object_of(value).get("id")) if isinstance(value, dict) else _text(value)


def _references(value: JsonValue | None) -> tuple[str, ...]:
    """Return the ids of a list of references."""
    listed = value if isinstance(value, list) else []
    return tuple(reference for reference in map(named_id, listed) if reference is not None)


def _texts(value: JsonValue | None) -> tuple[str, ...]:
    return tuple(text for text in value if isinstance(text, str)) if isinstance(value, list) else ()


def _metadata(holder: StripeJson) -> Mapping[str, str]:
    """Return the metadata. It says whose the object is: without it, ours would pass for somebody else's."""
    metadata = _required_object(holder, "metadata")
    return {name: text for name, text in metadata.items() if isinstance(text, str)}


def _called(holder: StripeJson) -> str:
    kind = holder.get("object")
    return f"Stripe's {kind if isinstance(kind, str) else 'object'}"


def _present(holder: StripeJson, name: str, value: _T | None) -> _T:
    """Return the value of a field. Raises UnreadableObject if there is none."""
    if value is None:
        raise UnreadableObject(f"{_called(holder)} has no {name}")
    return value


def _required(holder: StripeJson, name: str) -> str:
    return _present(holder, name, _text(holder.get(name)) or None)


def _required_reference(holder: StripeJson, name: str) -> str:
    return _present(holder, name, named_id(holder.get(name)) or None)


def _required_object(holder: StripeJson, name: str) -> StripeJson:
    value = holder.get(name)
    return _present(holder, name, value if isinstance(value, dict) else None)


def _required_list(holder: StripeJson, name: str) -> list[JsonValue]:
    value = holder.get(name)
    return _present(holder, name, value if isinstance(value, list) else None)


def _flag(holder: StripeJson, name: str) -> bool:
    value = holder.get(name)
    return _present(holder, name, value if isinstance(value, bool) else None)


def amount_of(holder: StripeJson, name: str) -> int:
    """Return an amount of an object in minor units. Raises UnreadableObject if it is not a whole number."""
    return _present(holder, name, _number(holder.get(name)))


def _required_time(holder: StripeJson, name: str) -> datetime:
    return _moment(amount_of(holder, name))


def _moment(seconds: int) -> datetime:
    try:
        return from_epoch(seconds)
    except (ValueError, OverflowError, OSError) as error:
        raise UnreadableObject(f"{seconds} is not a time") from error
