"""Migration of a ledger file to the schema of this version; the only importer of sqlite_utils.

All steps of a migration and the new schema version are one transaction: a killed migration leaves the file as
it was. Statements go through `db.execute`; `executescript` would commit in between.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from seatctl import __version__
from seatctl.errors import Code, SeatctlError, refuse
from seatctl.ledger.engines.port import SCHEMA_VERSION
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.failures import LedgerCorrupt, LedgerDamaged, no_ledger, restore_hint

if TYPE_CHECKING:
    from sqlite_utils import Database, Migrations

APPLICATION_ID = 0x73656174
""" `seat`: distinguishes a ledger from other SQLite files."""

_UNSETTLED = "status IN ('draft', 'open', 'uncollectible')"
"""As in `ledger/collection.py`; repeated here, because a released migration is never edited."""

PAUSE_IN_COLLECTION = "ALTER TABLE subscriptions ADD COLUMN pause_collection TEXT"

INDEXES = (
    "CREATE INDEX invoices_by_status ON invoices (status, created_at)",
    f"CREATE INDEX invoices_unsettled ON invoices (subscription_id) WHERE {_UNSETTLED}",
    f"CREATE INDEX invoices_unsettled_in_stripe ON invoices (stripe_subscription) WHERE {_UNSETTLED}",
    "CREATE INDEX audit_by_run ON audit (run)",
    "CREATE INDEX audit_by_actor ON audit (actor)",
    "CREATE INDEX audit_by_time ON audit (at)",
    "CREATE INDEX runs_by_actor ON runs (actor)",
    "CREATE INDEX runs_by_state ON runs (state)",
    "CREATE INDEX runs_that_undo ON runs (undo_of) WHERE undo_of IS NOT NULL",
    "CREATE INDEX operations_by_run ON operations (run)",
    "CREATE INDEX requests_by_subscription ON requests (subscription_id)",
    "CREATE INDEX requests_by_user ON requests (user_id)",
    "CREATE INDEX outbox_by_state ON outbox (state)",
)
"""Indexes for queries that scanned whole tables before: docs/ledger.md."""

_SEARCH = (
    "DROP TABLE users_search",
    # With a space before and after the name, the two letters at the beginning or end of a word, and a whole
    # name of two letters, are part of a trigram.
    """CREATE VIEW users_searched (id, name, email) AS SELECT id, ' ' || name || ' ', email FROM users""",
    """CREATE VIRTUAL TABLE users_search USING fts5(
        name, email, content='users_searched', content_rowid='id', tokenize='trigram'
    )""",
    "INSERT INTO users_search (users_search) VALUES ('rebuild')",
)


_MIN_CLIENT = "SELECT value FROM meta WHERE key = 'min_client'"


def is_current(engine: SqliteEngine) -> bool:
    """Return whether the file needs no migration.

    Raises `ledger_newer`, `ledger_corrupt` for another program's file, `ledger_damaged` for an invalid
    version.
    """
    version = engine.version
    if version > SCHEMA_VERSION:
        raise _newer(engine, version)
    if engine.application_id != APPLICATION_ID and (version or not engine.is_empty):
        raise LedgerCorrupt(
            f"{engine.place} is an SQLite file, but not a ledger", hint="use another: seatctl --ledger PATH"
        )
    if version != SCHEMA_VERSION and version <= 0 and not engine.is_empty:
        # A ledger is created in one transaction: it is either empty, or complete with a version.
        raise LedgerDamaged(
            f"{engine.place} is damaged: its schema version is {version}, which is not valid",
            hint=restore_hint(engine.place),
        )
    return version == SCHEMA_VERSION


def _newer(engine: SqliteEngine, version: int) -> SeatctlError:
    """Return the refusal for a file that a later program has migrated; the file says which one it needs."""
    needed = None
    with suppress(SeatctlError):  # a later schema may have no such table
        needed = next((str(row[0]) for row in engine.rows(_MIN_CLIENT)), None)
    program = f"; it needs seatctl {needed} or later, and this is {__version__}" if needed else ""
    return refuse(
        Code.LEDGER_NEWER,
        f"{engine.place} was written by a later seatctl: its schema is {version}, the latest known here"
        f" is {SCHEMA_VERSION}{program}",
        hint="upgrade, in an up-to-date clone of this program: python3 -m pip install .",
        data={"needed": needed, "version": __version__},
    )


def create(engine: SqliteEngine, meta: dict[str, str]) -> None:
    """Create the schema in an empty file, or migrate the file, and store `meta` if it has none yet."""
    engine.begin_writing()
    try:
        migrate(engine)
        if not _has_meta(engine):
            engine.load("meta", ("key", "value"), meta.items())
        engine.commit()
    finally:
        engine.rollback()


def _has_meta(engine: SqliteEngine) -> bool:
    """Return whether the ledger has its id and mode already."""
    return next(iter(engine.rows("SELECT 1 FROM meta WHERE key = 'ledger_id'")), None) is not None


def upgrade(engine: SqliteEngine) -> None:
    """Migrate a file that an earlier version wrote.

    Raises `ledger_read_only`, and `no_ledger` for an empty file.
    """
    if engine.version == 0:  # a creation that was killed leaves an empty file
        raise no_ledger(engine.place)
    if not engine.may_write:
        raise refuse(
            Code.LEDGER_READ_ONLY,
            f"{engine.place} has the schema of an earlier version and must be migrated first",
            hint="ask a user with write access to run: seatctl status",
        )
    create(engine, {})


def migrate(engine: SqliteEngine) -> None:
    """Apply missing migrations, inside the write transaction of the caller."""
    from sqlite_utils import Database

    # Check again under the lock: another process may have created or migrated the ledger meanwhile.
    if is_current(engine):
        return
    database = Database(engine.connection, recursive_triggers=False)
    _migrations().apply(database)
    database.execute(f"PRAGMA application_id = {APPLICATION_ID:d}")
    database.execute(f"PRAGMA user_version = {SCHEMA_VERSION:d}")


def new_schema() -> list[tuple[str, str, str]]:
    """Return (type, name, statement) for each object of a new ledger, created in memory."""
    from sqlite_utils import Database

    database = Database(memory=True, recursive_triggers=False)
    _migrations().apply(database)
    found = database.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return [(str(row[0]), str(row[1]), str(row[2])) for row in found]


def _migrations() -> Migrations:
    """Return all migrations in order. A released migration is never edited."""
    from sqlite_utils import Migrations

    from seatctl.ledger.schema.email_keys import rekey
    from seatctl.ledger.schema.shared_ledger import prepare
    from seatctl.ledger.schema.tables import STATEMENTS

    migrations = Migrations("seatctl")

    @migrations()
    def whole_schema(database: Database) -> None:
        for statement in STATEMENTS:
            database.execute(statement)

    @migrations()
    def pause_in_collection(database: Database) -> None:
        database.execute(PAUSE_IN_COLLECTION)

    @migrations()
    def keys_of_emails(database: Database) -> None:
        rekey(database)

    @migrations()
    def indexes_of_questions(database: Database) -> None:
        for statement in (*INDEXES, *_SEARCH):
            database.execute(statement)

    @migrations()
    def shared_ledger(database: Database) -> None:
        prepare(database)

    return migrations
