"""Products. Creating one may create its default price too."""

from __future__ import annotations

from seatctl.sandbox.billing.catalog import create_product, set_product_fields
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj, unset
from seatctl.sandbox.session import Session, changed


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/products."""
    return create_product(session, params)


def update(session: Session, params: Obj, product: Obj) -> Obj:
    """POST /v1/products/ID. A change sets `updated`."""
    set_product_fields(product, params)
    if "default_price" in params:
        price = unset(params["default_price"])
        if price is not None and session.find("price", price, "default_price")["product"] != product["id"]:
            raise invalid(
                f"The price `{price}` does not belong to the product `{product['id']}`.", "default_price"
            )
        product["default_price"] = price
    if changed(session.find("product", product["id"], None), product):
        product["updated"] = session.now
    return session.save_changed(product, "product.updated")


def delete(session: Session, params: Obj, product: Obj) -> Obj:
    """DELETE /v1/products/ID; refused if the product has a price."""
    if next(session.store.walk("price", parent=product["id"]), None) is not None:
        raise invalid("This product cannot be deleted because it has one or more user-created prices.")
    return session.delete_and_emit(product, "product.deleted")
