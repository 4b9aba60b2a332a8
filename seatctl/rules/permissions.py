"""Which role permits which action: the matrix, and the decision. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from seatctl.models.role import Action, Role
from seatctl.rules.emails import email_key

_BUYS_AND_ASSIGNS = frozenset((Role.ADMIN, Role.ASSIGNOR))
_RUNS_IT = frozenset((Role.ADMIN, Role.OWNER))
_BOTH = _BUYS_AND_ASSIGNS | _RUNS_IT
_ADMIN = frozenset((Role.ADMIN,))

MATRIX: Mapping[Action, frozenset[Role]] = {
    Action.MANAGE_PLANS: _ADMIN,
    Action.BUY: _BUYS_AND_ASSIGNS,
    Action.ADD_SEATS: _BOTH,
    Action.MANAGE_SUBSCRIPTION: _RUNS_IT,
    Action.MANAGE_USERS: _BUYS_AND_ASSIGNS,
    Action.ASSIGN: _BOTH,
    Action.DECIDE_REQUESTS: _BOTH,
    Action.REQUEST: _BOTH,
    Action.CONFIGURE_APPROVAL: _RUNS_IT,
    Action.GRANT_ROLES: _ADMIN,
    Action.NOTIFY: _BUYS_AND_ASSIGNS,
    Action.SYNC: _BUYS_AND_ASSIGNS,
    Action.MANAGE_LEDGER: _ADMIN,
}
"""Each action with the roles that permit it. A viewer may change nothing. Everybody may request and cancel
for themselves without a role (`is_self`), and read everything."""


BY_CHECKERS = ("check",)
"""The commands that work with a ledger and that a database role may use that only checks."""

BY_REQUESTERS = (*BY_CHECKERS, "requests create", "requests list", "requests show", "requests cancel")
"""Those of a requester's database role."""


def permits(action: Action, roles: Collection[Role]) -> bool:
    """Return whether one of `roles`, held globally or for the subscription, permits the action."""
    return not MATRIX[action].isdisjoint(roles)


def is_address(actor: str) -> bool:
    """Return whether an actor can get mail: `ci:deploy@host` and `os:ann@host` are not addresses."""
    return "@" in actor and ":" not in actor


def actor_key(actor: str) -> str:
    """Return the text by which two actors are the same: the key of an e-mail address, else the name."""
    return email_key(actor) if is_address(actor) else actor.strip()


def is_self(actor: str, email: str) -> bool:
    """Return whether the actor is the person with this address."""
    return is_address(actor) and email_key(actor) == email_key(email)
