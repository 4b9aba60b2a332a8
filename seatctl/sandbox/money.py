"""Amounts of money: prices times quantities, rounding, the smallest charge, applying a balance.

Amounts are in minor units. The functions are pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from seatctl.sandbox.objects import Obj

# The smallest amount that Stripe charges, by settlement currency, in minor units.
_LEAST = {
    "usd": 50, "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "clp": 500, "cop": 200000,
    "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30, "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "krw": 100,
    "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "php": 50, "pln": 200, "ron": 200, "sek": 300, "sgd": 50,
    "thb": 1000,
}  # fmt: skip
ZERO_DECIMAL = frozenset(
    ["bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf"]
)
THREE_DECIMAL = frozenset(["bhd", "jod", "kwd", "omr", "tnd"])
_WHOLE_HUNDREDS = frozenset({"isk", "ugx"})
# On a Canadian account's lines, `$` stands for US and for Canadian dollars (recorded).
_SYMBOLS = {"usd": "$", "cad": "$", "aud": "A$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹",
            "nzd": "NZ$", "brl": "R$", "mxn": "MX$", "hkd": "HK$", "krw": "₩"}  # fmt: skip


def least_charge(currency: str) -> int:
    """Return the smallest amount that can be charged, in minor units."""
    return _LEAST.get(currency, 1)


def granularity(currency: str) -> int:
    """Return what a charge must be a multiple of: 100 for ISK and UGX, 10 for three-decimal currencies."""
    if currency in _WHOLE_HUNDREDS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def round_half_up(exact: Fraction) -> int:
    """Round to the nearest minor unit, a half away from zero."""
    return floor(exact + Fraction(1, 2)) if exact >= 0 else -floor(-exact + Fraction(1, 2))


def round_half_down(exact: Fraction) -> int:
    """Round to the nearest minor unit, a half towards minus infinity, also if negative (recorded)."""
    return ceil(exact - Fraction(1, 2))


def exact_price(price: Obj, quantity: int) -> Fraction:
    """Return what `quantity` units of a price cost for a whole period, before rounding."""
    return Fraction(price["unit_amount_decimal"] or 0) * quantity


@dataclass(frozen=True, slots=True)
class BalanceApplied:
    """What is due on an invoice once the customer's balance is applied, and the balance then; minor units."""

    amount_due: int
    ending_balance: int


def apply_balance(total: int, starting_balance: int, least: int) -> BalanceApplied:
    """Apply a customer's balance to an invoice's total: credit (negative) lowers what is due, debt raises it.

    As recorded, a sum below the smallest charge becomes debt, and a negative sum credit.
    """
    owed = total + starting_balance
    return BalanceApplied(0, owed) if owed <= 0 or owed < least else BalanceApplied(owed, 0)


def amount_text(unit_decimal: str | None, currency: str) -> str:
    """Format a unit price as in the description of a line: `$20.00`."""
    places = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    exact = Fraction(unit_decimal or 0) / 10**places
    text = f"{float(exact):,.{places}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{text} {currency.upper()}"
