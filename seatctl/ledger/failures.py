"""What can go wrong with the ledger itself, as against with what is asked of it."""

from __future__ import annotations

from seatctl.errors import Code, LedgerError, NotFound, TryAgain


class NoLedger(NotFound):
    """There is no ledger at the path."""

    kind = Code.NO_LEDGER


class LedgerBusy(TryAgain):
    """Another process held the write lock for as long as we were willing to wait."""

    kind = Code.LEDGER_BUSY


class LedgerCorrupt(LedgerError):
    """The file is damaged, or is no ledger at all."""

    kind = Code.LEDGER_CORRUPT


class LedgerDamaged(LedgerCorrupt):
    """SQLite can read the file, but what stands in it is not what this program has written."""

    kind = Code.LEDGER_DAMAGED


RESTORE = (
    "to see what is wrong: seatctl ledger check; to put a backup in its place: seatctl ledger restore FILE"
)
"""The hint of whatever meets a damaged ledger."""
