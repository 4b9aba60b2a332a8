"""Invoice items: a pending item waits for an invoice; another is on a draft from the start."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from seatctl.sandbox.billing import account, automatic_tax, catalog
from seatctl.sandbox.billing.balance import set_currency
from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoicing import add_pending_items, credited_lines, update_sums
from seatctl.sandbox.billing.lines import item_line, net_amount, new_invoice_item, pricing_of
from seatctl.sandbox.billing.periods import product_name
from seatctl.sandbox.errors import (
    ApiError,
    check_not_negative,
    invalid,
    mutually_exclusive,
    nested_params,
    renamed_params,
)
from seatctl.sandbox.lists import check_ids, page_of
from seatctl.sandbox.metadata import merge_metadata, update_metadata
from seatctl.sandbox.money import exact_price, round_half_up
from seatctl.sandbox.objects import Obj, new_id, set_fields, token, unset
from seatctl.sandbox.session import Session

_FROZEN = {"pricing", "quantity", "quantity_decimal", "discounts", "amount", "unit_amount_decimal",
           "price_data"}  # fmt: skip


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/invoiceitems."""
    customer = session.find("customer", params["customer"], "customer")
    invoice = _draft(session, params["invoice"], customer) if params.get("invoice") else None
    if params.get("subscription"):
        session.find("subscription", params["subscription"], "subscription")
    item = build_item(session, customer, params, invoice)
    if invoice is not None:
        add_pending_items(session, invoice, [item])
        update_sums(session, invoice)
    set_currency(session, customer["id"], item["currency"])
    return session.save_and_emit(item, "invoiceitem.created")


def _draft(session: Session, identifier: str, customer: Obj) -> Obj:
    invoice = session.find("invoice", identifier, "invoice")
    if invoice["customer"] != customer["id"]:
        raise invalid("The invoice's customer does not match the invoice item's customer.", "invoice")
    check_draft(invoice)
    return invoice


def check_draft(invoice: Obj) -> None:
    """Refuse the change of an invoice that is not a draft."""
    if invoice["status"] != "draft":
        message = (
            "The invoice is no longer editable. Instead, consider creating additional invoice items that "
            "will be applied to the next invoice."
        )
        raise invalid(message, code="invoice_not_editable")


def build_item(session: Session, customer: Obj, params: Obj, invoice: Obj | None) -> Obj:
    """Return the invoice item that a request describes; not yet written."""
    quantity = _quantity(params, 1)
    price = _price(session, params)
    if invoice is not None and price is not None and automatic_tax.is_enabled(invoice):
        automatic_tax.require_behavior(session, [price])
    amount = _amount(params, price, quantity)
    currency = price["currency"] if price else params.get("currency") or (invoice or customer)["currency"]
    currency = (currency or account.CURRENCY).lower()
    if invoice is not None and invoice["currency"] != currency:
        message = (
            f"The currency of the invoice item ({currency}) must match the currency of the invoice "
            f"({invoice['currency']})."
        )
        raise invalid(message, "currency")
    period = params.get("period") or {"start": session.now, "end": session.now}
    name = product_name(session, price) if price else None
    item = new_invoice_item(
        customer["id"],
        amount=amount,
        currency=currency,
        now=session.now,
        description=unset(params.get("description")) or name,
        period=(period["start"], period["end"]),
        quantity=quantity,
        pricing=pricing_of(price, unit=price["unit_amount_decimal"]) if price else _pricing_of_amount(params),
        invoice=invoice["id"] if invoice else None,
        subscription=params.get("subscription"),
        discountable=params.get("discountable", amount >= 0),
        metadata=merge_metadata({}, params.get("metadata")),
    )
    set_discounts(session, item, params, customer["id"], invoice_item=item["id"])
    return item


def _price(session: Session, params: Obj) -> Obj | None:
    if params.get("price_data"):
        inline = catalog.create_inline_price(session, params["price_data"], "price_data")
        return session.find("price", inline["id"], None)
    identifier = (params.get("pricing") or {}).get("price")
    if not identifier:
        return None
    price = session.find("price", identifier, "pricing[price]")
    if price["recurring"] is not None:
        raise invalid(catalog.wrong_type("recurring", "one_time"), "pricing[price]")
    return price


def _quantity(params: Obj, default: int) -> int:
    """Return `quantity`, or `quantity_decimal` if it is a whole number."""
    if "quantity" in params and "quantity_decimal" in params:
        raise mutually_exclusive("quantity", "quantity_decimal")
    exact = Fraction(str(params.get("quantity_decimal", params.get("quantity", default))))
    check_not_negative(exact.numerator, "quantity")
    if exact.denominator != 1:
        raise invalid("The sandbox bills whole quantities only.", "quantity_decimal")
    return int(exact)


