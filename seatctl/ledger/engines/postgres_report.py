"""What `doctor` says of a ledger's server: version, encryption, rights, clock, speed and durability."""

from __future__ import annotations

import time
from statistics import median
from typing import NamedTuple

from seatctl.ledger.engines.port import Engine
from seatctl.ledger.engines.postgres import PostgresEngine
from seatctl.ledger.engines.postgres_target import is_local

_ROUNDS = 5

_SERVER = """SELECT current_setting('server_version') AS version, current_user AS database_user,
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS is_superuser,
    CASE WHEN pg_is_in_recovery()
        THEN extract(epoch FROM clock_timestamp() - pg_last_xact_replay_timestamp()) END AS lag,
    pg_is_in_recovery() AS is_standby, current_setting('synchronous_commit') AS synchronous_commit,
    current_setting('fsync') AS fsync"""

_TABLES = ("plans", "subscriptions", "users", "seats", "requests", "operations", "runs", "changes", "audit")
_RIGHTS = f"""SELECT name FROM (VALUES {", ".join(f"('{name}')" for name in _TABLES)}) AS t (name)
    WHERE NOT has_table_privilege(name, 'INSERT')"""


class ServerReport(NamedTuple):
    """The state of the server, and of this machine's connection to it."""

    version: str
    user: str
    is_superuser: bool
    read_only: tuple[str, ...]
    """The tables that this database user may not add rows to."""
    is_local: bool
    is_encrypted: bool
    is_verified: bool
    """Whether the server's certificate is verified."""
    round_trip: float
    """Seconds."""
    is_standby: bool
    lag: float | None
    """How many seconds a standby is behind; None if it is not known."""
    unsafe: tuple[str, ...]
    """The server's settings with which a crash loses changes that were reported as done."""


def report(engine: Engine) -> ServerReport:
    """Ask the server and measure the connection; it takes a few round trips."""
    if not isinstance(engine, PostgresEngine):
        raise TypeError("the ledger is not on a server")
    engine.begin_reading()
    try:
        server = next(engine.rows(_SERVER))
        read_only = tuple(str(row[0]) for row in engine.rows(_RIGHTS))
        round_trip = median(_measured(engine) for _ in range(_ROUNDS))
    finally:
        engine.end_reading()
    connection = engine.link.open().pgconn
    options = {each.keyword.decode(): each.val.decode() for each in connection.info if each.val}
    verified = options.get("sslmode", "").startswith("verify") or options.get("sslrootcert") == "system"
    return ServerReport(
        version=server["version"],
        user=server["database_user"],
        is_superuser=bool(server["is_superuser"]),
        read_only=read_only,
        is_local=is_local(options),
        is_encrypted=bool(connection.ssl_in_use),
        is_verified=verified,
        round_trip=round_trip,
        is_standby=bool(server["is_standby"]),
        lag=None if server["lag"] is None else float(server["lag"]),
        unsafe=tuple(
            f"{name} is {server[name]}"
            for name, bad in (("fsync", ("off",)), ("synchronous_commit", ("off",)))
            if server[name] in bad
        ),
    )


def _measured(engine: PostgresEngine) -> float:
    begun = time.perf_counter()
    next(engine.rows("SELECT 1"))
    return time.perf_counter() - begun
