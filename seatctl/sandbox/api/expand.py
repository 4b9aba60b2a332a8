"""`expand[]`: replaces ids by their objects, and adds the fields that are shown on request only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from seatctl.sandbox.billing.catalog import currency_options
from seatctl.sandbox.billing.subscription_states import ENDED
from seatctl.sandbox.changes import deleted
from seatctl.sandbox.errors import invalid
from seatctl.sandbox.objects import Obj
from seatctl.sandbox.session import Session
from seatctl.sandbox.views import first_entries, view

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
        return view(session, obj)
    if session.store.was_deleted("customer", value):
        return deleted("customer", value)
    if last and "_" not in value:
        raise _refusal(path)
    return value


def _refusal(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")


def _payments(session: Session, invoice: Obj) -> Obj:
    data = [view(session, payment) for payment in session.store.walk("invoice_payment", parent=invoice["id"])]
    return first_entries(data, f"/v1/invoices/{invoice['id']}/payments")


def _subscriptions(session: Session, customer: Obj) -> Obj:
    subscriptions = session.store.walk("subscription", customer=customer["id"])
    data = [view(session, obj) for obj in subscriptions if obj["status"] not in ENDED]
    return first_entries(data, f"/v1/customers/{customer['id']}/subscriptions")


def _confirmation_secret(session: Session, invoice: Obj) -> Any:
    for payment in session.store.walk("invoice_payment", parent=invoice["id"]):
        intent = session.store.get("payment_intent", payment["payment"]["payment_intent"])
        if intent is not None and intent["status"] not in ("succeeded", "canceled"):
            return {"client_secret": intent["client_secret"], "type": "payment_intent"}
    return None


def _paid_off_stripe(session: Session, invoice: Obj) -> Any:
    """Return what was paid out of band."""
    stored = session.store.get("invoice", invoice["id"]) or {}
    return stored.get("_off_stripe", 0)


def _tiers(session: Session, price: Obj) -> Any:
    return (session.store.get("price", price["id"]) or {}).get("_tiers") or None


def _currency_options(session: Session, price: Obj) -> Any:
    return currency_options(session.store.get("price", price["id"]) or price)


def _tax_ids(session: Session, customer: Obj) -> Obj:
    data = [view(session, tax_id) for tax_id in session.store.walk("tax_id", customer=customer["id"])]
    return first_entries(data, f"/v1/customers/{customer['id']}/tax_ids")


def _refunds(session: Session, charge: Obj) -> Obj:
    data = [view(session, refund) for refund in session.store.walk("refund", parent=charge["id"])]
    return first_entries(data, f"/v1/charges/{charge['id']}/refunds")


def _applies_to(session: Session, coupon: Obj) -> Any:
    products = (session.store.get("coupon", coupon["id"]) or {}).get("_products")
    return {"products": products} if products else None


_INCLUDED: dict[tuple[str, str], Include] = {
    ("invoice", "payments"): _payments,
    ("invoice", "amount_paid_off_stripe"): _paid_off_stripe,
    ("invoice", "confirmation_secret"): _confirmation_secret,
    ("customer", "subscriptions"): _subscriptions,
    ("customer", "tax_ids"): _tax_ids,
    ("price", "tiers"): _tiers,
    ("price", "currency_options"): _currency_options,
    ("charge", "refunds"): _refunds,
    ("coupon", "applies_to"): _applies_to,
}
