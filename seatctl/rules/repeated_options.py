"""Refuses an option that is given twice with different values, instead of silently using the last. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.errors import UsageError


def given_twice(name: str, first: object) -> UsageError:
    """Return the refusal of an option, or of a key of an option, that has two values."""
    # The values are not repeated: one of them may be a card number.
    problem = "is turned on and off" if isinstance(first, bool) else "takes one value but was given two"
    return UsageError(f"{name} {problem}", hint="leave one of them out", data={"option": name})


def pairs(option: str, given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the values of `--option KEY=VALUE` by key. Raises UsageError for a key with two values."""
    values: dict[str, str] = {}
    for key, value in given:
        if values.setdefault(key, value) != value:
            raise given_twice(f"{option} {key}", value)
    return values
