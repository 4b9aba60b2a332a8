"""Check whether an actor may do something, before anything is changed."""

from __future__ import annotations

from seatctl.errors import Code, NotAllowed
from seatctl.ledger import roles, users
from seatctl.ledger.transaction import Reader
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import UserStatus
from seatctl.rules.permissions import MATRIX, permits


class RoleRequired(NotAllowed):
    """The actor has no role that permits the action."""

    kind = Code.NOT_ALLOWED


def allow(reader: Reader, actor: str, action: Action, subscription: Subscription | None = None) -> None:
    """Raise RoleRequired unless the actor may do the action; the hint names actors who may."""
    subscription_id = None if subscription is None else subscription.id
    if permits(action, roles.held(reader, actor, subscription_id)):
        return
    holders = roles.holders(reader, MATRIX[action], subscription_id)
    names = list(dict.fromkeys(name for name, _ in holders))
    scope = "" if subscription is None else f" of {subscription.name}"
    shown = ", ".join(f"{name} ({role})" for name, role in holders[:3])
    if len(holders) > 3:
        shown += f" and {len(holders) - 3} more"
    user = users.find(reader, actor)
    status = f", who is {user.status}," if user is not None and user.status is not UserStatus.ACTIVE else ""
    raise RoleRequired(
        f"{actor}{status} may not {action}{scope}",
        hint=f"ask {shown}" if holders else "use an actor who may, with --as ACTOR",
        data={
            "actor": actor,
            "action": action.value,
            "subscription": None if subscription is None else subscription.name,
            "allowed": [*names],
        },
    )
