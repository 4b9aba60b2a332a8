"""Money as integers in minor units with a currency, and Stripe's table of currency exponents."""

from __future__ import annotations

ZERO_DECIMAL = frozenset(
    ("bif", "clp", "djf", "gnf", "jpy", "kmf", "krw", "mga", "pyg", "rwf", "vnd", "vuv", "xaf", "xof", "xpf")
)
"""Stripe's zero-decimal currencies: amounts in the API are whole units."""

THREE_DECIMAL = frozenset(("bhd", "jod", "kwd", "omr", "tnd"))
"""Stripe's three-decimal currencies: amounts in the API are thousandths, in multiples of 10."""

WHOLE_HUNDREDS = frozenset(("isk", "ugx"))
"""Written without decimals, but amounts in the API are hundredths and must be multiples of 100."""


MOST = 999_999_999_999
"""The highest amount that Stripe accepts in any currency: twelve digits. Most currencies allow eight."""

_LONGEST_AMOUNT = 40


def exponent(currency: str) -> int:
    """Return the decimal digits of an amount in the API: 0, 2 or 3, by Stripe's table."""
    code = currency.lower()
    if code in ZERO_DECIMAL:
        return 0
    return 3 if code in THREE_DECIMAL else 2


def step(currency: str) -> int:
    """Return the number that amounts must be a multiple of: 100, 10 or 1, by Stripe's table."""
    code = currency.lower()
    if code in WHOLE_HUNDREDS:
        return 100
    return 10 if code in THREE_DECIMAL else 1


def accepted_form(currency: str) -> str:
    """Describe how an amount is written, without an example, which could be mistaken for a price."""
    if not exponent(currency) or currency.lower() in WHOLE_HUNDREDS:
        return "a whole number, without separators"
    return "digits, with at most 2 decimals after a point, and no other separators"


def parse_amount(text: str, currency: str) -> int:
    """Return a text such as `12.00` in minor units. Raises ValueError if Stripe would not accept it."""
    digits = exponent(currency)
    if len(text.strip()) > _LONGEST_AMOUNT:
        raise ValueError(f"{text.strip()[:_LONGEST_AMOUNT]}… is too long to be an amount")
    whole, dot, fraction = text.strip().partition(".")
    if not (whole.isascii() and whole.isdigit()) or (dot and not (fraction.isascii() and fraction.isdigit())):
        raise ValueError(f"{text!r} is not an amount")
    decimals = len(fraction.rstrip("0"))
    if decimals > digits:
        raise ValueError(f"{text!r} has {decimals} decimals; {currency.upper()} has {digits}")
    scale: int = 10**digits
    amount = int(whole) * scale + int(fraction[:digits].ljust(digits, "0") or 0)
    if amount > MOST:
        raise ValueError("the amount is more than Stripe can charge")
    if amount % step(currency):
        least = plain_amount(step(currency), currency)
        raise ValueError(f"{text!r} is not a multiple of {least} {currency.upper()}, which Stripe requires")
    return amount


def plain_amount(amount: int, currency: str) -> str:
    """Return minor units as a plain decimal without the currency: `1200` usd is `12.00`."""
    digits = exponent(currency)
    if not digits:
        return str(amount)
    sign = "-" if amount < 0 else ""
    whole, fraction = divmod(abs(amount), int(10**digits))
    return f"{sign}{whole}.{fraction:0{digits}d}"


def format_money(amount: int, currency: str) -> str:
    """An amount (minor units) with its currency, as sentences name it: `12.00 USD`."""
    return f"{plain_amount(amount, currency)} {currency.upper()}"
