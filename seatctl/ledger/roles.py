"""Roles granted to actors, globally or for one subscription. Ownership is the subscription's own column."""

from __future__ import annotations

from collections.abc import Collection, Iterator

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
    tx.record("role", number, None, {"role": given.role.value, "subscription_id": given.subscription_id})
    return True


def held(reader: Reader, actor: str, subscription_id: int | None = None) -> set[Role]:
    """The roles of an actor that count for a subscription: global ones, its own, ownership."""
    key = actor_key(actor)
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
    """Who holds one of `roles` globally or for the subscription: the owner, then by name."""
    found = reader.rows(
        "SELECT u.email AS actor, 'owner' AS role FROM subscriptions s JOIN users u ON u.id = s.owner_id"
        " WHERE s.id = :subscription"
        " UNION ALL SELECT * FROM (SELECT actor, role FROM roles"
        " WHERE subscription_id IS NULL OR subscription_id = :subscription ORDER BY role, actor)",
        {"subscription": subscription_id},
    )
    wanted = {role.value for role in roles}
    return [(row["actor"], Role(row["role"])) for row in found if row["role"] in wanted]


def listing(reader: Reader) -> Iterator[Grant]:
    """Every grant, by actor."""
    for row in reader.rows("SELECT actor, role, subscription_id FROM roles ORDER BY actor, role, id"):
        yield Grant(actor=row["actor"], role=Role(row["role"]), subscription_id=row["subscription_id"])
