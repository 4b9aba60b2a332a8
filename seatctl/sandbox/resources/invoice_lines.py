"""The lines of an invoice. They can change as long as the invoice is a draft."""

from __future__ import annotations

from seatctl.sandbox.billing.discounts import set_discounts
from seatctl.sandbox.billing.invoicing import add_pending_items, update_sums
from seatctl.sandbox.errors import nested_params, no_such
from seatctl.sandbox.lists import page_of_entries
from seatctl.sandbox.metadata import update_metadata
from seatctl.sandbox.objects import Obj, public, set_fields
from seatctl.sandbox.resources.invoice_items import check_draft
from seatctl.sandbox.resources.invoice_items import create as create_item
from seatctl.sandbox.resources.invoice_items import delete as delete_item
from seatctl.sandbox.resources.invoice_items import update as update_item
from seatctl.sandbox.session import Session


def list_page(session: Session, params: Obj, invoice: Obj) -> Obj:
    """GET /v1/invoices/ID/lines."""
    lines = [public(line) for line in invoice["lines"]["data"]]
    return page_of_entries(lines, params, f"/v1/invoices/{invoice['id']}/lines", "invoice line item")


def _reread(session: Session, invoice: Obj) -> Obj:
    """Return the invoice as it was last written."""
    return session.find("invoice", invoice["id"], None)


def _line(invoice: Obj, identifier: str, param: str, *, status: int = 400) -> Obj:
    lines: list[Obj] = invoice["lines"]["data"]
    for line in lines:
        if line["id"] == identifier:
            return line
    raise no_such("invoice line item", identifier, param, status=status)


def _item_of(session: Session, line: Obj) -> Obj | None:
    parent = line["parent"]
    details = parent["invoice_item_details"] or parent["subscription_item_details"]
    return session.store.get("invoiceitem", (details or {}).get("invoice_item") or "")


def update(session: Session, params: Obj, invoice: Obj, line: str) -> Obj:
    """POST /v1/invoices/ID/lines/ID."""
    check_draft(invoice)
    _change(session, invoice, _line(invoice, line, "line_item_id", status=404), params)
    return public(_line(_reread(session, invoice), line, "line_item_id"))


def _change(session: Session, invoice: Obj, line: Obj, params: Obj) -> None:
    item = _item_of(session, line)
    if item is not None:
        fields = {name: value for name, value in params.items() if name not in ("expand", "id")}
        update_item(session, fields, item)
        return
    set_fields(line, params, "description", "discountable", "period", "amount")
    update_metadata(line, params)
    set_discounts(session, line, params, invoice["customer"], invoice=invoice["id"])
    update_sums(session, invoice)


def add(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/add_lines: pending items by their ids, or new items."""
    check_draft(invoice)
    for position, entry in enumerate(params["lines"]):
        param = f"lines[{position}]"
        if entry.get("invoice_item"):
            item = session.find("invoiceitem", entry["invoice_item"], f"{param}[invoice_item]")
            draft = _reread(session, invoice)
            add_pending_items(session, draft, [item])
            update_sums(session, draft)
        else:
            with nested_params(param):
                create_item(session, {**entry, "customer": invoice["customer"], "invoice": invoice["id"]})
    return _finish(session, params, invoice)


def update_many(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/update_lines."""
    check_draft(invoice)
    for position, entry in enumerate(params["lines"]):
        draft = _reread(session, invoice)
        _change(session, draft, _line(draft, entry["id"], f"lines[{position}][id]"), entry)
    return _finish(session, params, invoice)


def remove(session: Session, params: Obj, invoice: Obj) -> Obj:
    """POST /v1/invoices/ID/remove_lines. A line's item is deleted, or waits for the next invoice."""
    check_draft(invoice)
    for position, entry in enumerate(params["lines"]):
        draft = _reread(session, invoice)
        line = _line(draft, entry["id"], f"lines[{position}][id]")
        item = _item_of(session, line)
        if item is not None and entry.get("behavior") == "delete":
            delete_item(session, item)
            continue
        draft["lines"]["data"] = [other for other in draft["lines"]["data"] if other["id"] != line["id"]]
        if item is not None:
            session.save({**item, "invoice": None})
        update_sums(session, draft)
    return _finish(session, params, invoice)


def _finish(session: Session, params: Obj, invoice: Obj) -> Obj:
    written = _reread(session, invoice)
    if "invoice_metadata" in params:
        update_metadata(written, params, "invoice_metadata")
        session.save(written)
    return session.view(written)
