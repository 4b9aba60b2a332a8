"""What `seatctl check EMAIL` has to know, asked of a server with the same driver: the floor of `check` there.

A process of its own: `python -m bench.bare_server command|script URL EMAIL`. The command is one of Typer, as
the floor of a file's start-up is (bench/bare.py); the script has no command line.
"""

from __future__ import annotations

import json
import sys

import psycopg
from psycopg.rows import dict_row

_QUESTION = """SELECT u.email, u.status AS user_status, p.name AS subscription, p.status, p.policy,
    p.term_end, p.unpaid_since, s.until FROM seatctl.users AS u
    LEFT JOIN seatctl.seats AS s ON s.user_id = u.id AND s.revoked_at IS NULL
    LEFT JOIN seatctl.subscriptions AS p ON p.id = s.subscription_id WHERE u.email_key = %(email)s"""


def check(url: str, email: str) -> None:
    """Print the answer as JSON."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        print(json.dumps(connection.execute(_QUESTION, {"email": email}).fetchall()))


if __name__ == "__main__":
    kind, *arguments = sys.argv[1:]
    if kind == "script":
        check(*arguments)
    else:
        import typer

        app = typer.Typer()
        app.command()(check)
        app(arguments)
