"""Creation of a ledger, with its id, mode and account, and its migration when somebody asks for it."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.port import SCHEMA_VERSION
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.engines.sqlite_files import create_file
from seatctl.ledger.failures import no_ledger
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.ledger.place_marks import new_ledger_id
from seatctl.ledger.schema.migrate import create as create_schema
from seatctl.ledger.schema.migrate import is_current, upgrade
from seatctl.models.call import format_time
from seatctl.models.ledger_url import ServerUrl


def create_ledger(place: Path | ServerUrl, *, mode: str, stripe_account: str | None, now: datetime) -> Ledger:
    """Create a ledger, or open an existing one with the same mode and account; else raise `ledger_mode`.

    If two processes do this at the same time, both open the same ledger.
    """
    ledger = create(place, _new_meta(mode, stripe_account, now))
    try:
        _require_same_mode(ledger, mode, stripe_account)
    except BaseException:
        ledger.close()
        raise
    return ledger


def create(place: Path | ServerUrl, meta: dict[str, str], *, in_use: bool = True) -> Ledger:
    """Create a ledger with these rows of `meta`, or open an existing one; `in_use` as for `Ledger`."""
    if isinstance(place, Path):
        return Ledger(_create_file(place, meta), in_use=in_use)
    _create_on_server(place, meta)
    return open_ledger(place, in_use=in_use)


def _create_file(path: Path, meta: dict[str, str]) -> SqliteEngine:
    create_file(path)
    engine = SqliteEngine(path)
    try:
        if not is_current(engine):
            engine.use_wal()
            create_schema(engine, meta)
    except BaseException:
        engine.close()
        raise
    return engine


def _create_on_server(url: ServerUrl, meta: dict[str, str]) -> None:
    from seatctl.ledger.engines.postgres import connect
    from seatctl.ledger.schema.postgres.create import create as create_on_server

    engine = connect(url)
    try:
        create_on_server(engine, meta)
    finally:
        engine.close()


def _new_meta(mode: str, stripe_account: str | None, now: datetime) -> dict[str, str]:
    """Return the rows of `meta` of a new ledger, with a new id."""
    meta = {"ledger_id": new_ledger_id(), "mode": mode, "created_at": format_time(now)}
    return {**meta, "stripe_account": stripe_account} if stripe_account else meta


def _require_same_mode(ledger: Ledger, mode: str, stripe_account: str | None) -> None:
    other_account = stripe_account and ledger.stripe_account and stripe_account != ledger.stripe_account
    if ledger.mode != mode or other_account:
        actual, wanted = ledger.mode, mode
        if other_account:
            actual, wanted = f"{actual} {ledger.stripe_account}", f"{wanted} {stripe_account}"
        raise refuse(
            Code.LEDGER_MODE,
            f"the ledger {ledger.place} is for {actual}, not for {wanted}",
            hint="name another profile: seatctl init PROFILE",
        )


def migrate(place: Path | ServerUrl, *, dry_run: bool) -> tuple[int, int]:
    """Migrate a ledger, unless this is a dry run; return the version of its schema before and after.

    Raises NoLedger, `ledger_newer`, LedgerCorrupt, and what prevents the migration.
    """
    return _migrate_file(place, dry_run) if isinstance(place, Path) else _migrate_on_server(place, dry_run)


def _migrate_file(path: Path, dry_run: bool) -> tuple[int, int]:
    if not path.is_file():
        raise no_ledger(str(path))
    engine = SqliteEngine(path)
    try:
        before = engine.version
        if not is_current(engine) and not dry_run:
            upgrade(engine)
    finally:
        engine.close()
    return before, SCHEMA_VERSION


def _migrate_on_server(url: ServerUrl, dry_run: bool) -> tuple[int, int]:
    from seatctl.ledger.engines.postgres import connect
    from seatctl.ledger.schema.postgres import create

    engine = connect(url)
    try:
        return create.pending(engine) if dry_run else create.migrate(engine)
    finally:
        engine.close()
