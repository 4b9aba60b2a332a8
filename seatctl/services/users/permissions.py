"""Asking whether an actor may do something, before anything is changed."""

from __future__ import annotations

from seatctl.errors import Code, NotAllowed
from seatctl.ledger import roles, users
from seatctl.ledger.transaction import Reader
from seatctl.models.role import Action
from seatctl.models.subscription import Subscription
from seatctl.models.user import UserStatus
from seatctl.rules.permissions import MATRIX, permits


class RoleRequired(NotAllowed):
    """The actor holds no role that permits it."""

    kind = Code.NOT_ALLOWED


def allow(reader: Reader, actor: str, action: Action, subscription: Subscription | None = None) -> None:
    """Return if the actor may do it. Raises RoleRequired, naming who could."""
    pool = None if subscription is None else subscription.id
    if permits(action, roles.held(reader, actor, pool)):
        return
    could = roles.holders(reader, MATRIX[action], pool)
    names = list(dict.fromkeys(name for name, _ in could))
    where = "" if subscription is None else f" of {subscription.name}"
    shown = ", ".join(f"{name} ({role})" for name, role in could[:3])
    if len(could) > 3:
        shown += f" and {len(could) - 3} more"
    user = users.find(reader, actor)
    out = f", who is {user.status}," if user is not None and user.status is not UserStatus.ACTIVE else ""
    raise RoleRequired(
        f"{actor}{out} may not {action}{where}",
        hint=f"ask {shown}" if could else "name an actor who may with --as ACTOR",
        data={
            "actor": actor,
            "action": action.value,
            "subscription": None if subscription is None else subscription.name,
            "allowed": [*names],
        },
    )
