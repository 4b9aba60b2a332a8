"""The subscriptions that files of `seats apply` have described so far: a JSON list of ids in `meta`.

An export does not name a subscription that its last member has left; this list shows that it is missing. It
is not a fact and not audited: only comparisons read it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Journal, Reader
from seatctl.models.subscription import Subscription
from seatctl.rules.desired_state import UnnamedSubscription

_OTHERS = f"""SELECT id, name, assigned FROM subscriptions WHERE assigned > 0
    AND NOT {HAS_ENDED}
    AND home_ledger = (SELECT value FROM meta WHERE key = 'ledger_id') ORDER BY name_key"""


def described(reader: Reader) -> set[int]:
    """Return the ids of the subscriptions that a file has described."""
    text = reader.value("SELECT value FROM meta WHERE key = 'applied'")
    return set() if text is None else set(json.loads(str(text)))


def remember(journal: Journal, subscriptions: Iterable[int]) -> None:
    """Store that a file has described the subscriptions with these ids."""
    journal.execute("INSERT INTO meta (key, value) VALUES ('applied', '[]') ON CONFLICT (key) DO NOTHING")
    # Otherwise another client could store its own ids between the two statements, and they would be lost.
    journal.engine.lock_rows("SELECT value FROM meta WHERE key = 'applied'")
    known = described(journal).union(subscriptions)
    journal.execute("UPDATE meta SET value = ? WHERE key = 'applied'", (json.dumps(sorted(known)),))


def unnamed(reader: Reader, named: Sequence[Subscription]) -> tuple[UnnamedSubscription, ...]:
    """Return the running subscriptions of this ledger that have people assigned and are not among `named`."""
    described_ids, named_ids = described(reader), {subscription.id for subscription in named}
    return tuple(
        UnnamedSubscription(row["name"], row["assigned"], row["id"] in described_ids)
        for row in reader.rows(_OTHERS)
        if row["id"] not in named_ids
    )
