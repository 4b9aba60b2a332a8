"""Limits of parameters that many endpoints have: metadata, currencies, amounts.

The refusals are in Stripe's words as far as they are known. The currencies are those of Stripe's
documentation; an account at Stripe can use those of its country.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from seatctl.sandbox.api.form import bracketed
from seatctl.sandbox.errors import malformed
from seatctl.sandbox.metadata import MOST_KEYS, too_many_keys
from seatctl.sandbox.objects import Obj

_LONGEST_KEY: Final = 40
_LONGEST_VALUE: Final = 500

CURRENCIES: Final = (
    "usd", "aed", "afn", "all", "amd", "ang", "aoa", "ars", "aud", "awg", "azn", "bam", "bbd", "bdt",
    "bgn", "bhd", "bif", "bmd", "bnd", "bob", "brl", "bsd", "bwp", "byn", "bzd", "cad", "cdf", "chf",
    "clp", "cny", "cop", "crc", "cve", "czk", "djf", "dkk", "dop", "dzd", "egp", "etb", "eur", "fjd",
    "fkp", "gbp", "gel", "gip", "gmd", "gnf", "gtq", "gyd", "hkd", "hnl", "hrk", "htg", "huf", "idr",
    "ils", "inr", "isk", "jmd", "jod", "jpy", "kes", "kgs", "khr", "kmf", "krw", "kwd", "kyd", "kzt",
    "lak", "lbp", "lkr", "lrd", "lsl", "mad", "mdl", "mga", "mkd", "mmk", "mnt", "mop", "mro", "mur",
    "mvr", "mwk", "mxn", "myr", "mzn", "nad", "ngn", "nio", "nok", "npr", "nzd", "omr", "pab", "pen",
    "pgk", "php", "pkr", "pln", "pyg", "qar", "ron", "rsd", "rub", "rwf", "sar", "sbd", "scr", "sek",
    "sgd", "shp", "sle", "sll", "sos", "srd", "std", "szl", "thb", "tjs", "tnd", "top", "try", "ttd",
    "twd", "tzs", "uah", "ugx", "uyu", "uzs", "vnd", "vuv", "wst", "xaf", "xcd", "xof", "xpf", "yer",
    "zar", "zmw",
)  # fmt: skip

_AMOUNTS: Final = frozenset(("amount", "amount_off", "unit_amount"))
_DIGITS: Final = {"idr": 12, "cop": 10, "huf": 10, "jpy": 10, "inr": 9}
_USUAL_DIGITS: Final = 8


def largest_amount(currency: str) -> int:
    """Return the largest amount of a currency, in minor units: eight digits for most currencies."""
    return int(10 ** _DIGITS.get(currency, _USUAL_DIGITS)) - 1


def check_limits(typed: Obj) -> None:
    """Refuse values that are too long or too large, at any depth of the parameters."""
    for path, name, value, siblings in _walk(typed, ()):
        if name == "metadata" and isinstance(value, dict):
            _check_metadata(value)
        elif name == "currency" and isinstance(value, str) and value:
            _check_currency(value, bracketed(path))
        elif name in _AMOUNTS and isinstance(value, int):
            _check_amount(abs(value), siblings, bracketed(path))


def _walk(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str, Any, Obj]]:
    """Yield each named value as (path, name, value, values beside it), except those in metadata."""
    if isinstance(value, list):
        for position, entry in enumerate(value):
            yield from _walk(entry, (*path, str(position)))
    elif isinstance(value, dict):
        for name, field in value.items():
            yield (*path, name), name, field, value
            if name != "metadata":
                yield from _walk(field, (*path, name))


def _check_metadata(metadata: Obj) -> None:
    for key, value in metadata.items():
        if len(key) > _LONGEST_KEY:
            raise malformed(
                f"Invalid key: {key} must be a string under {_LONGEST_KEY} characters", "metadata"
            )
        if len(str(value)) > _LONGEST_VALUE:
            raise malformed(
                f"Invalid val: {value} must be a string under {_LONGEST_VALUE} characters", "metadata"
            )
    if len(metadata) > MOST_KEYS:
        raise too_many_keys(len(metadata))


def _check_currency(currency: str, param: str) -> None:
    if currency.lower() not in CURRENCIES:
        names = ", ".join(CURRENCIES)
        raise malformed(
            f"Invalid currency: {currency}. Stripe currently supports these currencies: {names}", param
        )


def _check_amount(amount: int, siblings: Obj, param: str) -> None:
    currency = str(siblings.get("currency") or "idr").lower()  # by default the one with the largest amounts
    if amount > largest_amount(currency):
        from seatctl.sandbox.money import amount_text  # it loads `fractions`, which few requests need

        largest = amount_text(str(largest_amount(currency)), currency)
        raise malformed(f"Amount must be no more than {largest}", param, code="amount_too_large")
