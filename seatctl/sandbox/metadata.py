"""`metadata`, which every object has: merge what a request sends, within Stripe's limit of keys."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import ApiError, malformed
from seatctl.sandbox.objects import Obj

MOST_KEYS = 50


def merge_metadata(old: Obj, sent: Any) -> Obj:
    """Return `old` with the sent keys merged in: an empty value removes a key, an empty string all of them.

    Raises ApiError if the object would then have too many keys.
    """
    if sent == "":
        return {}
    merged = {name: value for name, value in {**old, **(sent or {})}.items() if value != ""}
    if len(merged) > max(len(old), MOST_KEYS):
        raise too_many_keys(len(merged))
    return merged


def update_metadata(obj: Obj, params: Obj, name: str = "metadata") -> None:
    """Merge the metadata that a request sends under `name`, if any, into that of an object."""
    if name in params:
        obj["metadata"] = merge_metadata(obj["metadata"], params[name])


def too_many_keys(count: int) -> ApiError:
    """Return the refusal of an object that would have `count` keys, old and new together."""
    return malformed(f"Metadata can have at most {MOST_KEYS} keys; this would make it {count}.", "metadata")
