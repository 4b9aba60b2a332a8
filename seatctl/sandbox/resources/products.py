"""Products; one may be made together with its default price."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.api.errors import invalid
from seatctl.sandbox.api.lists import listing, matches
from seatctl.sandbox.api.session import Session, changed
from seatctl.sandbox.api.views import view
from seatctl.sandbox.wire import Obj, merge_metadata, token, unset

_PLAIN = ("active", "description", "images", "marketing_features", "name", "shippable",
          "statement_descriptor", "unit_label", "url")  # fmt: skip


def create(session: Session, params: Obj) -> Obj:
    """POST /v1/products."""
    if params.get("id") and session.store.any(params["id"]):
        raise invalid("Product already exists.", "id", code="resource_already_exists")
    product = blank(session.now, params.get("id"))
    _apply(product, params)
    session.save(product)
    if params.get("default_price_data"):
        from seatctl.sandbox.resources.prices import make

        price = make(session, {**params["default_price_data"], "product": product["id"]})
        product["default_price"] = price["id"]
        session.save(product)
    shown = view(session, product)
    session.emit("product.created", shown)
    return shown


def blank(now: int, identifier: str | None = None) -> Obj:
    """A product with every field at its default."""
    return {
        "id": identifier or f"prod_{token(14)}",
        "object": "product",
        "active": True,
        "attributes": [],
        "created": now,
        "default_price": None,
        "description": None,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": "",
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "tax_details": None,
        "type": "service",
        "unit_label": None,
        "updated": now,
        "url": None,
    }


def _apply(product: Obj, params: Obj) -> None:
    for name in _PLAIN:
        if name in params:
            product[name] = unset(params[name])
    for name in ("images", "marketing_features"):
        product[name] = product[name] or []
    if "package_dimensions" in params:
        sizes = unset(params["package_dimensions"])
        product["package_dimensions"] = sizes and {name: float(size) for name, size in sizes.items()}
    if "tax_code" in params:
        code = unset(params["tax_code"])
        product["tax_code"] = code
        product["tax_details"] = code and {"performance_location": None, "tax_code": code}
    if "metadata" in params:
        product["metadata"] = merge_metadata(product["metadata"], params["metadata"])


def retrieve(session: Session, params: Obj, identifier: str) -> Obj:
    """GET /v1/products/ID."""
    return view(session, session.find("product", identifier, "id", status=404))


def update(session: Session, params: Obj, identifier: str) -> Obj:
    """POST /v1/products/ID; `updated` moves."""
    product = session.find("product", identifier, "id", status=404)
    before = view(session, session.find("product", identifier, None))
    _apply(product, params)
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


def listed(session: Session, params: Obj) -> Obj:
    """GET /v1/products; `ids` skips deleted and unknown ones."""

    def keep(product: Any) -> bool:
        wanted = "ids" not in params or product["id"] in params["ids"]
        return wanted and matches(product, params, "active", "shippable", "url")

    return listing(session, "product", params, "/v1/products", keep=keep)
