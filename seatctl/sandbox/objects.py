"""Stripe objects as JSON: their type, their ids, lists of them, and reading fields from a request.

The keys of an `Obj` are Stripe's and its values any JSON, so `Any` is the honest type of a value. A field
that begins with `_` is internal to the sandbox and is never sent.
"""

from __future__ import annotations

import os
from typing import Any

Obj = dict[str, Any]

API_VERSION = "2026-08-26.dahlia"
ENDIVE = "2026-10-28.endive"
CLOVER = "2025-09-30.clover"

_EMBEDDED = 10
"""How many entries of a list an object shows; all of them are listed at the list's `url`."""
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def token(length: int, *, capitals: bool = False) -> str:
    """Return random letters and digits, as in Stripe's ids."""
    letters = _CAPITALS if capitals else _LETTERS
    return "".join(letters[byte % len(letters)] for byte in os.urandom(length))


def new_id(prefix: str) -> str:
    """Return a new id such as `cus_…`; `prefix` is without the underscore."""
    return f"{prefix}_{token(24)}"


def new_key() -> str:
    """Return the idempotency key that Stripe gives a POST without one: a random UUID."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]))


def nulls(names: str) -> Obj:
    """Return fields without a value; their names are separated by spaces."""
    return dict.fromkeys(names.split())


def new_object(
    kind: str, identifier: str, /, *, null: str = "", zero: str = "", empty: str = "", **fields: Any
) -> Obj:
    """Return an object with its fields in Stripe's order, by name.

    `null` names the fields without a value, `zero` those that are 0 and `empty` the empty lists.
    """
    alike = {**nulls(null), **dict.fromkeys(zero.split(), 0), **{name: [] for name in empty.split()}}
    every = {**alike, **fields}
    return {"id": identifier, "object": kind, **{name: every[name] for name in sorted(every)}}


def list_object(data: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """Return the list object of a list endpoint; it has no `total_count`."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def embedded_list(data: list[Obj], url: str, *, has_more: bool = False, total: int | None = None) -> Obj:
    """Return a list object that is a field of another object; it has a `total_count`."""
    count = len(data) if total is None else total
    return {"object": "list", "data": data, "has_more": has_more, "total_count": count, "url": url}


def first_entries(entries: list[Obj], url: str) -> Obj:
    """Return the first ten entries of a list inside an object."""
    has_more = len(entries) > _EMBEDDED
    return embedded_list(entries[:_EMBEDDED], url, has_more=has_more, total=len(entries))


def public(obj: Obj) -> Obj:
    """Return the object without the sandbox's internal fields."""
    return {name: value for name, value in obj.items() if not name.startswith("_")}


def pick(source: Obj, *names: str) -> Obj:
    """Return the named keys of `source` with their values, as far as it has them."""
    return {name: source[name] for name in names if name in source}


def sent(params: Obj, names: str) -> Obj:
    """Return the named parameters, separated by spaces; None for one that was not sent."""
    return {name: params.get(name) for name in names.split()}


def unset(value: Any) -> Any:
    """Return None for the empty string, with which a request unsets a field; else the value."""
    return None if value == "" else value


def set_fields(obj: Obj, params: Obj, *names: str) -> None:
    """Set the named fields to the values that were sent; the empty string unsets a field."""
    for name in names:
        if name in params:
            obj[name] = unset(params[name])


_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(sent: Any) -> Any:
    """Return an address with all its parts, or None if none was sent."""
    return {part: unset(sent.get(part)) for part in _ADDRESS} if sent else None


def shipping(sent: Any) -> Any:
    """Return shipping details with a whole address and a phone, or None if none were sent."""
    return {**sent, "address": address(sent.get("address")), "phone": sent.get("phone")} if sent else None


def subscription_of(invoice: Obj) -> str | None:
    """Return the id of the subscription that an invoice belongs to, if any."""
    parent = invoice["parent"]
    return parent["subscription_details"]["subscription"] if parent else None


def balance_in(customer: Obj, currency: str) -> int:
    """Return the customer's balance in a currency, minor units; each currency has a balance of its own."""
    if customer["currency"] in (None, currency):
        return int(customer["balance"])
    return int(customer.get("_balances", {}).get(currency, 0))


def set_balance_in(customer: Obj, currency: str, amount: int) -> None:
    """Set the customer's balance in a currency; `balance` shows that of the first currency billed."""
    if customer["currency"] in (None, currency):
        customer["balance"] = amount
    else:
        customer["_balances"] = {**customer.get("_balances", {}), currency: amount}
