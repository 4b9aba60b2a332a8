"""Roles: whether an actor may do something; and `roles grant`, `revoke` and `list`.

The owner of a subscription is changed by `subs transfer` instead.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from seatctl.errors import Code, JsonValue, NotAllowed, SeatctlError, UsageError, refuse
from seatctl.ledger import roles, subscriptions, users
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.report import Record, Report
from seatctl.models.role import Action, Grant, Role
from seatctl.models.subscription import Subscription
from seatctl.models.user import UserStatus
from seatctl.rules.permissions import MATRIX, actor_key, permits


class RoleRequired(NotAllowed):
    """The actor has no role that permits the action."""

    kind = Code.NOT_ALLOWED


def allow(reader: Reader, actor: str, action: Action, subscription: Subscription | None = None) -> None:
    """Raise RoleRequired unless the actor may do the action; the hint names actors who may."""
    subscription_id = None if subscription is None else subscription.id
    # Granted roles are known since the transaction began; whether the actor is the owner has to be asked.
    granted: set[Role] = set()
    if isinstance(reader, Transaction) and actor == reader.call.actor:
        granted = roles.granted_to_actor(reader, subscription_id)
    if permits(action, granted) or permits(action, roles.held(reader, actor, subscription_id)):
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


COLUMNS = ("actor", "role", "subscription", "result")


def grant_role(ledger: Ledger, call: Call, actor: str, role: Role, subscription: str | None) -> Report:
    """Grant a role. An actor who has it already is not an error.

    Raises RoleRequired, UnknownSubscription, UsageError.
    """
    with ledger.change(call) as tx:
        grant, name = _grant(tx, actor, role, subscription)
        is_new = roles.grant(tx, grant)
        title = _title(grant, name)
        summary = f"made {grant.actor} {title}" if is_new else f"{grant.actor} is already {title}"
        row = _row(grant, name, "granted" if is_new else "unchanged")
        return tx.report(summary, (row,), COLUMNS, unchanged=not is_new)


def revoke_role(ledger: Ledger, call: Call, actor: str, role: Role, subscription: str | None) -> Report:
    """Revoke a role.

    Raises `last_admin`, `unknown_grant`, RoleRequired, UnknownSubscription, UsageError.
    """
    with ledger.change(call) as tx:
        grant, name = _grant(tx, actor, role, subscription)
        if grant == Grant(grant.actor, Role.ADMIN, None):
            admins = {name for name, _ in roles.holders(tx, (Role.ADMIN,))}
            if admins == {grant.actor}:
                raise no_admin_left(grant.actor)
        title = _title(grant, name)
        if not roles.revoke(tx, grant):
            raise refuse(
                Code.UNKNOWN_GRANT,
                f"{grant.actor} is not {title}",
                hint="seatctl roles list",
                data={"actor": grant.actor, "role": grant.role.value, "subscription": name},
            )
        summary = f"revoked the role of {grant.actor}: {title}"
        return tx.report(summary, (_row(grant, name, "revoked"),), COLUMNS)


def list_roles(reader: Reader, subscription: str | None) -> Iterator[Record]:
    """Yield owners and grants as records; for one subscription, with the global roles that apply to it."""
    subscription_id = None if subscription is None else subscriptions.find(reader, subscription).id
    for actor, role, name in roles.listing(reader, subscription_id):
        yield {"actor": actor, "role": role.value, "subscription": name}


def _grant(tx: Transaction, actor: str, role: Role, handle: str | None) -> tuple[Grant, str | None]:
    """Return the grant that the arguments mean, and the subscription's name. Raises RoleRequired first."""
    subscription = None if handle is None else subscriptions.find(tx, handle)
    # Without the subscription: an admin of one subscription must not make others its admins.
    allow(tx, tx.call.actor, Action.GRANT_ROLES)
    if role is Role.OWNER:
        name = "SUBSCRIPTION" if subscription is None else quote(subscription.name)
        raise UsageError(
            "the owner of a subscription cannot be granted or revoked as a role: there is always one",
            hint=f"seatctl subs transfer {name} {quote(actor)}",
            data={"role": role.value},
        )
    if subscription is None:
        return Grant(actor_key(actor), role, None), None
    return Grant(actor_key(actor), role, subscription.id), subscription.name


def no_admin_left(actor: str | None = None) -> SeatctlError:
    """Return the refusal; `actor` is the only admin, if known."""
    problem = f"{actor} is the only admin" if actor else "no admin would be left"
    return refuse(
        Code.LAST_ADMIN, problem, hint="first: seatctl roles grant ACTOR admin", data={"actor": actor}
    )


def _title(grant: Grant, name: str | None) -> str:
    """Return `admin`, `viewer of design`."""
    return grant.role.value if name is None else f"{grant.role} of {name}"


def _row(grant: Grant, name: str | None, result: str) -> dict[str, JsonValue]:
    return {"actor": grant.actor, "role": grant.role.value, "subscription": name, "result": result}
