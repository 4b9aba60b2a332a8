"""What a server says about the rights of a database role."""

from __future__ import annotations

import json

from seatctl.ledger.engines.port import EVERYTHING, Rights
from seatctl.models.database_role import DatabaseRole


def rights_of(text: str | None) -> Rights:
    """Return the rights that `own_grants()` of the server describes; None stands for the ledger's owner."""
    if text is None:
        return EVERYTHING
    actor = requester = None
    roles: set[DatabaseRole] = set()
    subscriptions: set[int | None] = set()
    for name, subscription, own_actor, own_key in json.loads(text):
        role = DatabaseRole(name)
        roles.add(role)
        actor = actor or own_actor
        requester = own_key if role is DatabaseRole.REQUESTER else requester
        if role.writes:
            subscriptions.add(subscription)
    some = tuple(sorted(number for number in subscriptions if number is not None))
    return Rights(
        actor=actor,
        reads_everything=not roles or any(role.reads_everything for role in roles),
        requester=requester,
        writes=any(role.writes for role in roles),
        checks_anybody=DatabaseRole.CHECK_ONLY in roles,
        subscriptions=some if subscriptions and None not in subscriptions else None,
    )
