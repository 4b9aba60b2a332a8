"""Money as integers in minor units with a currency, and Stripe's table of currency exponents."""

from __future__ import annotations

from dataclasses import dataclass

ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""Stripe's zero-decimal currencies: the API's amount is whole units."""

THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
"""Stripe's three-decimal currencies: amounts are thousandths, in multiples of 10."""

WHOLE_HUNDREDS = frozenset(("isk", "ugx"))
"""Written without decimals, but the API's amount is hundredths and must be whole hundreds."""


MOST = 999_999_999_999
"""Stripe takes amounts of at most twelve digits, in most currencies of eight."""

_LONGEST_AMOUNT = 40


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in minor units of `currency` (lower case, as Stripe writes it)."""

    amount: int
    currency: str


def exponent(currency: str) -> int:
    """Decimal digits between the API's amount and the currency's unit: 0, 2 or 3 (Stripe's own table)."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """The least multiple that Stripe takes: 100 for ISK and UGX, 10 for three-decimal ones, else 1."""
    code = currency.lower()
    if code in WHOLE_HUNDREDS:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def accepted_form(currency: str) -> str:
    """How an amount of this currency is written, in words: an example would be another amount."""
    if not exponent(currency) or currency.lower() in WHOLE_HUNDREDS:
        return "a whole number, without separators"
    return "digits, with at most 2 decimals after a point, and no other separators"


def parse_amount(text: str, currency: str) -> int:
    """`12.00` as minor units of `currency`. Raises ValueError where the text is no amount Stripe takes."""
    digits = exponent(currency)
    if len(text.strip()) > _LONGEST_AMOUNT:
        raise ValueError(f"{text.strip()[:_LONGEST_AMOUNT]}… is too long for an amount")
    whole, dot, fraction = text.strip().partition(".")
    if not (whole.isascii() and whole.isdigit()) or (dot and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(f"{text!r} is not an amount")
    decimals = len(fraction.rstrip("0"))
    if decimals > digits:
        raise ValueError(f"{text!r} has {decimals} decimals; {currency.upper()} has {digits}")
    scale: int = 10**digits
    amount = int(whole) * scale + int(fraction[:digits].ljust(digits, "0") or 0)
    if amount > MOST:
        raise ValueError("that is more than Stripe can charge")
    if amount % step(currency):
        least = plain_amount(step(currency), currency)
        raise ValueError(f"{text!r} is not a multiple of {least} {currency.upper()}, as Stripe requires")
    return amount


def plain_amount(amount: int, currency: str) -> str:
    """Minor units as a plain decimal without the currency: `1200` usd is `12.00`."""
    digits = exponent(currency)
    if not digits:
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), int(10**digits))
    return f"{sign}{whole}.{fraction:0{digits}d}"
