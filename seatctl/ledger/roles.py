"""Roles granted to actors, globally or for one subscription. Ownership is a column of the subscription."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from seatctl.errors import JsonValue
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.subscription_handles import HAS_ENDED
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.role import Grant, Role
from seatctl.rules.permissions import actor_key

OF_ACTOR = """(SELECT group_concat(r.role || ':' || coalesce(r.subscription_id, 0), ' ') FROM roles r
    WHERE r.actor = :actor AND NOT EXISTS
        (SELECT 1 FROM users p WHERE p.email_key = :actor AND p.status <> 'active'))"""
"""The roles granted to the actor of a change, as `Transaction.actor_roles` has them."""


def granted_to_actor(tx: Transaction, subscription_id: int | None) -> set[Role]:
    """Return the roles granted to the actor of a change, globally or for the subscription; not ownership."""
    grants = (grant.partition(":") for grant in (tx.actor_roles or "").split())
    return {Role(role) for role, _, place in grants if place in {"0", str(subscription_id)}}


def grant(tx: Transaction, new: Grant) -> bool:
    """Grant and record a role; return False if the actor has it already."""
    tx.actor_roles = None
    number = tx.value(
        "INSERT INTO roles (actor, subscription_id, role) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (actor_key(new.actor), new.subscription_id, new.role.value),
    )
    if not isinstance(number, int):
        return False
    tx.record("role", number, None, _facts(actor_key(new.actor), new.role, new.subscription_id))
    return True


def held(reader: Reader, actor: str, subscription_id: int | None = None) -> set[Role]:
    """Return the actor's roles for a subscription: global roles, roles for the subscription, and ownership.

    A suspended or removed user has no roles: a person who may not use a seat may not assign seats either.
    """
    key = actor_key(actor)
    if reader.value("SELECT 1 FROM users WHERE email_key = ? AND status <> 'active'", (key,)) is not None:
        return set()
    rows = reader.rows(
        "SELECT role FROM roles WHERE actor = :actor"
        " AND (subscription_id IS NULL OR subscription_id = :subscription)"
        " UNION SELECT 'owner' FROM subscriptions s JOIN users u ON u.id = s.owner_id"
        " WHERE s.id = :subscription AND u.email_key = :actor",
        {"actor": key, "subscription": subscription_id},
    )
    return {Role(row["role"]) for row in rows}


def holders(
    reader: Reader, roles: Collection[Role], subscription_id: int | None = None
) -> list[tuple[str, Role]]:
    """Return the actors with one of `roles`, globally or for the subscription: the owner, then by name."""
    rows = reader.rows(
        "SELECT actor, role FROM (SELECT 0 AS place, u.email AS actor, 'owner' AS role FROM subscriptions s"
        " JOIN users u ON u.id = s.owner_id WHERE s.id = :subscription AND u.status = 'active'"
        " UNION ALL SELECT 1, r.actor, r.role FROM roles r"
        " WHERE (r.subscription_id IS NULL OR r.subscription_id = :subscription) AND NOT EXISTS"
        " (SELECT 1 FROM users p WHERE p.email_key = r.actor AND p.status <> 'active')) AS held"
        " ORDER BY place, role, actor",
        {"subscription": subscription_id},
    )
    wanted = {role.value for role in roles}
    return [(row["actor"], Role(row["role"])) for row in rows if row["role"] in wanted]


def revoke(tx: Transaction, old: Grant) -> bool:
    """Revoke a role; return False if the actor does not have it."""
    number = tx.value(
        "SELECT id FROM roles WHERE actor = ? AND coalesce(subscription_id, 0) = ? AND role = ?",
        (actor_key(old.actor), old.subscription_id or 0, old.role.value),
    )
    return isinstance(number, int) and revoke_by_id(tx, number)


def revoke_by_id(tx: Transaction, number: int) -> bool:
    """Revoke and record the grant with this number; return False if there is none."""
    row = tx.row("SELECT actor, role, subscription_id FROM roles WHERE id = ?", (number,))
    if row is None:
        return False
    tx.actor_roles = None
    tx.execute("DELETE FROM roles WHERE id = ?", (number,))
    tx.record("role", number, _facts(row["actor"], row["role"], row["subscription_id"]), None)
    return True


def _facts(actor: str, role: str, subscription_id: int | None) -> dict[str, JsonValue]:
    """Return what the audit records of a grant. The number alone could be used for another grant later."""
    return {"actor": actor, "role": str(role), "subscription_id": subscription_id}


def granted(reader: Reader, actor: str) -> list[tuple[Role, str | None]]:
    """Return (role, subscription name or None if global) for each grant of an actor, without ownership."""
    rows = reader.rows(
        "SELECT r.role, s.name FROM roles r LEFT JOIN subscriptions s ON s.id = r.subscription_id"
        " WHERE r.actor = ? ORDER BY r.role, r.id",
        (actor_key(actor),),
    )
    return [(Role(row["role"]), row["name"]) for row in rows]


def rename_actor(tx: Transaction, before: str, after: str) -> None:
    """Move the roles of a user to a new e-mail.

    Only the change row of the user records this, so that undoing that change moves the roles back.
    """
    old_key, new_key = actor_key(before), actor_key(after)
    if old_key != new_key:
        tx.actor_roles = None
        tx.execute(
            "UPDATE roles SET actor = :new WHERE actor = :old AND NOT EXISTS (SELECT 1 FROM roles o"
            " WHERE o.actor = :new AND o.role = roles.role"
            " AND coalesce(o.subscription_id, 0) = coalesce(roles.subscription_id, 0))",
            {"new": new_key, "old": old_key},
        )
        tx.execute("DELETE FROM roles WHERE actor = ?", (old_key,))  # roles that the new e-mail had already


def listing(reader: Reader, subscription_id: int | None = None) -> Iterator[tuple[str, Role, str | None]]:
    """Yield (actor, role, subscription name or None if global): owners first, then grants by actor.

    With `subscription_id`, only roles that apply to the subscription.
    """
    params: dict[str, SqlValue] = {"subscription": subscription_id}
    owners = where(params, f"NOT s.{HAS_ENDED}", subscription="s.id = :subscription")
    grants = where(params, subscription="(r.subscription_id IS NULL OR r.subscription_id = :subscription)")
    rows = reader.rows(
        "SELECT actor, role, name FROM (SELECT 0 AS place, s.name_key AS key, s.id AS id,"
        " u.email AS actor, 'owner' AS role, s.name FROM subscriptions s"
        f" JOIN users u ON u.id = s.owner_id{owners}"
        " UNION ALL SELECT 1, r.actor, r.id, r.actor, r.role, s.name FROM roles r"
        f" LEFT JOIN subscriptions s ON s.id = r.subscription_id{grants}) AS held"
        " ORDER BY place, key, role, id",
        params,
    )
    for row in rows:
        yield row["actor"], Role(row["role"]), row["name"]
