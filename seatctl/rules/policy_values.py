"""Parsers for the text of each policy field. Pure; a ValueError says which values are allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final

from seatctl.models.plan import Decrease, Discounts, Increase, OnAccount, PlanChange, Renewal

_MOST_SEATS = 1_000_000

_MOST_DAYS = 3650
"""Longer than any term, but too short for a date to overflow."""

_LONGEST_CONTACT = 200

Parser = Callable[[str], object]


def _one_of(choices: type[StrEnum]) -> Parser:
    def parse(text: str) -> object:
        try:
            return choices(text)
        except ValueError:
            raise ValueError(f"use one of {', '.join(choices)}") from None

    return parse


def _number_up_to(text: str, most: int) -> int:
    digits = text.removeprefix("-")
    if not (text.isascii() and digits.isdigit()):
        raise ValueError("use a whole number")
    if len(digits) > len(str(most)) or int(text) > most:
        raise ValueError(f"use at most {most}")
    return int(text)


def _number(text: str) -> int:
    return _number_up_to(text, _MOST_SEATS)


def _days(text: str) -> int:
    return _number_up_to(text, _MOST_DAYS)


def _number_or_none(text: str) -> int | None:
    return None if text in {"", "none"} else _number(text)


def _flag(text: str) -> bool:
    if text.lower() not in {"yes", "no", "true", "false"}:
        raise ValueError("use yes or no")
    return text.lower() in {"yes", "true"}


def _names(text: str) -> tuple[str, ...]:
    parts = (part.strip() for part in text.split(","))
    return tuple(part for part in parts if part not in {"", "none"})


def _address(text: str) -> str | None:
    if text in {"", "none"}:
        return None
    if not text.startswith(("https://", "http://")) or any(character.isspace() for character in text):
        raise ValueError("use a URL that begins with https://")
    return text


def _contact(text: str) -> str | None:
    if text in {"", "none"}:
        return None
    if len(text) > _LONGEST_CONTACT or not text.isprintable():
        raise ValueError(f"use an address or a number on one line of at most {_LONGEST_CONTACT} characters")
    return text


PARSERS: Final[Mapping[str, Parser]] = {
    "pack_size": _number,
    "min_seats": _number,
    "max_seats": _number_or_none,
    "increase": _one_of(Increase),
    "decrease": _one_of(Decrease),
    "plan_change": _one_of(PlanChange),
    "renewal": _one_of(Renewal),
    "renewal_window_days": _days,
    "addon_cutoff_days": _days,
    "lock_price": _flag,
    "discounts": _one_of(Discounts),
    "on_account": _one_of(OnAccount),
    "grace_days": _days,
    "features": _names,
    "sign_in_url": _address,
    "support_contact": _contact,
}
