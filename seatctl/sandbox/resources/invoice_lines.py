"""The lines of an invoice. They can change as long as the invoice is a draft."""

from __future__ import annotations

from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoicing import add_pending_items, update_sums
from seatctl.sandbox.errors import ApiError, nest_param, no_such
from seatctl.sandbox.lists import page_of_entries
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, public, set_fields
from seatctl.sandbox.resources.invoice_items import check_draft
from seatctl.sandbox.resources.invoice_items import create as create_item
from seatctl.sandbox.resources.invoice_items import delete as delete_item
from seatctl.sandbox.resources.invoice_items import update as update_item
from seatctl.sandbox.session import Session


def _find(session: Session, identifier: str) -> Obj:
    return session.find("invoice", identifier, "invoice", status=404)


def list_page(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/invoices/ID/lines."""
    lines = [public(line) for line in _find(session, identifier)["lines"]["data"]]
    return page_of_entries(lines, params, f"/v1/invoices/{identifier}/lines", "invoice line item")


def _line(invoice: Obj, identifier: str, param: str, *, status: int = 400) -> Obj:
    lines: list[Obj] = invoice["lines"]["data"]
    for line in lines:
        if line["id"] == identifier:
            return line
    raise no_such("invoice line item", identifier, param, status=status)


def _item_of(line: Obj) -> str | None:
    parent = line["parent"]
    details = parent["invoice_item_details"] or parent["subscription_item_details"]
    return details["invoice_item"] if details else None


def update(session: Session, params: Obj, identifier: str, line: str) -> Obj:
    """POST /v1/invoices/ID/lines/ID."""
    invoice = _find(session, identifier)
    check_draft(invoice)
    _change(session, invoice, _line(invoice, line, "line_item_id", status=404), params)
    return public(_line(_find(session, identifier), line, "line_item_id"))


def _change(session: Session, invoice: Obj, line: Obj, params: Obj) -> None:
    item = _item_of(line)
    if item is not None:
        fields = {name: value for name, value in params.items() if name not in ("expand", "id")}
        update_item(session, fields, item)
        return
    set_fields(line, params, "description", "discountable", "period", "amount")
    update_metadata(line, params)
    set_discounts(session, line, params, invoice["customer"], invoice=invoice["id"])
    update_sums(session, invoice)


def add(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/add_lines: pending items by their ids, or new items."""
    invoice = _find(session, identifier)
    check_draft(invoice)
    for position, entry in enumerate(params["lines"]):
        if entry.get("invoice_item"):
            _add_pending(session, identifier, entry["invoice_item"], f"lines[{position}][invoice_item]")
        else:
            item = {**entry, "customer": invoice["customer"], "invoice": identifier}
            try:
                create_item(session, item)
            except ApiError as error:
                raise nest_param(f"lines[{position}]", error) from None
    return _finish(session, params, identifier)


def _add_pending(session: Session, identifier: str, item_id: str, param: str) -> None:
    item = session.find("invoiceitem", item_id, param)
    invoice = _find(session, identifier)
    add_pending_items(session, invoice, [item])
    update_sums(session, invoice)


def update_many(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/update_lines."""
    check_draft(_find(session, identifier))
    for position, entry in enumerate(params["lines"]):
        invoice = _find(session, identifier)
        _change(session, invoice, _line(invoice, entry["id"], f"lines[{position}][id]"), entry)
    return _finish(session, params, identifier)


def remove(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/invoices/ID/remove_lines. A line's item is deleted, or waits for the next invoice."""
    check_draft(_find(session, identifier))
    for position, entry in enumerate(params["lines"]):
        invoice = _find(session, identifier)
        line = _line(invoice, entry["id"], f"lines[{position}][id]")
        item = _item_of(line)
        if item is not None and entry.get("behavior") == "delete":
            delete_item(session, {}, item)
            continue
        invoice["lines"]["data"] = [other for other in invoice["lines"]["data"] if other["id"] != line["id"]]
        if item is not None:
            session.save({**session.find("invoiceitem", item, None), "invoice": None})
        update_sums(session, invoice)
    return _finish(session, params, identifier)


def _finish(session: Session, params: Obj, identifier: str) -> Obj:
    invoice = _find(session, identifier)
    if "invoice_metadata" in params:
        update_metadata(invoice, params, "invoice_metadata")
        session.save(invoice)
    return session.view(invoice)
