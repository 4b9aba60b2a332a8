"""Roles granted to actors, globally or for one subscription. Ownership is the subscription's own column."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from seatctl.errors import JsonValue
from seatctl.ledger.conditions import where
from seatctl.ledger.engines.port import SqlValue
from seatctl.ledger.transaction import Reader, Transaction
from seatctl.models.role import Grant, Role
from seatctl.rules.permissions import actor_key


def grant(tx: Transaction, given: Grant) -> bool:
    """Give a role; False where the actor has it already."""
    number = tx.value(
        "INSERT INTO roles (actor, subscription_id, role) VALUES (?, ?, ?)"
        " ON CONFLICT DO NOTHING RETURNING id",
        (actor_key(given.actor), given.subscription_id, given.role.value),
    )
    if not isinstance(number, int):
        return False
    tx.record("role", number, None, _facts(actor_key(given.actor), given.role, given.subscription_id))
    return True


def held(reader: Reader, actor: str, subscription_id: int | None = None) -> set[Role]:
    """The roles of an actor that count for a subscription: global ones, its own, ownership.

    None of a suspended or removed user: who may not use a seat may not give any either.
    """
    key = actor_key(actor)
    if reader.value("SELECT 1 FROM users WHERE email_key = ? AND status <> 'active'", (key,)) is not None:
        return set()
    found = reader.rows(
        "SELECT role FROM roles WHERE actor = :actor"
        " AND (subscription_id IS NULL OR subscription_id = :subscription)"
        " UNION SELECT 'owner' FROM subscriptions s JOIN users u ON u.id = s.owner_id"
        " WHERE s.id = :subscription AND u.email_key = :actor",
        {"actor": key, "subscription": subscription_id},
    )
    return {Role(row["role"]) for row in found}


def holders(
    reader: Reader, roles: Collection[Role], subscription_id: int | None = None
) -> list[tuple[str, Role]]:
    """Who may act by one of `roles`, globally or for the subscription: the owner, then by name."""
    found = reader.rows(
        "SELECT u.email AS actor, 'owner' AS role FROM subscriptions s JOIN users u ON u.id = s.owner_id"
        " WHERE s.id = :subscription AND u.status = 'active'"
        " UNION ALL SELECT * FROM (SELECT actor, role FROM roles"
        " WHERE (subscription_id IS NULL OR subscription_id = :subscription) AND NOT EXISTS"
        " (SELECT 1 FROM users p WHERE p.email_key = actor AND p.status <> 'active') ORDER BY role, actor)",
        {"subscription": subscription_id},
    )
    wanted = {role.value for role in roles}
    return [(row["actor"], Role(row["role"])) for row in found if row["role"] in wanted]


def revoke(tx: Transaction, taken: Grant) -> bool:
    """Take a role away; False where the actor does not hold it."""
    number = tx.value(
        "SELECT id FROM roles WHERE actor = ? AND coalesce(subscription_id, 0) = ? AND role = ?",
        (actor_key(taken.actor), taken.subscription_id or 0, taken.role.value),
    )
    return isinstance(number, int) and revoke_by_id(tx, number)


def revoke_by_id(tx: Transaction, number: int) -> bool:
    """Take the grant of this number away; False where there is none."""
    row = tx.row("SELECT actor, role, subscription_id FROM roles WHERE id = ?", (number,))
    if row is None:
        return False
    tx.execute("DELETE FROM roles WHERE id = ?", (number,))
    tx.record("role", number, _facts(row["actor"], row["role"], row["subscription_id"]), None)
    return True


def _facts(actor: str, role: str, subscription_id: int | None) -> dict[str, JsonValue]:
    """What the audit keeps of a grant; its number alone may be given to another one later."""
    return {"actor": actor, "role": str(role), "subscription_id": subscription_id}


def granted(reader: Reader, actor: str) -> list[tuple[Role, str | None]]:
    """What is granted to an actor, ownership apart: the role, and its subscription's name (None: global)."""
    found = reader.rows(
        "SELECT r.role, s.name FROM roles r LEFT JOIN subscriptions s ON s.id = r.subscription_id"
        " WHERE r.actor = ? ORDER BY r.role, r.id",
        (actor_key(actor),),
    )
    return [(Role(row["role"]), row["name"]) for row in found]


def rename_actor(tx: Transaction, before: str, after: str) -> None:
    """Let the roles of an e-mail go over to the new one of the same user.

    Told by the user's change row alone, so that undoing that takes them back too.
    """
    keys = actor_key(before), actor_key(after)
    if keys[0] != keys[1]:
        tx.execute("UPDATE OR IGNORE roles SET actor = ? WHERE actor = ?", (keys[1], keys[0]))
        tx.execute("DELETE FROM roles WHERE actor = ?", (keys[0],))  # what the new one held already


def listing(reader: Reader, subscription_id: int | None = None) -> Iterator[tuple[str, Role, str | None]]:
    """Actor, role, and the subscription's name (None: global): owners first, then grants by actor.

    With `subscription_id` what counts there.
    """
    params: dict[str, SqlValue] = {"pool": subscription_id}
    owners = where(params, "s.status NOT IN ('canceled', 'incomplete_expired')", pool="s.id = :pool")
    grants = where(params, pool="(r.subscription_id IS NULL OR r.subscription_id = :pool)")
    found = reader.rows(
        "SELECT * FROM (SELECT u.email AS actor, 'owner' AS role, s.name FROM subscriptions s"  # noqa: S608 - ours
        f" JOIN users u ON u.id = s.owner_id{owners} ORDER BY s.name_key)"
        " UNION ALL SELECT * FROM (SELECT r.actor, r.role, s.name FROM roles r"
        f" LEFT JOIN subscriptions s ON s.id = r.subscription_id{grants} ORDER BY r.actor, r.role, r.id)",
        params,
    )
    for row in found:
        yield row["actor"], Role(row["role"]), row["name"]
