"""The error codes: one catalogue, which the help topic and docs/error-codes.md print."""

from __future__ import annotations

import re
from pathlib import Path

import seatctl as package
from seatctl.cli import error_codes
from seatctl.errors import (
    BadInput,
    Code,
    LedgerError,
    NotAllowed,
    NotFound,
    Refused,
    StripeRefused,
    TryAgain,
    UsageError,
    catalogue,
    refuse,
)

PAGE = Path(__file__).parents[2] / "docs" / "error-codes.md"


def test_the_page_is_printed_from_the_catalogue():
    assert PAGE.read_text(encoding="utf-8") == error_codes.page(), "run: python -m seatctl.cli.error_codes"


def test_the_help_topic_lists_every_code_with_its_exit_code_and_meaning(seatctl):
    shown = seatctl("help", "error-codes").out
    for refusal in catalogue():
        assert re.search(rf"^  {refusal.code} +{re.escape(refusal.meaning)}$", shown, re.MULTILINE), (
            refusal.code
        )


def test_every_code_is_raised_somewhere():
    source = "\n".join(
        path.read_text(encoding="utf-8")
        for path in Path(package.__file__).parent.rglob("*.py")
        if path.name != "errors.py"
    )
    names = {name for name, value in vars(Code).items() if value in catalogue()}
    general = {
        "USAGE",
        "BAD_INPUT",
        "REFUSED",
        "STRIPE_REFUSED",
        "NOT_ALLOWED",
        "NOT_FOUND",
        "LEDGER",
        "TRY_AGAIN",
    }
    assert names - general - {"UNEXPECTED"} - set(re.findall(r"Code\.([A-Z0-9_]+)", source)) == set()


def test_a_refusal_is_of_the_class_of_its_exit_code():
    families = (UsageError, BadInput, Refused, StripeRefused, NotAllowed, NotFound, LedgerError, TryAgain)
    for family in families:
        for refusal in catalogue():
            if refusal.exit_code is family.kind.exit_code:
                error = refuse(refusal, "no")
                assert isinstance(error, family)
                assert (error.code, error.exit_code) == (refusal.code, refusal.exit_code)
