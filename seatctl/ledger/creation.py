"""Creation of a ledger, with its id, mode and account."""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path

from seatctl.errors import Code, refuse
from seatctl.ledger.engines.sqlite import SqliteEngine
from seatctl.ledger.engines.sqlite_files import create_file
from seatctl.ledger.ledger import Ledger, open_ledger
from seatctl.ledger.schema.migrate import create, is_current
from seatctl.models.call import format_time
from seatctl.models.ledger_url import ServerUrl


def create_ledger(place: Path | ServerUrl, *, mode: str, stripe_account: str | None, now: datetime) -> Ledger:
    """Create a ledger, or open an existing one with the same mode and account; else raise `ledger_mode`.

    If two processes do this at the same time, both open the same ledger.
    """
    meta = _new_meta(mode, stripe_account, now)
    if isinstance(place, Path):
        ledger = Ledger(_create_file(place, meta))
    else:
        _create_on_server(place, meta)
        ledger = open_ledger(place)
    try:
        _require_same_mode(ledger, mode, stripe_account)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _create_file(path: Path, meta: dict[str, str]) -> SqliteEngine:
    create_file(path)
    engine = SqliteEngine(path)
    try:
        if not is_current(engine):
            engine.use_wal()
            create(engine, meta)
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
    meta = {"ledger_id": f"led_{os.urandom(12).hex()}", "mode": mode, "created_at": format_time(now)}
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
