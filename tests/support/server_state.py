"""What a ledger on a server holds, without what differs from run to run: ids, times, numbers left out."""

from __future__ import annotations

from contextlib import closing

from tests.support.postgres import server

KEPT = {
    "subscriptions": """SELECT s.name, s.status, price_id, quantity, capacity, assigned, o.email,
        auto_approval, cancel_at_period_end, cancel_at IS NULL, home_ledger IS NULL
        FROM subscriptions s LEFT JOIN users o ON o.id = owner_id ORDER BY 1""",
    "capacity to come": "SELECT seats FROM capacity_changes WHERE applied_at IS NULL ORDER BY 1",
    "seats": """SELECT s.name, u.email, until IS NULL, revoked_at IS NULL FROM seats
        JOIN subscriptions s ON s.id = subscription_id JOIN users u ON u.id = user_id ORDER BY 1, 2, 3, 4""",
    "people": "SELECT email, name, group_name, status FROM users ORDER BY 1, 2",
    "requests": """SELECT u.email, s.name, r.status, r.decided_by IS NULL, r.priority FROM requests r
        JOIN users u ON u.id = r.user_id LEFT JOIN subscriptions s ON s.id = r.subscription_id
        ORDER BY 1, 2, 3""",
    "plans": "SELECT slug, name, unit_amount, policy, active FROM plans ORDER BY 1",
    "roles": """SELECT actor, s.name, role FROM roles LEFT JOIN subscriptions s ON s.id = subscription_id
        ORDER BY 1, 2, 3""",
    "settings": "SELECT key, value FROM meta WHERE key LIKE 'setting.%' ORDER BY 1",
    "invoices": "SELECT status, total, amount_paid FROM invoices WHERE status <> 'void' ORDER BY 1, 2, 3",
    "payers": "SELECT email, name FROM customers ORDER BY 1, 2",
    "codes": "SELECT used_at IS NULL FROM activation_codes ORDER BY 1",
}
"""What an administrator would ask for."""

COUNTED_ONLY_WHOLE = {"commits", "leases", "staged_loads"}


def state(database: str, *, whole: bool = False) -> dict[str, list[tuple]]:
    """What the ledger holds. `whole`: also how many rows each table has, and what the record says."""
    with closing(server().connect(database)) as connection:
        connection.execute("SET search_path TO seatctl")

        def rows(text: str) -> list[tuple]:
            return connection.execute(text).fetchall()

        found = {what: rows(text) for what, text in KEPT.items()}
        if whole:
            tables = rows("SELECT tablename FROM pg_tables WHERE schemaname = 'seatctl' ORDER BY 1")
            found |= {
                f"rows of {table}": rows(f"SELECT count(*) FROM {table}")
                for (table,) in tables
                if table not in COUNTED_ONLY_WHOLE and not table.startswith("staged_")
            }
            found["record"] = rows("SELECT entity, count(*) FROM changes GROUP BY 1 ORDER BY 1")
            found["runs"] = rows("SELECT state, count(*) FROM runs GROUP BY 1 ORDER BY 1")
            found["messages"] = rows(
                "SELECT template, state, count(*) FROM outbox GROUP BY 1, 2 ORDER BY 1, 2"
            )
    return found


def differences(wanted: dict[str, list[tuple]], found: dict[str, list[tuple]]) -> list[tuple]:
    """What is not as wanted: name, wanted, found."""
    return [(what, wanted[what], found[what]) for what in wanted if wanted[what] != found[what]]


def expire_leases(database: str) -> None:
    """What half a minute does to the leases of a process that was killed or cut off."""
    with closing(server().connect(database)) as connection:
        connection.execute("UPDATE seatctl.leases SET until = now() - interval '1 second'")


def end_sessions(database: str) -> None:
    """End the sessions of this database, as a server does that stops, or an administrator."""
    with closing(server().connect()) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (database,)
        )
