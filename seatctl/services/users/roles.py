"""Roles: granted to actors, globally or for one subscription, and taken away.

The owner of a subscription is `subs transfer`'s to change.
"""

from __future__ import annotations

from collections.abc import Iterator
from shlex import quote

from seatctl.errors import Code, JsonValue, SeatctlError, UsageError, refuse
from seatctl.ledger import roles, subscriptions
from seatctl.ledger.ledger import Ledger
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.call import Call
from seatctl.models.report import Record, Report
from seatctl.models.role import Action, Grant, Role
from seatctl.rules.permissions import actor_key
from seatctl.services.users.permissions import allow

COLUMNS = ("actor", "role", "subscription", "result")


def grant_role(ledger: Ledger, call: Call, actor: str, role: Role, subscription: str | None) -> Report:
    """Give a role. Who has it already is no error. Raises RoleRequired, UnknownSubscription, UsageError."""
    with ledger.change(call) as tx:
        given, name = _grant(tx, actor, role, subscription)
        fresh = roles.grant(tx, given)
        what = _what(given, name)
        summary = f"{given.actor} is {what}" if fresh else f"{given.actor} is {what} already"
        tx.summarise(summary)
        row = _row(given, name, "granted" if fresh else "unchanged")
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=summary,
            rows=(row,),
            undo=tx.undo,
            columns=COLUMNS,
        )


def revoke_role(ledger: Ledger, call: Call, actor: str, role: Role, subscription: str | None) -> Report:
    """Take a role away.

    Raises `last_admin`, `unknown_grant`, RoleRequired, UnknownSubscription, UsageError.
    """
    with ledger.change(call) as tx:
        taken, name = _grant(tx, actor, role, subscription)
        if taken.role is Role.ADMIN and taken.subscription_id is None:
            _require_another_admin(tx, taken.actor)
        what = _what(taken, name)
        if not roles.revoke(tx, taken):
            raise refuse(
                Code.UNKNOWN_GRANT,
                f"{taken.actor} is not {what}",
                hint="seatctl roles list",
                data={"actor": taken.actor, "role": taken.role.value, "subscription": name},
            )
        summary = f"{taken.actor} is no longer {what}"
        tx.summarise(summary)
        row = _row(taken, name, "revoked")
        return Report(
            run=tx.run,
            dry_run=call.dry_run,
            summary=summary,
            rows=(row,),
            undo=tx.undo,
            columns=COLUMNS,
        )


def list_roles(reader: Reader, subscription: str | None) -> Iterator[Record]:
    """Owners and grants as records; those of one subscription, with the global ones that count there."""
    pool = None if subscription is None else subscriptions.find(reader, subscription).id
    for actor, role, name in roles.listing(reader, pool):
        yield {"actor": actor, "role": role.value, "subscription": name}


def _grant(tx: Transaction, actor: str, role: Role, subscription: str | None) -> tuple[Grant, str | None]:
    pool = None if subscription is None else subscriptions.find(tx, subscription)
    # Who may grant is a question of the whole ledger: the admin of one subscription makes no others.
    allow(tx, tx.call.actor, Action.GRANT_ROLES)
    if role is Role.OWNER:
        where = "SUBSCRIPTION" if pool is None else quote(pool.name)
        raise UsageError(
            "a subscription has one owner, who is changed in Stripe too",
            hint=f"seatctl subs transfer {where} {quote(actor)}",
            data={"role": role.value},
        )
    return Grant(
        actor_key(actor), role, None if pool is None else pool.id
    ), None if pool is None else pool.name


def _require_another_admin(tx: Transaction, actor: str) -> None:
    admins = {name for name, _ in roles.holders(tx, (Role.ADMIN,))}
    if admins == {actor}:
        raise no_admin_left(actor)


def no_admin_left(actor: str | None = None) -> SeatctlError:
    """The refusal; `actor` is the only admin, where they are known."""
    who = f"{actor} is the only admin" if actor else "no admin would be left"
    return refuse(Code.LAST_ADMIN, who, hint="first: seatctl roles grant ACTOR admin", data={"actor": actor})


def _what(grant: Grant, name: str | None) -> str:
    return grant.role.value if name is None else f"{grant.role} of {name}"


def _row(grant: Grant, name: str | None, result: str) -> dict[str, JsonValue]:
    return {"actor": grant.actor, "role": grant.role.value, "subscription": name, "result": result}
