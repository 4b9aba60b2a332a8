"""`expand[]`: replaces ids by their objects, and adds the fields that are shown on request only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from seatctl.sandbox.billing.catalog import currency_options
from seatctl.sandbox.due import ENDED
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj, first_entries, pick
from seatctl.sandbox.session import Session, deleted

_DEPTH = 4
Include = Callable[[Session, Obj], Any]


def expanded(session: Session, body: Obj, paths: list[str]) -> Obj:
    """Return the answer with every path expanded, at most four levels deep."""
    for path in paths:
        parts = path.split(".")
        if len(parts) > _DEPTH:
            raise invalid(f"You cannot expand more than 4 levels of a property. Property: {path}", "expand")
        body = _expand_at(session, body, parts, path)
    return body


def _expand_at(session: Session, value: Any, parts: list[str], path: str) -> Any:
    if not parts or value is None:
        return value
    if isinstance(value, list):
        return [_expand_at(session, entry, parts, path) for entry in value]
    if not isinstance(value, dict):
        raise _refusal(path)
    name, rest = parts[0], parts[1:]
    include = _INCLUDED.get((str(value.get("object")), name))
    if name not in value and include is not None:
        value = {**value, name: include(session, value)}
    if name not in value:
        raise _refusal(path)
    below = _resolve(session, value[name], last=not rest, path=path)
    return {**value, name: _expand_at(session, below, rest, path)}


def _resolve(session: Session, value: Any, *, last: bool, path: str) -> Any:
    if isinstance(value, list):
        return [_resolve(session, entry, last=False, path=path) for entry in value]
    if not isinstance(value, str):
        return value
    obj = session.store.get_any(value)
    if obj is not None:
        return session.view(obj)
    if session.store.deleted("customer", value):
        return deleted("customer", value)
    if last and "_" not in value:
        raise _refusal(path)
    return value


def _refusal(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")


def _listed(kind: str, url: str, *, by: str, without: Sequence[str] = ()) -> Include:
    """Return what lists the objects of a kind inside their owner, except those of the statuses `without`.

    `by` is how the store finds them: by `customer` or by `parent`.
    """

    def include(session: Session, owner: Obj) -> Obj:
        objects = session.store.walk(kind, **{by: owner["id"]})
        data = [session.view(obj) for obj in objects if obj.get("status") not in without]
        return first_entries(data, url.format(owner["id"]))

    return include


def _confirmation_secret(session: Session, invoice: Obj) -> Any:
    for payment in session.store.walk("invoice_payment", parent=invoice["id"]):
        intent = session.store.get("payment_intent", payment["payment"]["payment_intent"])
        if intent is not None:
            return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _stored(session: Session, shown: Obj) -> Obj:
    """Return an object as the sandbox stores it, with its internal fields."""
    return session.store.get(shown["object"], shown["id"]) or shown


def _tax(session: Session, customer: Obj) -> Obj:
    """Return what Stripe knows of the customer's location; the sandbox knows the billing address only."""
    address = customer["address"] or {}
    location = {**pick(address, "country", "state"), "source": "billing_address"}
    return {
        "automatic_tax": "supported" if address.get("country") else "unrecognized_location",
        "ip_address": None,
        "location": location if address.get("country") else None,
        "provider": "stripe",
    }


def _applies_to(session: Session, coupon: Obj) -> Any:
    products = _stored(session, coupon).get("_products")
    return {"products": products} if products else None


_INCLUDED: dict[tuple[str, str], Include] = {
    ("invoice", "payments"): _listed("invoice_payment", "/v1/invoices/{}/payments", by="parent"),
    ("invoice", "amount_paid_off_stripe"): lambda session, obj: _stored(session, obj).get("_off_stripe", 0),
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("customer", "subscriptions"): _listed(
        "subscription", "/v1/customers/{}/subscriptions", by="customer", without=ENDED
    ),
    ("customer", "sources"): lambda _, customer: first_entries([], f"/v1/customers/{customer['id']}/sources"),
    ("customer", "cash_balance"): lambda _, customer: None,
    ("customer", "invoice_credit_balance"): lambda _, customer: {},
    ("customer", "tax"): _tax,
    ("customer", "tax_ids"): _listed("tax_id", "/v1/customers/{}/tax_ids", by="customer"),
    ("price", "tiers"): lambda session, price: _stored(session, price).get("_tiers") or None,
    ("price", "currency_options"): lambda session, price: currency_options(_stored(session, price)),
    ("charge", "refunds"): _listed("refund", "/v1/charges/{}/refunds", by="parent"),
    ("coupon", "applies_to"): _applies_to,
}
