"""Writing into a ledger past everything that guards it, as the owner of its file or of its server can."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from seatctl.models.ledger_url import ServerUrl
from tests.support import ledgers


def tamper(ledger: Path | ServerUrl, *statements: str) -> None:
    """Run statements, of which each must change rows. The guards are there again afterwards."""
    if isinstance(ledger, ServerUrl):
        with ledgers.unguarded(ledger) as server:
            for statement in statements:
                assert server.execute(statement).rowcount > 0, statement
        return
    with closing(sqlite3.connect(ledger)) as file, file:
        triggers = file.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
        for name, _ in triggers:
            file.execute(f"DROP TRIGGER {name}")
        for statement in statements:
            assert file.execute(statement).rowcount > 0, statement
        for _, again in triggers:
            file.execute(again)
