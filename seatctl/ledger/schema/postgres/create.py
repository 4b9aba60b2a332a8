"""Creation and migration of a ledger on a server. Both happen only when somebody asks for them.

Each is one transaction: after an interruption the server has all of it or nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seatctl.errors import Code, NotAllowed, refuse
from seatctl.ledger.engines.port import MIN_CLIENT, SCHEMA_VERSION, Row
from seatctl.ledger.engines.postgres import PostgresEngine
from seatctl.ledger.failures import LedgerConflict
from seatctl.ledger.schema.postgres.functions import functions
from seatctl.ledger.schema.postgres.guards import guards
from seatctl.ledger.schema.postgres.rights import rights
from seatctl.ledger.schema.postgres.tables import tables
from seatctl.ledger.schema.versions import require_client, schema_of

OLDEST_SERVER = 140000
"""PostgreSQL 14: functions whose bodies are bound when they are created."""

MIGRATIONS: Mapping[int, Sequence[str]] = {}
"""The statements that lead to each schema version from the one before. Released ones are never edited."""

_STATE = """SELECT current_setting('server_version_num')::int AS version,
    current_setting('server_encoding') AS encoding, to_regnamespace(:schema) IS NOT NULL AS has_schema,
    to_regclass(:meta) IS NOT NULL AS has_ledger, session_user AS database_user,
    current_database() AS database"""

# Two clients that create the same ledger, or migrate it, take turns.
_TURN = "SELECT pg_advisory_xact_lock(hashtext(:schema))"

# A conflict if another client has migrated meanwhile.
_UNCHANGED = """DO $$ BEGIN
    IF NOT EXISTS (SELECT 1 FROM meta WHERE key = 'schema_version' AND value = '{version:d}') THEN
        RAISE EXCEPTION 'another client has migrated the ledger' USING ERRCODE = 'serialization_failure';
    END IF;
END $$"""

_SET = "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"


def statements() -> list[str]:
    """Return the statements that create the objects of a new ledger, in order, within its schema."""
    return [*tables(), *functions(), *guards(), *rights()]


def create(engine: PostgresEngine, meta: Mapping[str, str]) -> None:
    """Create a ledger with these values of `meta`, unless the schema has one already.

    Raises `server_too_old`, `not_allowed`, and what prevents a connection.
    """
    state, schema = _state(engine), engine.link.schema
    _require_usable(engine.place, state["version"], state["encoding"])
    if state["has_ledger"]:
        return
    rows = {**meta, "schema_version": str(SCHEMA_VERSION), "min_client": MIN_CLIENT}
    own_schema = [] if state["has_schema"] else [(f'CREATE SCHEMA "{schema}"', ())]
    try:
        engine.run_script(
            (
                (_TURN, {"schema": schema}),
                *own_schema,
                *((statement, ()) for statement in statements()),
                *(("INSERT INTO meta (key, value) VALUES (?, ?)", row) for row in rows.items()),
            )
        )
    except LedgerConflict:
        if not _state(engine)["has_ledger"]:  # else another client was faster
            raise
    except NotAllowed as error:
        user, database = state["database_user"], state["database"]
        raise refuse(
            Code.NOT_ALLOWED,
            f"the database user {user} may not create a ledger in the database {database}",
            hint=f"as an administrator of the server: CREATE SCHEMA {schema} AUTHORIZATION {user}",
        ) from error


def _state(engine: PostgresEngine) -> Row:
    engine.link.open()
    schema = f'"{engine.link.schema}"'
    return engine.ask_server(_STATE, {"schema": schema, "meta": f"{schema}.meta"})


def migrate(engine: PostgresEngine) -> tuple[int, int]:
    """Migrate the ledger to this program's schema; return the version before and after.

    Raises `ledger_newer`, NoLedger, `not_allowed` for a user who does not own the ledger, and LedgerConflict
    if another client migrates it at the same time.
    """
    version, wanted = pending(engine)
    if version == wanted:
        return version, version
    _require_usable(engine.place, _state(engine)["version"], "UTF8")
    steps = [step for number in range(version + 1, SCHEMA_VERSION + 1) for step in MIGRATIONS[number]]
    engine.run_script(
        (
            (_TURN, {"schema": engine.link.schema}),
            (_UNCHANGED.format(version=version), ()),
            *((step, ()) for step in steps),
            (_SET, ("schema_version", str(SCHEMA_VERSION))),
            (_SET, ("min_client", MIN_CLIENT)),
        )
    )
    return version, SCHEMA_VERSION


def pending(engine: PostgresEngine) -> tuple[int, int]:
    """Return the version of the schema now and after a migration. Raises `ledger_newer`, NoLedger."""
    meta = engine.meta()
    require_client(engine.place, meta)
    version = schema_of(engine.place, meta)
    return version, max(version, SCHEMA_VERSION)


def _require_usable(place: str, version: int, encoding: str) -> None:
    if version < OLDEST_SERVER:
        raise refuse(
            Code.SERVER_TOO_OLD,
            f"the server of {place} is PostgreSQL {version // 10000}; the ledger needs"
            f" {OLDEST_SERVER // 10000} or later",
            hint="upgrade the server, or use another one: seatctl --ledger URL init",
        )
    if encoding != "UTF8":
        raise refuse(
            Code.SERVER_TOO_OLD,
            f"the database of {place} has the encoding {encoding}; the ledger needs UTF8",
            hint="create another database: createdb --encoding=UTF8 --template=template0 NAME",
        )