def _amount(params: Obj, price: Obj | None, quantity: int) -> int:
    if price is not None:
        return round_half_up(exact_price(price, quantity))
    if params.get("amount") is not None:
        if {"quantity", "quantity_decimal"} & set(params):
            raise mutually_exclusive("amount", "quantity")
        return int(params["amount"])
    if params.get("unit_amount_decimal") is not None:
        return round_half_up(Fraction(str(params["unit_amount_decimal"])) * quantity)
    message = "You must pass one of `amount`, `pricing`, `price_data` or `unit_amount_decimal`."
    raise ApiError(400, message, code="parameter_missing", param="amount")


def _pricing_of_amount(params: Obj, before: Obj | None = None) -> Any:
    decimal = params.get("unit_amount_decimal", params.get("amount"))
    # Without a price, Stripe makes a one-off price and product; the sandbox makes only their ids.
    product = before["price_details"]["product"] if before else f"prod_{token(14)}"
    price = {"id": new_id("price"), "product": product}
    return pricing_of(price, unit=str(decimal))


def items_to_add(
    session: Session, subscription: Obj, params: Obj, invoice: Obj | None = None
) -> Iterator[Obj]:
    """Yield the invoice items of a request's `add_invoice_items`; not yet written.

    Their period is the present moment: the sandbox supports no other.
    """
    for position, entry in enumerate(unset(params.get("add_invoice_items")) or []):
        customer = session.find("customer", subscription["customer"], "customer")
        item = {**entry, "subscription": subscription["id"]}
        item.pop("period", None)
        if entry.get("price"):
            item["pricing"] = {"price": entry["price"]}
        with (
            nested_params(f"add_invoice_items[{position}]"),
            renamed_params(lambda name: "price" if name == "pricing[price]" else name),
        ):
            built = build_item(session, customer, item, invoice)
        yield built


def change(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoiceitems/ID."""
    if session.store.deleted("invoiceitem", identifier):
        raise invalid("This invoice item has been deleted.")
    return update(session, params, session.find("invoiceitem", identifier, "id", status=404))


def update(session: Session, params: Obj, item: Obj) -> Obj:
    """Change an item. The frozen fields of a proration cannot change."""
    invoice = session.store.get("invoice", item["invoice"] or "")
    if invoice is not None:
        check_draft(invoice)
    _apply(session, item, params)
    if invoice is not None:
        changed_line = {**item_line(invoice["id"], item, credited_lines(session, item)), "id": item["_line"]}
        lines = invoice["lines"]["data"]
        invoice["lines"]["data"] = [
            changed_line if line["id"] == changed_line["id"] else line for line in lines
        ]
        update_sums(session, invoice)
    session.save(item)  # Stripe has no event of this
    return session.view(item)


def _apply(session: Session, item: Obj, params: Obj) -> None:
    frozen = _FROZEN & set(params)
    if item["proration"] and frozen:
        raise invalid("You cannot change this field of a proration invoice item.", min(frozen))
    set_fields(item, params, "description", "discountable", "period")
    update_metadata(item, params)
    set_discounts(session, item, params, item["customer"], invoice_item=item["id"])
    price = _price(session, params)
    if price is not None:
        item["pricing"] = pricing_of(price, unit=price["unit_amount_decimal"])
    quantity = _quantity(params, item["quantity"])
    if "amount" in params:
        item["amount"] = params["amount"]
        item["pricing"] = _pricing_of_amount(params, item["pricing"])
    elif price is not None or {"quantity", "quantity_decimal", "unit_amount_decimal"} & set(params):
        unit = str(params.get("unit_amount_decimal") or item["pricing"]["unit_amount_decimal"] or 0)
        item["amount"] = round_half_up(Fraction(unit) * quantity)
        item["pricing"] = {**item["pricing"], "unit_amount_decimal": unit}
    item["quantity"], item["quantity_decimal"] = quantity, str(quantity)
    item["net_amount"] = net_amount(item["amount"], discountable=item["discountable"])


def remove(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/invoiceitems/ID."""
    gone = session.store.deleted("invoiceitem", identifier)
    if gone and session.store.deleted("invoice", gone["invoice"] or ""):
        message = "Can't delete an invoice item that is attached to an invoice that is no longer editable"
        raise invalid(message)
    return delete(session, session.find("invoiceitem", identifier, "id", status=404))


def delete(session: Session, item: Obj) -> Obj:
    """Delete a pending item, or one on a draft."""
    invoice = session.store.get("invoice", item["invoice"] or "")
    if invoice is not None:
        check_draft(invoice)
        lines = invoice["lines"]["data"]
        invoice["lines"]["data"] = [line for line in lines if line["id"] != item["_line"]]
        update_sums(session, invoice)
    return session.delete_and_emit(item, "invoiceitem.deleted")


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/invoiceitems. `pending` items have no invoice."""
    check_ids(session, params, "customer")

    def is_match(item: Any) -> bool:
        return params.get("pending") in (None, item["invoice"] is None)

    return page_of(session, "invoiceitem", params, "/v1/invoiceitems", filters=["invoice"], is_match=is_match)
