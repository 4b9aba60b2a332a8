"""Products. Creating one may create its default price too."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.billing.catalog import create_product, set_product_fields
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.lists import page_of
from seatctl.sandbox.objects import Obj, unset
from seatctl.sandbox.session import Session, changed


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/products."""
    return create_product(session, params)


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/products/ID. A change sets `updated`."""
    product = session.find("product", identifier, "id", status=404)
    set_product_fields(product, params)
    if "default_price" in params:
        price = unset(params["default_price"])
        if price is not None and session.find("price", price, "default_price")["product"] != identifier:
            raise invalid(
                f"The price `{price}` does not belong to the product `{identifier}`.", "default_price"
            )
        product["default_price"] = price
    if changed(session.find("product", identifier, None), product):
        product["updated"] = session.now
    return session.save_changed(product, "product.updated")


def delete(session: Session, params: Obj, identifier: str) -> Obj:
    """DELETE /v1/products/ID; refused if the product has a price."""
    product = session.find("product", identifier, "id", status=404)
    if next(session.store.walk("price", parent=identifier), None) is not None:
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    return session.delete_and_emit(product, "product.deleted")


def list_page(session: Session, params: Obj) -> Obj:
    """GET /v1/products. Deleted and unknown products among `ids` are left out."""

    def is_match(product: Any) -> bool:
        return "ids" not in params or product["id"] in params["ids"]

    filters = ["active", "shippable", "url"]
    return page_of(session, "product", params, "/v1/products", filters=filters, is_match=is_match)
