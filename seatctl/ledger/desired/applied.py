"""Which subscriptions a file has described so far, by `seats apply`: kept in `meta`, as one JSON list of ids.

An export does not name a subscription of which the last person has left. What was applied before tells that
it is missing. No fact and not audited: it is read by a comparison only.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import UnnamedSubscription

_OTHERS = """SELECT id, name, assigned FROM subscriptions WHERE assigned > 0
    AND status NOT IN ('canceled', 'incomplete_expired')
    AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id') ORDER BY name_key"""


def described(reader: Reader) -> set[int]:
    """The ids of the subscriptions that a file has described."""
    found = reader.value("SELECT value FROM meta WHERE key = 'applied'")
    return set() if found is None else set(json.loads(str(found)))


def remember(journal: Journal, subscriptions: Iterable[int]) -> None:
    """Remember that a file has described these subscriptions, by id."""
    journal.execute(
        "INSERT INTO meta (key, value) VALUES ('applied', ?)"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (json.dumps(sorted(described(journal).union(subscriptions))),),
    )


def unnamed(reader: Reader, named: Sequence[Subscription]) -> tuple[UnnamedSubscription, ...]:
    """The running subscriptions of this ledger in which people sit and that are not among `named`."""
    known, these = described(reader), {subscription.id for subscription in named}
    return tuple(
        UnnamedSubscription(row["name"], row["assigned"], row["id"] in known)
        for row in reader.rows(_OTHERS)
        if row["id"] not in these
    )
