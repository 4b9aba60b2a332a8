"""Amounts in minor units by Stripe's table of exponents, parsed and formatted exactly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seatctl.models.money import (
    MOST,
    THREE_DECIMAL,
    ZERO_DECIMAL,
    exponent,
    parse_amount,
    plain_amount,
    step,
)

CURRENCIES = ("usd", "eur", "jpy", "krw", "isk", "ugx", "kwd", "bhd", "rsd", "all", "mmk", "huf")


@pytest.mark.parametrize(
    ("text", "currency", "amount"),
    [
        ("12.00", "usd", 1200),
        ("12", "USD", 1200),
        ("0.5", "eur", 50),
        ("0", "usd", 0),
        ("007.10", "usd", 710),
        (" 9 ", "usd", 900),
        ("12", "jpy", 12),
        ("12.00", "jpy", 12),
        ("100", "krw", 100),
        ("12", "isk", 1200),
        ("5.00", "ugx", 500),
        ("1.5", "kwd", 1500),
        ("1.230", "bhd", 1230),
        ("12.34", "rsd", 1234),
        ("12.34", "mmk", 1234),
        ("12.340000", "usd", 1234),
        ("9999999999.99", "usd", MOST),
    ],
)
def test_an_amount_is_parsed_to_stripes_minor_units(text, currency, amount):
    assert parse_amount(text, currency) == amount


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("", "usd"),
        (".", "usd"),
        (".5", "usd"),
        ("12.", "usd"),
        ("-1", "usd"),
        ("+1", "usd"),
        ("1e3", "usd"),
        ("1,000.00", "usd"),
        ("12,50", "eur"),
        ("1 000", "usd"),
        ("$12", "usd"),
        ("١٢", "usd"),
        ("0x10", "usd"),
        ("nan", "usd"),
        ("12.345", "usd"),
        ("12.5", "jpy"),
        ("12.50", "isk"),
        ("1.234", "kwd"),
        ("10000000000.00", "usd"),
        ("9" * 5000, "usd"),
    ],
)
def test_an_invalid_amount_is_refused(text, currency):
    with pytest.raises(ValueError, match=r"."):
        parse_amount(text, currency)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        (1200, "usd", "12.00"),
        (5, "usd", "0.05"),
        (-1205, "usd", "-12.05"),
        (-5, "eur", "-0.05"),
        (12, "jpy", "12"),
        (-12, "jpy", "-12"),
        (1200, "isk", "12.00"),
        (1230, "kwd", "1.230"),
        (0, "usd", "0.00"),
    ],
)
def test_an_amount_is_written_plainly(amount, currency, text):
    assert plain_amount(amount, currency) == text


def test_the_exponents_are_stripes_not_those_of_the_locale_data():
    assert [exponent(code) for code in ("jpy", "isk", "ugx", "kwd", "rsd", "all", "mmk", "usd")] == [
        0,
        2,
        2,
        3,
        2,
        2,
        2,
        2,
    ]
    assert [step(code) for code in ("isk", "ugx", "kwd", "jpy", "usd")] == [100, 100, 10, 1, 1]
    assert len(ZERO_DECIMAL) == 15
    assert not ZERO_DECIMAL & THREE_DECIMAL


@given(st.integers(min_value=0, max_value=MOST), st.sampled_from(CURRENCIES))
def test_every_valid_amount_survives_formatting_and_parsing(amount, currency):
    possible = amount - amount % step(currency)
    assert parse_amount(plain_amount(possible, currency), currency) == possible
