"""The SQL that gives a database role its rights in a ledger, and what the ledger knows about its actor."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seatctl.errors import Code, refuse
from seatctl.ledger.ledger import Ledger
from seatctl.rules import hints

if TYPE_CHECKING:
    from seatctl.ledger.schema.postgres.grants import DatabaseGrant


def grant_sql(ledger: Ledger, given: DatabaseGrant) -> str:
    """Return the SQL that gives the right. Raises `file_ledger`."""
    from seatctl.ledger.schema.postgres.grants import grant

    return grant(_schema(ledger), given)


def revoke_sql(ledger: Ledger, db_role: str) -> str:
    """Return the SQL that takes every right from a database role. Raises `file_ledger`."""
    from seatctl.ledger.schema.postgres.grants import revoke

    return revoke(_schema(ledger), db_role)


def _schema(ledger: Ledger) -> str:
    from seatctl.ledger.engines.postgres import PostgresEngine

    engine = ledger.engine
    if not isinstance(engine, PostgresEngine):
        raise refuse(
            Code.FILE_LEDGER,
            f"the ledger {ledger.place} is a file, which has no database roles",
            hint=hints.to("for roles in the ledger", hints.command("roles", "list")),
        )
    return engine.link.schema
