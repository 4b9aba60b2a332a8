"""Pure rules of money: prices times quantities, rounding, the least charge, the customer's balance.

Amounts are minor units. No I/O and no clock; tests give literals.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from seatctl.sandbox.objects import Obj

# The least amount Stripe charges to a card, by settlement currency, in minor units.
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
# A Canadian account's lines say `$` for both of its dollars (facts).
_SYMBOLS = {"usd": "$", "cad": "$", "aud": "A$", "eur": "€", "gbp": "£", "jpy": "¥", "inr": "₹",
            "nzd": "NZ$", "brl": "R$", "mxn": "MX$", "hkd": "HK$", "krw": "₩"}  # fmt: skip


def least_charge(currency: str) -> int:
    """The smallest amount a card is charged, in minor units."""
    return _LEAST.get(currency, 1)


def granularity(currency: str) -> int:
    """A charge must be a multiple of this: 100 for ISK and UGX, 10 for three-decimal currencies."""
    if currency in _WHOLE_HUNDREDS:
        return 100
    return 10 if currency in THREE_DECIMAL else 1


def round_half_up(exact: Fraction) -> int:
    """To the nearest minor unit, a half away from zero."""
    return floor(exact + Fraction(1, 2)) if exact >= 0 else -floor(-exact + Fraction(1, 2))


def round_half_down(exact: Fraction) -> int:
    """To the nearest minor unit, a half towards minus infinity, on both signs (recordings 01, probe)."""
    return ceil(exact - Fraction(1, 2))


def exact_price(price: Obj, quantity: int) -> Fraction:
    """What `quantity` units of a price cost for one whole period, before rounding."""
    return Fraction(price["unit_amount_decimal"] or 0) * quantity


@dataclass(frozen=True, slots=True)
class BalanceApplied:
    """How an invoice's total meets the customer's balance; minor units."""

    amount_due: int
    ending_balance: int


def apply_balance(total: int, starting_balance: int, least: int) -> BalanceApplied:
    """Credit (a negative balance) is used first, debt is added; less than the least charge is carried over.

    From the recordings: a total below the least charge becomes debt, a negative one credit.
    """
    owed = total + starting_balance
    if owed <= 0:
        return BalanceApplied(0, owed)
    if owed < least:
        return BalanceApplied(0, owed)
    return BalanceApplied(owed, 0)


def balance_in(customer: Obj, currency: str) -> int:
    """What the customer holds in a currency, minor units: a balance is not spent in another one."""
    if customer["currency"] in (None, currency):
        return int(customer["balance"])
    return int(customer.get("_balances", {}).get(currency, 0))


def set_balance_in(customer: Obj, currency: str, amount: int) -> None:
    """Set what the customer holds in a currency; the first one billed is the one that `balance` shows."""
    if customer["currency"] in (None, currency):
        customer["balance"] = amount
    else:
        customer["_balances"] = {**customer.get("_balances", {}), currency: amount}


def amount_text(unit_decimal: str | None, currency: str) -> str:
    """A unit price as a line's description shows it: `$20.00`."""
    places = 0 if currency in ZERO_DECIMAL else 3 if currency in THREE_DECIMAL else 2
    exact = Fraction(unit_decimal or 0) / 10**places
    text = f"{float(exact):,.{places}f}"
    symbol = _SYMBOLS.get(currency)
    return f"{symbol}{text}" if symbol else f"{text} {currency.upper()}"
