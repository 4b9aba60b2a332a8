"""Errors of the ledger's file or server."""

from __future__ import annotations

from seatctl.errors import Code, LedgerError, NotFound, TryAgain


class NoLedger(NotFound):
    """There is no ledger at this path."""

    kind = Code.NO_LEDGER


def no_ledger(place: str) -> NoLedger:
    """Return the refusal for a place without a ledger."""
    return NoLedger(f"there is no ledger at {place}", hint="seatctl init")


def no_database(place: str) -> NoLedger:
    """Return the refusal for a server without the database that the URL names: `init` creates none."""
    return NoLedger(
        f"there is no ledger at {place}: the database does not exist",
        hint="create the database: createdb --encoding=UTF8 --template=template0 NAME; then: seatctl init",
    )


class LedgerBusy(TryAgain):
    """Another process held the write lock during the whole waiting time."""

    kind = Code.LEDGER_BUSY


class LedgerConflict(LedgerBusy):
    """Another client of the server changed the same rows; nothing was changed, and a retry may succeed."""


class LedgerLost(LedgerConflict):
    """The connection to the server was lost before the transaction was committed; nothing was changed."""

    kind = Code.LEDGER_UNREACHABLE


class LedgerUnreachable(TryAgain):
    """The server cannot be reached, or it cannot do anything at the moment."""

    kind = Code.LEDGER_UNREACHABLE


class LedgerCorrupt(LedgerError):
    """The file is damaged, or it is not a ledger."""

    kind = Code.LEDGER_CORRUPT


class LedgerDamaged(LedgerCorrupt):
    """SQLite can read the file, but its content is not what this program wrote."""

    kind = Code.LEDGER_DAMAGED


CHECK = "to see what is wrong: seatctl ledger check"
"""The hint for a damaged ledger whose place is not known."""


def restore_hint(place: str) -> str:
    """Return the hint for a damaged ledger at this path or URL. A server restores its own backups."""
    hint = f"{CHECK}; to restore a backup: seatctl ledger restore FILE"
    if "://" in place:
        hint = f"{CHECK}; to restore a dump into a new database: pg_restore --dbname=URL FILE"
    return hint
