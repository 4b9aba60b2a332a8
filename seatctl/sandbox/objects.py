"""The JSON types of the sandbox and the small tools every resource shares.

Nothing here knows what an object means. `Obj` is a Stripe object as it travels: its keys are
Stripe's, its values whatever JSON holds, so `Any` is the honest type of a value.
"""

from __future__ import annotations

import os
from typing import Any

Obj = dict[str, Any]

API_VERSION = "2026-08-26.dahlia"
ENDIVE = "2026-10-28.endive"

_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_CAPITALS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


def token(length: int, *, capitals: bool = False) -> str:
    """Random letters and digits, as Stripe's ids hold them."""
    letters = _CAPITALS if capitals else _LETTERS
    return "".join(letters[byte % len(letters)] for byte in os.urandom(length))


def new_id(prefix: str) -> str:
    """A fresh id such as `cus_…`; the prefix comes without its underscore."""
    return f"{prefix}_{token(24)}"


def new_key() -> str:
    """An idempotency key as Stripe gives one to a POST that came without: a random UUID."""
    digits = os.urandom(16).hex()
    return "-".join((digits[:8], digits[8:12], f"4{digits[13:16]}", f"a{digits[17:20]}", digits[20:]))


def list_object(data: list[Obj], url: str, *, has_more: bool = False) -> Obj:
    """The envelope of a list endpoint; it has no `total_count`."""
    return {"object": "list", "data": data, "has_more": has_more, "url": url}


def embedded_list(data: list[Obj], url: str, *, has_more: bool = False, total: int | None = None) -> Obj:
    """The envelope of a list inside an object; it has a `total_count`."""
    count = len(data) if total is None else total
    return {"object": "list", "data": data, "has_more": has_more, "total_count": count, "url": url}


def pick(source: Obj, *names: str) -> Obj:
    """The named keys that `source` has."""
    return {name: source[name] for name in names if name in source}


def unset(value: Any) -> Any:
    """The empty string is how a request unsets a field."""
    return None if value == "" else value


def set_fields(obj: Obj, params: Obj, *names: str) -> None:
    """Set the named fields to the values that were sent; the empty string unsets a field."""
    for name in names:
        if name in params:
            obj[name] = unset(params[name])


_ADDRESS = ("city", "country", "line1", "line2", "postal_code", "state")


def address(sent: Any) -> Any:
    """An address with all its parts; null where none was given."""
    return {part: unset(sent.get(part)) for part in _ADDRESS} if sent else None


def shipping(sent: Any) -> Any:
    """A name, a phone and a whole address to ship to; null where none was given."""
    return {**sent, "address": address(sent.get("address")), "phone": sent.get("phone")} if sent else None
