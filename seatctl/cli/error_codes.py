"""The error codes, printed from the catalogue: `seatctl help error-codes` and docs/error-codes.md.

`python -m seatctl.cli.error_codes` writes the page; a test compares it with the catalogue.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from seatctl.errors import ExitCode, Refusal, catalogue

EXIT_CODES = {
    ExitCode.DONE: "done, or nothing to do",
    ExitCode.UNEXPECTED: "an unexpected error: a bug; the message says where the log is",
    ExitCode.USAGE: "wrong usage: a command, an option, an argument, or a missing flag",
    ExitCode.BAD_INPUT: "bad input: a value, a row, or an unknown name in a file; nothing was written",
    ExitCode.REFUSED: "refused: by a policy or a limit, or because no seat is free; nothing was written",
    ExitCode.STRIPE_REFUSED: "Stripe refused: a declined card, a bad parameter",
    ExitCode.PARTIAL: "partial: some rows failed; the others are done and recorded",
    ExitCode.NO: "the answer is no: not entitled, something to repair, a failed verification",
    ExitCode.NOT_ALLOWED: "not allowed: the actor's role, a missing or wrong key, a foreign ledger",
    ExitCode.NOT_FOUND: "not found: something that an argument names",
    ExitCode.WAITING: "waiting: for a payment, an authentication, or a seat",
    ExitCode.LEDGER: "the ledger, a file or stdout cannot be read or written: damaged, read-only, full",
    ExitCode.TRY_AGAIN: "try again: network, rate limit, busy ledger, another payment operation in progress",
    ExitCode.INTERRUPTED: "interrupted",
}
"""What each exit code means."""


def _by_exit_code() -> Iterator[tuple[ExitCode, list[Refusal]]]:
    ordered = sorted(catalogue(), key=lambda refusal: refusal.exit_code)
    for exit_code, refusals in groupby(ordered, key=lambda refusal: refusal.exit_code):
        yield exit_code, list(refusals)


def text() -> str:
    """Return the help topic: every code and its meaning, by exit code."""
    width = max(len(refusal.code) for refusal in catalogue())
    lines = ['The "code" of an error in -o json, by exit code. Codes never change.']
    for exit_code, refusals in _by_exit_code():
        lines += ["", f"{exit_code.value}  {EXIT_CODES[exit_code]}"]
        lines += [f"  {refusal.code:<{width}}  {refusal.meaning}" for refusal in refusals]
    return "\n".join(lines)


def page() -> str:
    """Return the contents of docs/error-codes.md."""
    lines = [
        "# Error codes",
        "",
        "With `-o json` an error is an object on stderr: `code`, `message`, `hint`, and data of its own.",
        "The code and the exit code never change; the message is for people. `seatctl help error-codes`",
        "shows the same. `python -m seatctl.cli.error_codes` writes this page from `seatctl/errors.py`.",
    ]
    for exit_code, refusals in _by_exit_code():
        lines += ["", f"## Exit code {exit_code.value}", ""]
        meaning = EXIT_CODES[exit_code]
        lines += [f"{meaning[0].upper()}{meaning[1:]}.", "", "| code | meaning |", "|---|---|"]
        lines += [f"| `{refusal.code}` | {refusal.meaning} |" for refusal in refusals]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/error-codes.md").write_text(page(), encoding="utf-8")
