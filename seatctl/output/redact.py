"""Removes secrets from text before it is shown or logged. Pure; imported only after an error."""

from __future__ import annotations

import re

_SECRETS = (
    (re.compile(r"\b(sk|rk|pk)_(test|live)_[A-Za-z0-9_]{4,}"), r"\1_\2_…"),
    (re.compile(r"\bwhsec_[A-Za-z0-9+/=]{4,}"), "whsec_…"),
    (re.compile(r"\b((?:seti|pi|cs)_(?:test_|live_)?[A-Za-z0-9]+)_secret_[A-Za-z0-9]+"), r"\1_secret_…"),
    (re.compile(r"\bseat(?:-[0-9A-Z]{5}){4}\b", re.IGNORECASE), "seat-…"),
)
_URL = re.compile(r"postgres(?:ql)?(?:\+\w+)?://[^\s'\"<>]+", re.IGNORECASE)
_DIGITS = re.compile(r"(?<![\w.-])\d(?:[ -]?\d){12,18}(?![\w-])")
_KEY = re.compile(r"\b(sk|rk)_(test|live)_[A-Za-z0-9]{8,}")


def redact(text: str) -> str:
    """Return the text without Stripe keys, webhook and client secrets, activation codes and card numbers, and
    without the passwords of PostgreSQL URLs."""
    for pattern, replacement in _SECRETS:
        text = pattern.sub(replacement, text)
    if "://" in text:
        from seatctl.models.ledger_url import hidden

        text = _URL.sub(lambda url: hidden(url[0]), text)
    return _DIGITS.sub(lambda digits: "…" if is_card_number(digits[0]) else digits[0], text)


def has_key(text: str) -> bool:
    """Return whether the text contains a secret or restricted Stripe key."""
    return _KEY.search(text) is not None


def is_card_number(text: str) -> bool:
    """Return whether there are 13 to 19 digits that pass the Luhn check, as card numbers do."""
    digits = [int(char) for char in text if char.isdigit()]
    if not 13 <= len(digits) <= 19:
        return False
    doubled = (digit * 2 - 9 if digit > 4 else digit * 2 for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
