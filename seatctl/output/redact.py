"""Secrets taken out of a text before it is shown or logged. Pure; imported where something went wrong."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"\b(sk|rk|pk)_(test|live)_[A-Za-z0-9_]{4,}"), r"\1_\2_…"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]{4,}"), "whsec_…"),
    (re.compile(r"\b((?:seti|pi|cs)_(?:test_|live_)?[A-Za-z0-9]+)_secret_[A-Za-z0-9]+"), r"\1_secret_…"),
    (re.compile(r"\bseat(?:-[0-9A-Z]{5}){4}\b", re.IGNORECASE), "seat-…"),
)
_DIGITS = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_KEY = re.compile(r"\b(sk|rk)_(test|live)_[A-Za-z0-9]{8,}")


def redact(text: str) -> str:
    """The text without Stripe keys, webhook and client secrets, activation codes and card numbers."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    return _DIGITS.sub(lambda found: "…" if is_card_number(found.group()) else found.group(), text)


def has_key(text: str) -> bool:
    """Whether a secret or restricted Stripe key stands in the text."""
    return _KEY.search(text) is not None


def is_card_number(text: str) -> bool:
    """Whether the digits are 13 to 19 and pass the check of Luhn, as card numbers do."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
