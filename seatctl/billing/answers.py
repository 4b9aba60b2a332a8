"""Which answer each call must get. Pure.

Any other answer (a login page, half a body, another object) proves nothing: neither that the call was carried
out nor that it was not. The expected answer follows from method and path, because Stripe names its objects
after its collections. So calls journalled by an older version are checked as well.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from seatctl.errors import JsonValue

_NAMESPACES: Final = frozenset({"checkout", "billing_portal", "test_helpers"})
"""First parts of paths such as `/v1/checkout/sessions`, whose objects are called `checkout.session`."""

_INSIDE: Final = {"lines": "line_item", "payments": "invoice_payment"}
"""Collections inside an object whose entries have another name."""

_MADE_INSIDE: Final = frozenset({"tax_ids"})
"""Collections inside an object to which something can be added; any other word that is posted to is a
verb."""

_PREVIEWS: Final = frozenset({"create_preview", "preview"})
_SHARED: Final = re.compile("pm_[A-Za-z0-9]+_.+")
"""Stripe's test methods (`pm_card_visa`) are shared by everybody: once attached or read, they have another
id."""


@dataclass(frozen=True, slots=True)
class ExpectedAnswer:
    """An object of a type, with the id in the path, or a list of such objects."""

    object: str
    id: str | None = None
    is_list: bool = False


def expected(method: str, path: str) -> ExpectedAnswer:
    """Return what Stripe answers to `method` ("get", "post" or "delete") on `path`."""
    parts = [unquote(part) for part in path.partition("?")[0].removeprefix("/v1/").split("/")]
    names = 2 if parts[0] in _NAMESPACES else 1
    name, rest = ".".join(parts[:names]).removesuffix("s"), parts[names:]
    if is_preview(path):
        return ExpectedAnswer(name)
    if len(rest) > 1 and (method == "get" or rest[1] in _MADE_INSIDE):
        name, rest = _INSIDE.get(rest[1], rest[1].removesuffix("s")), rest[2:]
    if rest:
        return ExpectedAnswer(name, None if _SHARED.fullmatch(rest[0]) else rest[0])
    return ExpectedAnswer(name, is_list=method == "get" and name != "account")


def is_preview(path: str) -> bool:
    """Return whether the answer is an object that does not exist: it has no id and lacks some fields."""
    return path.rpartition("/")[2] in _PREVIEWS


def problem(method: str, path: str, answer: JsonValue) -> str | None:
    """Return why this JSON is not the answer to the call, or None if it is."""
    wanted = expected(method, path)
    if not isinstance(answer, dict) or answer.get("object") != ("list" if wanted.is_list else wanted.object):
        return f"it is not {_called(wanted)}"
    if wanted.is_list:
        return _problem_of_list(wanted, answer)
    if wanted.id is not None and answer.get("id") != wanted.id:
        return f"it is not {wanted.id}"
    if not _has_id(answer) and not is_preview(path):
        return "it has no id"
    if method == "delete" and wanted.object != "subscription" and answer.get("deleted") is not True:
        return "it does not confirm the deletion"
    return None


def _problem_of_list(wanted: ExpectedAnswer, answer: dict[str, JsonValue]) -> str | None:
    entries = answer.get("data")
    if not isinstance(entries, list):
        return f"it is not {_called(wanted)}"
    if not isinstance(answer.get("has_more"), bool):
        return "it does not say whether the list continues"
    for entry in entries:
        if not isinstance(entry, dict) or entry.get("object") != wanted.object or not _has_id(entry):
            return f"it is not {_called(wanted)}"
    return None


def _has_id(holder: dict[str, JsonValue]) -> bool:
    identifier = holder.get("id")
    return isinstance(identifier, str) and bool(identifier)


def _called(wanted: ExpectedAnswer) -> str:
    return f"a list of {wanted.object} objects" if wanted.is_list else f"an object of type {wanted.object}"
