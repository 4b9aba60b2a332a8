"""Products; one may be made together with its default price."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.catalog import create_product, set_product_fields
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.lists import matches, page_of
from seatctl.sandbox.objects import Obj, unset
from seatctl.sandbox.session import Session, changed
from seatctl.sandbox.views import view


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/products."""
    return create_product(session, params)


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/products/ID; `updated` moves."""
    product = session.find("product", identifier, "id", status=404)
    before = view(session, session.find("product", identifier, None))
    set_product_fields(product, params)
    if "default_price" in params:
        price = unset(params["default_price"])
        if price is not None and session.find("price", price, "default_price")["product"] != identifier:
            raise invalid(
                f"The price `{price}` does not belong to the product `{identifier}`.", "default_price"
            )
        product["default_price"] = price
    if changed(before, view(session, product)):
        product["updated"] = session.now
        session.save(product)
        session.emit("product.updated", view(session, product), before)
    return view(session, product)


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/products/ID; refused while it has a price."""
    product = session.find("product", identifier, "id", status=404)
    if next(session.store.walk("price", parent=identifier), None) is not None:
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    session.store.delete(identifier)
    session.emit("product.deleted", view(session, product))
    return {"id": identifier, "object": "product", "deleted": True}


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/products; `ids` skips deleted and unknown ones."""

    def keep(product: Any) -> bool:
        wanted = "ids" not in params or product["id"] in params["ids"]
        return wanted and matches(product, params, "active", "shippable", "url")

    return page_of(session, "product", params, "/v1/products", keep=keep)
