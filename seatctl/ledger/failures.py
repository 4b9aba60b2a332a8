"""What can go wrong with the ledger itself, as against with what is asked of it."""

from __future__ import annotations

from seatctl.errors import LedgerError, NotFound, TryAgain


class NoLedger(NotFound):
    """There is no ledger at the path."""

    code = "no_ledger"


class LedgerBusy(TryAgain):
    """Another process held the write lock for as long as we were willing to wait."""

    code = "ledger_busy"


class MoneyBusy(TryAgain):
    """Another process is running or recovering a money operation."""

    code = "busy"


class BatchBusy(TryAgain):
    """Another process is doing the lines of this batch."""

    code = "batch_busy"


class LedgerReplaced(TryAgain):
    """A backup was put in the place of the ledger since this command opened it."""

    code = "ledger_replaced"


class LedgerCorrupt(LedgerError):
    """The file is damaged, or is no ledger at all."""

    code = "ledger_corrupt"


class LedgerDamaged(LedgerCorrupt):
    """SQLite can read the file, but what stands in it is not what this program has written."""

    code = "ledger_damaged"


class LedgerReadOnly(LedgerError):
    """The file cannot be opened or written by this user."""

    code = "ledger_read_only"


class LedgerDiskFull(LedgerError):
    """There is no room for the change."""

    code = "disk_full"


class LedgerUnreadable(LedgerError):
    """The disk or the operating system failed."""

    code = "ledger_io"


RESTORE = (
    "to see what is wrong: seatctl ledger check; to put a backup in its place: seatctl ledger restore FILE"
)
"""The hint of whatever meets a damaged ledger."""


class LedgerNewer(LedgerError):
    """A later seatctl wrote this ledger."""

    code = "ledger_newer"


class SqliteTooOld(LedgerError):
    """The SQLite that Python was built with lacks what the schema needs."""

    code = "sqlite_too_old"


class OtherMode(LedgerError):
    """The ledger that is there was made for another mode or Stripe account."""

    code = "ledger_mode"
