"""`metadata`, which every object has: merge what a request sends, within Stripe's limit of keys."""

from __future__ import annotations

from typing import Any

from seatctl.sandbox.errors import ApiError, malformed
from seatctl.sandbox.objects import Obj

MOST_KEYS = 50


def merge_metadata(old: Obj, sent: Any) -> Obj:
    """`metadata` of an update: keys are merged, an empty value removes one, an empty string all."""
    if sent == "":
        return {}
    merged = {name: value for name, value in {**old, **(sent or {})}.items() if value != ""}
    if len(merged) > max(len(old), MOST_KEYS):
        raise too_many_keys(len(merged))
    return merged


def too_many_keys(count: int) -> ApiError:
    """An object with so many keys; those it has already count too."""
    return malformed(f"Metadata can have at most {MOST_KEYS} keys; this would make it {count}.", "metadata")
