"""What a proxy, a captive portal, a cut line or another version of Stripe makes of an answer.

`damaged` takes the answer that Stripe gave and returns what arrives instead. Stripe has done its work all
the same, so nothing may be concluded from such an answer, except from one of `STILL_VALID`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

Body = str
Answer = tuple[int, Body]

PAGE = "<html><body>Please log in to use this network</body></html>"

REFERENCES = {
    "customer": "customer",
    "subscription": "subscription",
    "latest_invoice": "invoice",
    "invoice": "invoice",
    "default_payment_method": "payment_method",
    "payment_method": "payment_method",
    "product": "product",
    "default_price": "price",
    "price": "price",
    "payment_intent": "payment_intent",
    "charge": "charge",
    "setup_intent": "setup_intent",
    "invoice_item": "invoiceitem",
    "subscription_item": "subscription_item",
    "coupon": "coupon",
    "promotion_code": "promotion_code",
    "test_clock": "test_helpers.test_clock",
}
"""Fields that hold an id, or the object itself where a version or an account expands it."""

KINDS: tuple[str, ...] = (
    "cut",
    "empty",
    "html",
    "object",
    "null",
    "list",
    "text",
    "wrong type",
    "wrong id",
    "null fields",
    "odd fields",
    "expanded",
    "no content",
    "redirect",
    "error text",
    "error object",
    "portal 403",
    "portal 404",
    "portal 407",
    "gateway 502",
)

STILL_VALID = frozenset({"expanded"})
"""Kinds that leave an answer which Stripe might give: it must simply work."""


def damaged(kind: str, method: str, path: str, status: int, body: Body) -> Answer:
    """What arrives in place of this answer; the answer itself if the kind has nothing to damage in it.

    `path` may have a query. Always the same for the same answer.
    """
    return _KINDS[kind](method, path.partition("?")[0], status, body)


def is_damaged(kind: str, method: str, path: str, status: int, body: Body) -> bool:
    """Whether this kind makes another answer of it."""
    return damaged(kind, method, path, status, body) != (status, body)


def _becomes(status: int | None, text: str) -> Callable[[str, str, int, Body], Answer]:
    def damage(method: str, path: str, was: int, body: Body) -> Answer:
        return was if status is None else status, text

    return damage


def _cut(method: str, path: str, status: int, body: Body) -> Answer:
    return status, body[: len(body) // 2]


def _parsed(change: Callable[[str, dict[str, Any]], Any]) -> Callable[[str, str, int, Body], Answer]:
    """A kind that changes what the JSON of a success says."""

    def damage(method: str, path: str, status: int, body: Body) -> Answer:
        if not 200 <= status < 300:
            return status, body
        found = json.loads(body)
        changed = change(path, found)
        return status, body if changed == found else json.dumps(changed, separators=(",", ":"))

    return damage


def _wrong_type(path: str, found: dict[str, Any]) -> dict[str, Any]:
    if found.get("object") == "list" and found["data"]:
        return {**found, "data": [{**one, "object": "file_link"} for one in found["data"]]}
    return {**found, "object": "file_link"}


def _wrong_id(path: str, found: dict[str, Any]) -> dict[str, Any]:
    """The id of what the path names; what a create or a list answers may have any id."""
    if found.get("id") in [unquote(part) for part in path.split("/")]:
        return {**found, "id": f"{found['id']}x"}
    return found


def _null_fields(path: str, found: dict[str, Any]) -> dict[str, Any]:
    """Nothing but type and id: of an object all other fields, of a list those of what is in it."""
    if found.get("object") == "list":
        return {**found, "data": [_null_fields(path, one) for one in found["data"]]}
    return {name: value if name in {"object", "id"} else None for name, value in found.items()}


def _odd_fields(path: str, found: dict[str, Any]) -> dict[str, Any]:
    """Every text a number, every number a text, every list an object, every object a list."""
    if found.get("object") == "list":
        return {**found, "data": [_odd_fields(path, one) for one in found["data"]]}
    return {name: value if name in {"object", "id"} else _odd(value) for name, value in found.items()}


def _odd(value: Any) -> Any:
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, dict):
        return [value]
    if isinstance(value, list):
        return {"data": value}
    return 7 if isinstance(value, str) else str(value)


def _expanded(path: str, found: Any) -> Any:
    """Every reference is the object that it names."""
    if isinstance(found, list):
        return [_expanded(path, one) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        name: {"id": value, "object": REFERENCES[name]}
        if name in REFERENCES and isinstance(value, str)
        else _expanded(path, value)
        for name, value in found.items()
    }


_KINDS: dict[str, Callable[[str, str, int, Body], Answer]] = {
    "cut": _cut,
    "empty": _becomes(None, ""),
    "html": _becomes(200, PAGE),
    "object": _becomes(200, "{}"),
    "null": _becomes(200, "null"),
    "list": _becomes(200, "[]"),
    "text": _becomes(200, '"ok"'),
    "wrong type": _parsed(_wrong_type),
    "wrong id": _parsed(_wrong_id),
    "null fields": _parsed(_null_fields),
    "odd fields": _parsed(_odd_fields),
    "expanded": _parsed(_expanded),
    "no content": _becomes(204, ""),
    "redirect": _becomes(302, ""),
    "error text": _becomes(400, '{"error":"bad gateway"}'),
    "error object": _becomes(402, '{"error":{"message":"blocked by policy"}}'),
    "portal 403": _becomes(403, PAGE),
    "portal 404": _becomes(404, PAGE),
    "portal 407": _becomes(407, PAGE),
    "gateway 502": _becomes(502, PAGE),
}
assert set(KINDS) == set(_KINDS)
