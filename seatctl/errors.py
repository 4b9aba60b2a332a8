"""What can go wrong, as values: the base error, the exit codes and the refusals every part shares.

A refusal is a class with a stable `code` and an exit code. Its instance carries a message (what
happened), a hint (what to type next, only commands that exist) and data for `-o json`. Refusals
that belong to one noun live beside the rule that raises them and derive from these classes; only
`program.main` turns an error into an exit code.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from typing import ClassVar

JsonScalar = str | int | float | bool | None
JsonValue = JsonScalar | list["JsonValue"] | dict[str, "JsonValue"]


class ExitCode(IntEnum):
    """One meaning each; `seatctl help exit-codes` prints them."""

    DONE = 0
    UNEXPECTED = 1
    USAGE = 2
    BAD_INPUT = 3
    REFUSED = 4
    STRIPE_REFUSED = 5
    PARTIAL = 6
    NO = 7
    NOT_ALLOWED = 8
    NOT_FOUND = 9
    WAITING = 10
    LEDGER = 74
    TRY_AGAIN = 75
    INTERRUPTED = 130


class SeatctlError(Exception):
    """Base of every error that a user sees; `code` and `exit_code` are the contract with scripts."""

    code: ClassVar[str] = "unexpected"
    exit_code: ClassVar[ExitCode] = ExitCode.UNEXPECTED

    def __init__(
        self, message: str, *, hint: str | None = None, data: Mapping[str, JsonValue] | None = None
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.data: dict[str, JsonValue] = dict(data or {})

    def as_json(self) -> dict[str, JsonValue]:
        """The object behind `error` of `-o json`: code, message, hint, then the data."""
        return {"code": self.code, "message": self.message, "hint": self.hint, **self.data}


class UsageError(SeatctlError):
    """The command line itself is wrong: an option, an argument, a combination."""

    code = "usage"
    exit_code = ExitCode.USAGE


class BadInput(SeatctlError):
    """A value, a row or a name inside a file is wrong; nothing was written."""

    code = "bad_input"
    exit_code = ExitCode.BAD_INPUT


class Refused(SeatctlError):
    """A policy, a limit, a stale plan or a shortage says no; nothing was written."""

    code = "refused"
    exit_code = ExitCode.REFUSED


class StripeRefused(SeatctlError):
    """Stripe said no to what was asked: a declined card, a bad parameter."""

    code = "stripe_refused"
    exit_code = ExitCode.STRIPE_REFUSED


class NotAllowed(SeatctlError):
    """The actor's role, the key or the ledger does not permit this."""

    code = "not_allowed"
    exit_code = ExitCode.NOT_ALLOWED


class NotFound(SeatctlError):
    """A thing named as an argument does not exist."""

    code = "not_found"
    exit_code = ExitCode.NOT_FOUND


class LedgerError(SeatctlError):
    """The ledger, a file or stdout cannot be read or written: corrupt, read-only, full, newer version."""

    code = "ledger"
    exit_code = ExitCode.LEDGER


class TryAgain(SeatctlError):
    """A passing condition: network, rate limit, ledger busy, another money operation under way."""

    code = "try_again"
    exit_code = ExitCode.TRY_AGAIN
