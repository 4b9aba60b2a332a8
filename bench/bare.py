"""A bare Typer command that asks the same questions of the same file with sqlite3: the floor of start-up."""

from __future__ import annotations

import json
import sqlite3

import typer

app = typer.Typer()


def _rows(ledger: str, sql: str, parameters: dict[str, str]) -> list[dict[str, object]]:
    connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    found = [dict(row) for row in connection.execute(sql, parameters)]
    connection.close()
    return found


@app.command()
def check(ledger: str, email: str) -> None:
    """What `seatctl check EMAIL` has to know."""
    sql = """SELECT u.email, u.status AS user_status, p.name AS subscription, p.status, p.policy, p.term_end,
        p.unpaid_since, s.until FROM users AS u
        LEFT JOIN seats AS s ON s.user_id = u.id AND s.revoked_at IS NULL
        LEFT JOIN subscriptions AS p ON p.id = s.subscription_id WHERE u.email_key = :email"""
    typer.echo(json.dumps(_rows(ledger, sql, {"email": email})))


@app.command()
def seats(ledger: str, subscription: str) -> None:
    """What `seatctl seats list SUBSCRIPTION -o json` prints."""
    sql = """SELECT p.name AS subscription, u.email, u.name, s.assigned_at, s.until, s.claimed_at,
        s.revoked_at
        FROM subscriptions AS p JOIN seats AS s ON s.subscription_id = p.id AND s.revoked_at IS NULL
        JOIN users AS u ON u.id = s.user_id WHERE p.name_key = :name ORDER BY u.email_key"""
    typer.echo(json.dumps(_rows(ledger, sql, {"name": subscription})))


if __name__ == "__main__":
    app()
