"""Parsing of JSON columns: the objects of operations, and policies."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger.failures import RESTORE, LedgerDamaged

if TYPE_CHECKING:
    from seatctl.models.plan import Policy


class StoredObject(dict[str, JsonValue]):
    """An object of a row that is used after its transaction has ended: a missing key raises LedgerDamaged."""

    def __missing__(self, key: str) -> JsonValue:
        raise LedgerDamaged(
            f"the ledger is damaged: a stored operation has no {key!r}",
            hint=RESTORE,
            data={"key": key},
        )


def stored_object(text: str) -> dict[str, JsonValue]:
    """Return the object of a JSON column, with its inner objects. Raises ValueError for other JSON."""
    value = json.loads(text, object_hook=StoredObject)
    if not isinstance(value, StoredObject):
        raise ValueError(f"the ledger has {text[:40]!r} in place of an object")  # noqa: TRY004
    return value


@lru_cache(maxsize=100)
def stored_policy(text: str | None) -> Policy | None:
    """Return the policy of a row. Raises ValueError if this program cannot have written it.

    Cached, because thousands of subscriptions have a few policies, and parsing one takes 50 µs.
    """
    from seatctl.rules.policies import BadPolicy, from_fields

    if text is None:
        return None
    try:
        return from_fields(json.loads(text))
    except BadPolicy as error:
        raise ValueError(f"the ledger has an invalid policy: {error.message}") from error
