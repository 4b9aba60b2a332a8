"""Values as typed: the known names nearest to an unknown one, whole numbers, options given twice. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from seatctl.errors import UsageError

MOST = 2**63 - 1
"""The highest number that a ledger can hold."""


def nearest(word: str, candidates: Iterable[str], limit: int = 3, likeness: float = 0.6) -> list[str]:
    """Return at most `limit` candidates that resemble `word`, best first, ignoring case."""
    from difflib import get_close_matches  # takes 4 ms, and is needed only after a mistake

    by_key = {candidate.casefold(): candidate for candidate in candidates}
    key = word.casefold()
    starting = [name for folded, name in by_key.items() if key and folded.startswith(key)]
    close = [by_key[folded] for folded in get_close_matches(key, by_key, n=limit, cutoff=likeness)]
    return list(dict.fromkeys([*close, *sorted(starting)]))[:limit]


def did_you_mean(word: str, candidates: Iterable[str], otherwise: str) -> str:
    """Return the hint `did you mean a, b?` if a candidate is near, else `otherwise`."""
    names = nearest(word, candidates)
    return f"did you mean {', '.join(names)}?" if names else otherwise


def whole_number(text: str, most: int) -> int | None:
    """Return the number from 0 to `most` that the text is, or None.

    Python would also parse digits of other scripts, and raises ValueError for more than 4,300 digits.
    """
    digits = text.lstrip("0") or text[:1]
    if not (text.isascii() and text.isdigit() and len(digits) <= len(str(most))):
        return None
    number = int(digits)
    return number if number <= most else None


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
