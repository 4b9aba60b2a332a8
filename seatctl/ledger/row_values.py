"""Values of the ledger's rows that take more than a look: a policy, and what an operation needs."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING

from seatctl.errors import JsonValue
from seatctl.ledger.failures import RESTORE, LedgerDamaged

if TYPE_CHECKING:
    from seatctl.models.plan import Policy


class StoredObject(dict[str, JsonValue]):
    """An object of a row, read long after its transaction: a key that it lacks is the ledger's damage."""

    def __missing__(self, key: str) -> JsonValue:
        raise LedgerDamaged(
            f"the ledger is damaged: what it holds of an operation lacks {key!r}",
            hint=RESTORE,
            data={"key": key},
        )


def stored_object(text: str) -> dict[str, JsonValue]:
    """The object of a row, with those inside it. Raises ValueError for anything else."""
    found = json.loads(text, object_hook=StoredObject)
    if not isinstance(found, StoredObject):
        raise ValueError(f"the ledger holds {text[:40]!r} in place of an object")  # noqa: TRY004
    return found


@lru_cache(maxsize=100)
def stored_policy(text: str | None) -> Policy | None:
    """The policy of a row. Raises ValueError where no seatctl has written it: nobody has typed it here.

    Remembered, because thousands of subscriptions follow a few policies, and reading one takes 50 µs.
    """
    from seatctl.rules.policies import BadPolicy, from_fields

    if text is None:
        return None
    try:
        return from_fields(json.loads(text))
    except BadPolicy as error:
        raise ValueError(f"the ledger holds a policy that cannot be: {error.message}") from error
