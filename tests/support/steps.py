"""What a command costs in SQLite, counted instead of timed: the same on every machine, however busy."""

from __future__ import annotations

from unittest import mock

from seatctl.ledger.engines.sqlite import SqliteEngine

_AT_ONCE = 10
"""Steps between two counts."""


def steps(seatctl, *argv) -> int:
    """How many steps SQLite's machine takes for a command, which must succeed."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += _AT_ONCE
        return 0

    configure = SqliteEngine._configure

    def counting(engine: SqliteEngine) -> None:
        configure(engine)
        engine.connection.set_progress_handler(count, _AT_ONCE)

    with mock.patch.object(SqliteEngine, "_configure", counting):
        result = seatctl(*argv)
    assert result.code == 0, result.err
    return counted
