"""`ledger grants`: the SQL that gives a database role of a server its rights in the ledger."""

from __future__ import annotations

from typing import NamedTuple

from seatctl.errors import UsageError
from seatctl.ledger import roles, subscription_handles, users
from seatctl.ledger.database_grants import grant_sql, revoke_sql
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.schema.postgres.grants import DatabaseGrant
from seatctl.ledger.subscription_handles import SubscriptionName
from seatctl.ledger.transaction import Reader
from seatctl.models.database_role import DatabaseRole
from seatctl.models.role import Role
from seatctl.rules import hints
from seatctl.rules.permissions import actor_key, is_address

_OF_ONE_SUBSCRIPTION = (DatabaseRole.OWNER, DatabaseRole.ASSIGNOR)
_LONGEST = 63


class Wanted(NamedTuple):
    """What `ledger grants` is asked for."""

    role: DatabaseRole
    db_role: str
    subscription: str | None
    actor: str | None
    revoke: bool


def sql(ledger: Ledger, wanted: Wanted) -> tuple[str, list[str]]:
    """Return the SQL, and notes about what the ledger lacks for the actor.

    Raises `file_ledger`, UnknownSubscription, UsageError.
    """
    _check(wanted)
    if wanted.revoke:
        return revoke_sql(ledger, wanted.db_role), []
    with ledger.reading() as reader:
        subscription = None
        if wanted.subscription is not None:
            subscription = subscription_handles.find(reader, wanted.subscription)
        notes = (
            [] if wanted.actor is None else list(_missing(reader, wanted.role, wanted.actor, subscription))
        )
    given = DatabaseGrant(
        wanted.role,
        wanted.db_role,
        None if subscription is None else subscription.id,
        wanted.actor,
        None if wanted.actor is None else actor_key(wanted.actor),
    )
    return grant_sql(ledger, given), notes


def _check(wanted: Wanted) -> None:
    """Raise UsageError for a combination that has no meaning."""
    role, name = wanted.role, wanted.db_role
    if not 0 < len(name.encode()) <= _LONGEST or not name.isprintable():
        raise UsageError(f"{name!r} is not the name of a database role")
    if wanted.revoke:
        return
    of_one = ("--subscription", hints.Blank.SUBSCRIPTION)
    if role is DatabaseRole.OWNER and wanted.subscription is None:
        raise UsageError(
            "the role owner needs --subscription, the subscription that it owns",
            hint=hints.command("ledger", "grants", role, name, *of_one),
        )
    if wanted.subscription is not None and role not in _OF_ONE_SUBSCRIPTION:
        raise UsageError(
            f"the rights of the role {role} cannot be limited to one subscription",
            hint=hints.command("ledger", "grants", DatabaseRole.ASSIGNOR, name, *of_one),
        )
    if role is DatabaseRole.REQUESTER and (wanted.actor is None or not is_address(wanted.actor)):
        raise UsageError(
            "the role requester needs --as EMAIL, the person who requests",
            hint=hints.command("ledger", "grants", role, name, "--as", hints.Blank.EMAIL),
        )


def _missing(
    reader: Reader, role: DatabaseRole, actor: str, subscription: SubscriptionName | None
) -> list[str]:
    """Return what the program would refuse the actor although the server allows it."""
    name = None if subscription is None else subscription.name
    of = () if name is None else ("--subscription", name)
    scope = "" if name is None else f" of {name}"
    if role is DatabaseRole.REQUESTER and users.find(reader, actor) is None:
        return [f"{actor} is not a user yet: {hints.command('users', 'add', actor)}"]
    held = roles.held(reader, actor, None if subscription is None else subscription.id)
    if role is DatabaseRole.OWNER and Role.OWNER not in held and name is not None:
        return [f"{actor} is not the owner{scope} yet: {hints.command('subs', 'transfer', name, actor)}"]
    if role in {DatabaseRole.ADMIN, DatabaseRole.ASSIGNOR} and Role(role) not in held:
        grant = hints.command("roles", "grant", actor, role.value, *of)
        return [f"{actor} is not {role}{scope} in the ledger yet: {grant}"]
    return []
