"""What is given twice and says two things: refused, instead of silently taken from the last one. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.errors import UsageError


def given_twice(name: str, first: object) -> UsageError:
    """The refusal of an option, or of a key of one, that says two things."""
    # The values are not repeated: one of them may be a card's number.
    said = "is given and taken back" if isinstance(first, bool) else "takes one value, and was given two"
    return UsageError(f"{name} {said}", hint="leave one of them out", data={"option": name})


def pairs(option: str, given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """What `--option KEY=VALUE` says, by key. Raises UsageError for a key with two values."""
    found: dict[str, str] = {}
    for key, value in given:
        if found.setdefault(key, value) != value:
            raise given_twice(f"{option} {key}", value)
    return found
